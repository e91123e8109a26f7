"""The local server: the shop and the authorization server as one process, and how another process finds it."""
