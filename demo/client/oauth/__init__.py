"""The agent as an OAuth client: who it is at an authority, the flows by which it gets a token, proof of possession."""
