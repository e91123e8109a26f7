"""How one authorization server is set up, and what all of it shares: its settings, its state, its keys, its clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from demo.proofs import Nonces
from deputize.net import LOOPBACK_HOSTS

from .state.accounts import Account, Directory, Samples
from .state.keys import SigningKeys
from .state.store import Store
from .state.streams import Leases


@dataclass(frozen=True)
class AuthorizationServerConfig:
    """How one authorization server is set up.

    Args:
        issuer: its origin without a trailing slash (RFC 8414 `issuer`); `https`, or `http` on loopback.
        database: the SQLite file, made when missing; others may keep tables of their own in it.
        resources: what tokens may be asked for (RFC 8707), compared as they stand.
        resource_server: client id and secret of the one that may introspect (RFC 7662).
        console_key: the public JWK of the human's own console, which proves itself by the private one (RFC 7523);
            without one there is no console.
        more_resources: asked at each request for resources beside those; none by default.
        access_token_seconds: life of an access token. Minutes: a resource server that hears of no revocation,
            by events or by introspection, is not wrong for long.
        device_code_seconds: life of a device code and its user code (RFC 8628 section 3.2).
        poll_interval: seconds between two polls of a device (RFC 8628 section 3.5).
        suggested_limit: minor units of `authorization_details.CURRENCY` that the consent page fills in where an agent
            asks to buy and names no limit, as every client must that does not know RFC 9396.
        reached_at: the origin at which a resource's server is reached from here, where that is not the resource's own.
        delegation_depth: how often what a human granted may be handed on, from agent to sub-agent (RFC 8693); 0: never.
        lease_seconds: how long a revocation waits at most for a resource server that does not acknowledge it. It has to
            be longer than a resource server relies on what it was told (docs/wire.md: 5 s).
        directory: the accounts that it knows.
        device: where a user code is shown, as the pages say it.
        way_back: a path of this origin that the page after a decision leads to, and the words for it; None for none.
        clock: POSIX seconds; every expiry is measured by it.
        aliases: other origins under which the issuer's server answers, such as `http://localhost:PORT` for
            `http://127.0.0.1:PORT`. A resource may be named by them; the issuer has one name.
    """

    issuer: str
    database: Path
    resources: tuple[str, ...]
    resource_server: tuple[str, str] = field(repr=False)
    access_token_seconds: int = 300
    device_code_seconds: int = 600
    poll_interval: int = 1
    suggested_limit: int = 5000
    delegation_depth: int = 2
    clock: Callable[[], float] = time.time
    more_resources: Callable[[], tuple[str, ...]] = tuple
    aliases: tuple[str, ...] = ()
    console_key: Mapping[str, str] | None = None
    reached_at: Mapping[str, str] = field(default_factory=dict)
    lease_seconds: float = 6.0
    directory: Directory = field(default_factory=Samples)
    device: str = "your terminal"
    way_back: tuple[str, str] | None = None


class Context:
    """One authorization server. Cheap to pass around; only store and leases change after the start.

    Raises:
        ValueError: the issuer is neither `https` nor on loopback, or ends in a slash.
    """

    def __init__(self, config: AuthorizationServerConfig) -> None:
        origin = urlsplit(config.issuer)
        if origin.scheme != "https" and not (origin.scheme == "http" and origin.hostname in LOOPBACK_HOSTS):
            raise ValueError(f"an issuer is https, or http on loopback (RFC 8414 section 2): {config.issuer}")
        if config.issuer.endswith("/"):
            raise ValueError(f"an issuer has no trailing slash here: {config.issuer}")
        self.config = config
        self.issuer = config.issuer
        self.leases = Leases(config.lease_seconds)
        self.store = Store(config.database)
        self.nonces = Nonces()
        try:
            self.keys = SigningKeys.load(self.store, config.clock)
        except BaseException:
            self.store.close()
            raise

    def now(self) -> float:
        """The time by this server's clock, in POSIX seconds."""
        return self.config.clock()

    def account(self, sub: str) -> Account | None:
        """The account with this `sub`, or None."""
        return self.config.directory.by_sub(sub)

    @property
    def on_loopback(self) -> bool:
        """Whether this server is one of a single machine, without TLS."""
        return self.issuer.startswith("http:")

    @property
    def own_origins(self) -> frozenset[str]:
        """By which this server is reached in plain http on loopback; none where it has TLS."""
        return frozenset((self.issuer, *self.config.aliases)) if self.on_loopback else frozenset()

    @property
    def resources(self) -> tuple[str, ...]:
        """What tokens may be asked for now (RFC 8707)."""
        return tuple(dict.fromkeys((*self.config.resources, *self.config.more_resources())))

    def canonical(self, resource: str) -> str:
        """The resource by the issuer's own origin, where it is named by another of the same server."""
        alias = next((one for one in self.config.aliases if resource.startswith(f"{one}/")), None)
        return resource if alias is None else self.issuer + resource.removeprefix(alias)

    def origin(self, host: str) -> str:
        """The origin that a request with this `Host` came by: an alias, or else the issuer's own."""
        return next((one for one in self.config.aliases if urlsplit(one).netloc == host), self.issuer)

    @property
    def account_resource(self) -> str:
        """The audience of the account API."""
        return f"{self.issuer}/account"

    @property
    def userinfo_resource(self) -> str:
        """The audience of the userinfo endpoint, granted beside whatever else is (docs/wire.md)."""
        return f"{self.issuer}/oauth2/userinfo"
