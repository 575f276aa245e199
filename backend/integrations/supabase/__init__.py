"""PostgreSQL as Supabase runs it: gateway, listener, migrations, checks."""
