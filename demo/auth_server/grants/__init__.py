"""The grant types (OAuth 2.1). To add one: its module with a class of `server.Grant`, and its line in `GRANTS`."""

from __future__ import annotations

from .authorization_code import AuthorizationCodeGrant
from .device import DeviceCodeGrant
from .refresh import RefreshTokenGrant
from .server import Grant
from .token_exchange import TokenExchangeGrant

GRANTS: tuple[type[Grant], ...] = (
    DeviceCodeGrant,
    AuthorizationCodeGrant,
    RefreshTokenGrant,
    TokenExchangeGrant,
)
"""In the order in which the server's metadata names their types."""
