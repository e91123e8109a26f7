"""The agent as an OAuth client: discovery, registration, the login flows, tokens and how they are presented."""
