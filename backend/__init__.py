"""Supa-assistants: insert a row, get an assistant's answer.

The map of the package, from the outside in; a layer imports only what stands below it:

    cli            the command `assistants`
    app            composition root of the service: names its concrete classes
    local_stack    composition root of the local stack; apart, so that it needs none of app's libraries
    api            HTTP in: streams, webhooks, health
    runs           claim, history, model call and tools, stream, reply; retry, cancel, expire
    tools          functions that models call and the service runs
    governance     what stands between a run and its models: fallbacks, limits, budgets, caches
    ports          protocols in the domain's words: gateway, wake-ups, models, tokens, clock
    domain         pure values: ids, messages and parts, runs, events, usage
    errors         the whole error tree

Beside the layers, seen by the two composition roots alone:

    integrations   one folder per outside system; knows ports, domain and errors
    devkit         embedded Supabase, local issuer, offline model
    telemetry      set up by `app`; the names of log events are constants everyone may use
    settings       the only reader of the environment
"""
