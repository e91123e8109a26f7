"""Tokens: as they are stored, in the keyring or a file; who the client is; what the claims say."""
