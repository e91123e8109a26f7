"""WorkOS through its official SDK: who the humans are, their sessions, the record of orders, an agent's own identity.

The same code runs against a WorkOS account and against the local server, which answers the same API. Importing this
costs nothing: the SDK, which takes most of a second, is loaded by the first call.
"""
