"""The attendees' own authorization server and shop: the ones of the talk, set up a second time, with other data.

Their issuer is the address that phones use. Phones get the pages of consent, the metadata and the keys. Every endpoint
for software (token, device authorization, introspection, the shop itself) is on a loopback port, because the attendees'
agents run on this machine: what is not reachable need not be defended.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from starlette.routing import BaseRoute, Route

from demo.audience.attendees import DOMAIN, MOST, Attendees
from demo.auth_server.administration import agent_of, revocation_of, revoke_agent_or_user
from demo.auth_server.context import AuthorizationServerConfig
from demo.auth_server.routes import AuthorizationServer, create_authorization_server
from demo.shop.app import Shop, create_shop
from demo.shop.config import ShopConfig

AGENT: Final = "demo-agent"
"""The software of every attendee's agent, known to the authorization server beforehand."""
GRANT_SECONDS: Final = 30 * 60
"""How long a consent holds: as long as a talk and its questions. No token is renewed, so that it ends by itself."""
POLL_SECONDS: Final = 1
"""The least between two polls of one agent (RFC 8628 section 3.5)."""
_FOR_PHONES: Final = ("/device", "/.well-known/", "/oauth2/jwks")
_FOR_AGENTS: Final = (
    "/oauth2/token",
    "/oauth2/device_authorization",
    "/oauth2/introspect",
    "/oauth2/jwks",
    "/.well-known/",
    "/mcp",
    "/events",
    "/ssf/",
)
AT_MOST: Final = 2
"""Shirts for one consent, as in the talk."""


@dataclass(frozen=True)
class Issuer:
    """Both, opened. `pages` are the routes for phones, `inside` those for the agents."""

    origin: str
    pages: tuple[BaseRoute, ...]
    inside: tuple[BaseRoute, ...]
    server: AuthorizationServer
    shop: Shop

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        """To be entered once, around the serving of both."""
        return self.shop.lifespan()

    def revoke(self, subs: tuple[str, ...]) -> tuple[str, ...]:
        """Revoke the agents that act for these humans; those whose agent could act until now. Blocking; `settled` comes
        after."""
        context, revoked = self.server.context, []
        with context.store.transaction() as connection:
            for sub in subs:
                agent = agent_of(connection, sub, AGENT)
                if agent is not None and revocation_of(connection, "agent", agent) is None:
                    revoke_agent_or_user(connection, "agent", agent, by="presenter", now=context.now())
                    revoked.append(sub)
        return tuple(revoked)

    async def settled(self) -> None:
        """Return when the shop has heard of each revocation so far."""
        await self.server.events.settle()

    def close(self) -> None:
        """Close the authorization server's file. The shop closes its own."""
        self.server.context.store.close()


def open_issuer(
    origin: str, inside: str, database: Path, attendees: Attendees, *, clock: Callable[[], float]
) -> Issuer:
    """Set both up.

    Args:
        origin: what phones use, without a trailing slash; the issuer.
        inside: the loopback origin where the agents, the shop and the authorization server meet.
        database: the SQLite file, made when missing.
        attendees: the accounts.
        clock: POSIX seconds.

    Raises:
        ValueError: the origin is neither https nor loopback (RFC 8414 section 2).
        OSError, sqlite3.Error: the database cannot be opened.
    """
    # Nobody but this process asks, so that a secret of this start will do.
    introspection = ("shop", secrets.token_urlsafe(32))
    server = create_authorization_server(
        AuthorizationServerConfig(
            issuer=origin,
            database=database,
            resources=(f"{origin}/mcp",),
            resource_server=introspection,
            access_token_seconds=GRANT_SECONDS,
            poll_interval=POLL_SECONDS,
            reached_at={f"{origin}/mcp": inside},
            directory=attendees,
            device="your agent's page",
            way_back=("/you?decided", "See what your agent does"),
            clock=clock,
        )
    )
    try:
        shop = create_shop(
            ShopConfig(
                base_url=origin,
                database=database,
                issuer=origin,
                introspection=introspection,
                allowlist=(f"@{DOMAIN}",),
                purchases_per_consent=AT_MOST,
                stock=AT_MOST * MOST,
                open_door=False,
                auth_server_at=inside,
                reached_at=inside,
                clock=clock,
            )
        )
    except BaseException:
        server.context.store.close()
        raise
    routes = (*server.routes, *(one for one in shop.routes if isinstance(one, Route)))
    pages = tuple(one for one in routes if one.path.startswith(_FOR_PHONES))
    agents = tuple(one for one in routes if one.path.startswith(_FOR_AGENTS))
    return Issuer(origin, pages, agents, server, shop)


def hosts(origin: str, inside: str) -> frozenset[str]:
    """The `Host` headers under which the agents call."""
    return frozenset({urlsplit(origin).netloc, urlsplit(inside).netloc})
