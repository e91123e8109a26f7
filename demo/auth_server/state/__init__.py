"""What the authorization server keeps: accounts, consents and sessions, codes and tokens by digest, signing keys."""
