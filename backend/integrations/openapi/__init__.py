"""Operations of an HTTP API, as its OpenAPI document describes them, as tools.

document.py     the document: its operations, its server, its references
parameters.py   from arguments to path, query, headers and body, and nothing else
operations.py   one operation as a tool
source.py       all operations of an API, read from a file or an address
"""
