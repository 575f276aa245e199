"""Functions that models call and the service runs.

registry.py     a typed Python function becomes a tool
docstrings.py   what its docstring says of it and of its parameters
modules.py      the operator's own functions, by the names of their modules
schemas.py      whether arguments fit a JSON schema, and where they do not
schema_work.py  how much work a schema makes
invocation.py   one call: checked, timed, tried again, its output made storable
outputs.py      what the database stores of an output
foreign.py      tools of somebody else, as every model takes them
toolbox.py      which of all tools an assistant may use
builtin/        the tools that are there without a setting
"""
