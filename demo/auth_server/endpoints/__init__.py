"""The endpoints: metadata, registration, token, introspection, revocation, userinfo, the account API."""
