"""HTTP to addresses that a row, a model or a document has named.

addresses.py     which IP addresses are the internet's, and which are somebody's own network
reach.py         which hosts may be asked
connections.py   names are resolved, checked and connected to in one step
client.py        one request: checked redirects, bounded in time and size
"""
