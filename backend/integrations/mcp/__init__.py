"""Tools of MCP servers, by the protocol's own SDK, which is loaded when a server is first needed.

servers.py      how a server is reached
connection.py   one session with it, opened when it is needed and again after it broke
last_words.py   what a program says that does not start
results.py      what it answers, as JSON
source.py       its tools

Source:
    Model Context Protocol, revisions 2025-06-18 to 2026-07-28.
"""
