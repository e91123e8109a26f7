"""What every endpoint of the authority shares: its settings, its state, its keys, its clients, its clock."""

from __future__ import annotations

from urllib.parse import urlsplit

from demo.auth_server import AuthorityConfig
from demo.net import is_loopback

from .clients.client import Client, known_clients
from .clients.records import find_client
from .state.keys import SigningKeys
from .state.store import Store


class Authority:
    """One authorization server. Cheap to pass around; nothing in it changes after the start but the store.

    Raises:
        ValueError: the issuer is neither `https` nor on loopback, or ends in a slash.
    """

    def __init__(self, config: AuthorityConfig) -> None:
        origin = urlsplit(config.issuer)
        if origin.scheme != "https" and not (origin.scheme == "http" and is_loopback(origin.hostname or "")):
            raise ValueError(f"an issuer is https, or http on loopback (RFC 8414 section 2): {config.issuer}")
        if config.issuer.endswith("/"):
            raise ValueError(f"an issuer has no trailing slash here: {config.issuer}")
        self.config = config
        self.issuer = config.issuer
        self.store = Store(config.database)
        self.keys = SigningKeys.load(self.store, config.clock)
        self._known = known_clients(config.resource_server, config.console_key)

    def now(self) -> float:
        """The time by this authority's clock, in POSIX seconds."""
        return self.config.clock()

    def client(self, client_id: str) -> Client | None:
        """The client with this id, known beforehand or by itself, or None. What its document said last counts."""
        known = self._known.get(client_id)
        if known is not None:
            return known
        with self.store.transaction(write=False) as connection:
            return find_client(connection, client_id)

    @property
    def on_loopback(self) -> bool:
        """Whether this authority is one of a single machine, in the clear."""
        return self.issuer.startswith("http:")

    @property
    def resources(self) -> tuple[str, ...]:
        """What tokens may be asked for now (RFC 8707)."""
        return tuple(dict.fromkeys((*self.config.resources, *self.config.more_resources())))

    def canonical(self, resource: str) -> str:
        """The resource by the issuer's own origin, where it is named by another of the same server."""
        alias = next((one for one in self.config.aliases if resource.startswith(f"{one}/")), None)
        return resource if alias is None else self.issuer + resource.removeprefix(alias)

    @property
    def account_resource(self) -> str:
        """The audience of the account API."""
        return f"{self.issuer}/account"

    @property
    def userinfo_resource(self) -> str:
        """The audience of the userinfo endpoint, granted beside whatever else is (docs/wire.md)."""
        return f"{self.issuer}/oauth2/userinfo"
