"""The warehouse: a service behind the shop that sends what was ordered. It takes transaction tokens, and never sees an
agent's access token."""
