"""The embedded OAuth 2.0 authorization server, in layers; each imports only what stands above it in this list.

- `state`: what is kept, in SQLite: accounts and scopes, consents and sessions, codes and tokens, signing keys;
- `context`, `requests`: one server's settings and state; how a request's form and body are read;
- `clients`: registered ones (RFC 7591), those known by a metadata document, and how a client authenticates;
- `grants`: the grant types, one file each, and the tokens that they issue;
- `pages`: where a human signs in and decides; `endpoints`: what clients and resource servers call;
- `routes`: all of it as routes; `administration`: what an administrator's API may use.
"""
