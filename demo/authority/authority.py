"""What every endpoint of the authority shares: its settings, its state, its key, its clients, its clock."""

from __future__ import annotations

from urllib.parse import urlsplit

from . import AuthorityConfig
from .clients import Client, registered_clients
from .keys import SigningKey
from .store import Store

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Authority:
    """One authorization server. Cheap to pass around; nothing in it changes after the start but the store.

    Raises:
        ValueError: the issuer is neither `https` nor on loopback, or ends in a slash.
    """

    def __init__(self, config: AuthorityConfig) -> None:
        origin = urlsplit(config.issuer)
        if origin.scheme != "https" and not (origin.scheme == "http" and origin.hostname in LOOPBACK):
            raise ValueError(f"an issuer is https, or http on loopback (RFC 8414 section 2): {config.issuer}")
        if config.issuer.endswith("/"):
            raise ValueError(f"an issuer has no trailing slash here: {config.issuer}")
        self.config = config
        self.issuer = config.issuer
        self.store = Store(config.database)
        self.key = SigningKey.load(self.store, config.clock)
        self.clients: dict[str, Client] = registered_clients(config.resource_server)

    def now(self) -> float:
        """The time by this authority's clock, in POSIX seconds."""
        return self.config.clock()

    @property
    def account_resource(self) -> str:
        """The audience of the account API."""
        return f"{self.issuer}/account"

    @property
    def userinfo_resource(self) -> str:
        """The audience of the userinfo endpoint, granted beside whatever else is (docs/wire.md)."""
        return f"{self.issuer}/oauth2/userinfo"
