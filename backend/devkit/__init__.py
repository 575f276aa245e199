"""What runs on a laptop instead of hosted services.

`installation`, `placement`, `postmaster`, `postgres`: a PostgreSQL server of one's own.
`tokens`, `issuer`: session tokens in Clerk's form. `data_api`: the Node program of supabase/local.
`stack`, with `database`, `parts`, `crew`, `child`, `preparation`: all of it as one thing;
`supervisor` runs it, `leftovers` cleans up after one that was killed; `folder` is where it lies.
`offline_model`: a model that needs no key and is no language model.
"""
