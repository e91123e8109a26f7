"""The pages: where a human types a code or is sent by a client, signs in, and decides.

They stand under `/device`, the path of the one cookie that they need (RFC 8628 section 3.3), and serve the browser flow
as well (OAuth 2.1 section 4.1).
"""
