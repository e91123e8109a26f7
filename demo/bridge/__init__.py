"""The bridge: an MCP server on stdin and stdout, for a host that knows no other, with the bundled agent's token.

`demo.bridge.stdio.serve` runs it. It decides nothing: requests go on to the HTTP server, answers come back, and a
refusal is put in words that a model understands and a person can act on. Where no token is stored it begins
a login that a person decides, by a code, and says so; it decides none.
"""
