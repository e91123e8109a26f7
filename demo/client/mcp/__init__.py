"""MCP as the agent speaks it: negotiate a revision, send a request, read the outcome from the recorded exchange."""
