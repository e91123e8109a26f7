"""The shop: an MCP server with two doors, one open and one an OAuth 2.1 resource server."""
