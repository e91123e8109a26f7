"""Clients (RFC 6749 section 2): those known beforehand, and those that made themselves known, as the state file keeps
them: registered ones (RFC 7591) and documents'."""

from __future__ import annotations

import hmac
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from authlib.oauth2.rfc6749 import ClientMixin
from authlib.oauth2.rfc8628 import DEVICE_CODE_GRANT_TYPE

from demo.scopes import SCOPES

from ..context import Context
from ..state.accounts import CONSOLE, CONSOLE_ONLY, ordered
from ..state.store import digest
from .metadata import CODE, PRIVATE_KEY_JWT, TOKEN_EXCHANGE, ClientMetadata
from .uris import is_one_of

LOOPBACK_CALLBACKS = ("http://127.0.0.1/callback", "http://localhost/callback")
"""Where a native agent listens, on whatever port it gets (RFC 8252 section 7.3)."""
DEFAULT_SCOPE = ("openid", "shop:read")
MOST_CLIENTS = 500
"""How many of each kind are kept. Beyond it the oldest that nobody ever consented to go."""

_LEAST_USED = """
SELECT c.client_id FROM oauth_clients c
WHERE c.source = :source AND NOT EXISTS (SELECT 1 FROM oauth_consents WHERE client_id = c.client_id)
ORDER BY coalesce((SELECT max(coalesce(d.polled_at, d.created_at)) FROM oauth_device_requests d
    WHERE d.client_id = c.client_id AND d.decision IS NULL AND d.expires_at > :now), 0), c.created_at, c.rowid
LIMIT :many
"""
"""Clients that nobody ever consented to: first those whose human is asked nothing, then those whose device has been
silent for longest. A device's question costs nothing, so that it must not hold a place against others."""


@dataclass(frozen=True)
class Client(ClientMixin):  # type: ignore[misc]  # Authlib ships no types
    """A piece of software. `delegated` is True where it acts *for* a human, so that its tokens name it in `act`.

    `source` is how it became known: `known` to this server beforehand, `registered` by itself (RFC 7591), or
    described by a `document` at the URL that is its id, or named by such a URL whose document is `unread`. Of all but
    the first the name is their own claim.
    """

    client_id: str
    name: str
    delegated: bool
    grant_types: tuple[str, ...] = (DEVICE_CODE_GRANT_TYPE, "refresh_token")
    redirect_uris: tuple[str, ...] = ()
    auth_method: str = "none"
    secret_digest: str | None = field(default=None, repr=False)
    public_key: Mapping[str, str] | None = field(default=None, repr=False, compare=False)
    """The JWK of a client that authenticates by `private_key_jwt`."""
    source: Literal["known", "registered", "document", "unread"] = "known"
    default_scope: tuple[str, ...] = DEFAULT_SCOPE
    """What an authorization request without `scope` asks for: what the client registered, else to look around."""
    bound: bool = False
    """Whether it said that it always proves a key (RFC 9449 section 5.2)."""

    @property
    def host(self) -> str | None:
        """The host that this client says publishes its document, None for a client without one."""
        return urlsplit(self.client_id).netloc if self.source in ("document", "unread") else None

    @property
    def scopes(self) -> frozenset[str]:
        """What this client may be granted at all."""
        allowed = frozenset(SCOPES) - CONSOLE_ONLY if self.delegated else CONSOLE
        # Without the grant it would be a promise on the consent page that no token keeps.
        return allowed if "refresh_token" in self.grant_types else allowed - {"offline_access"}

    def get_client_id(self) -> str:
        """The `client_id`."""
        return self.client_id

    def get_allowed_scope(self, scope: str) -> str:
        """Those of the space-separated `scope` that this client may be granted."""
        return " ".join(ordered(self.scopes & set(scope.split())))

    def get_default_redirect_uri(self) -> None:
        """None: a request names its redirect URI, since a loopback one is not whole without a port."""

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Whether `redirect_uri` is this client's."""
        return is_one_of(redirect_uri, self.redirect_uris)

    def check_response_type(self, response_type: str) -> bool:
        """Whether this client may use `response_type`."""
        return response_type == "code" and CODE in self.grant_types

    def check_client_secret(self, client_secret: str) -> bool:
        """Whether `client_secret` is this client's; compared in constant time."""
        return self.secret_digest is not None and hmac.compare_digest(self.secret_digest, digest(client_secret))

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Whether this client authenticates by `method`; one method, at every endpoint (RFC 7591 section 2)."""
        return method == self.auth_method

    def check_grant_type(self, grant_type: str) -> bool:
        """Whether this client may use `grant_type`."""
        return grant_type in self.grant_types


def known_clients(resource_server: tuple[str, str], console_key: Mapping[str, str] | None = None) -> dict[str, Client]:
    """The clients registered beforehand, by id.

    Args:
        resource_server: id and secret of the one that introspects.
        console_key: the public JWK of the human's own console; without one there is no console.
    """
    client_id, secret = resource_server
    both_flows = (DEVICE_CODE_GRANT_TYPE, CODE, "refresh_token", TOKEN_EXCHANGE)
    clients = [
        Client("demo-agent", "Shirt Agent", True, both_flows, LOOPBACK_CALLBACKS),
        Client("demo-rival", "Rival Agent", True, both_flows, LOOPBACK_CALLBACKS),
        Client(
            client_id, "Shop", False, (TOKEN_EXCHANGE,), auth_method="client_secret_basic", secret_digest=digest(secret)
        ),
    ]
    if console_key is not None:
        clients.append(
            Client("demo-console", "Control room", False, auth_method=PRIVATE_KEY_JWT, public_key=console_key)
        )
    return {client.client_id: client for client in clients}


def find_client(context: Context, client_id: str) -> Client | None:
    """The client with this id, known beforehand or by itself, or None. What its document said last counts."""
    known = known_clients(context.config.resource_server, context.config.console_key).get(client_id)
    if known is not None:
        return known
    with context.store.transaction(write=False) as connection:
        row = connection.execute("SELECT * FROM oauth_clients WHERE client_id = ?", (client_id,)).fetchone()
    if row is None:
        return None
    return Client(
        client_id=row["client_id"],
        name=row["name"],
        delegated=True,  # software that comes by itself acts for somebody, and its tokens say so
        grant_types=tuple(json.loads(row["grant_types"])),
        redirect_uris=tuple(json.loads(row["redirect_uris"])),
        auth_method=row["auth_method"],
        secret_digest=row["secret_digest"],
        source=row["source"],
        default_scope=tuple(row["scope"].split()) or DEFAULT_SCOPE,
        bound=bool(row["bound"]),
    )


def save_client(
    connection: sqlite3.Connection,
    client_id: str,
    metadata: ClientMetadata,
    *,
    source: Literal["registered", "document", "unread"],
    secret_digest: str | None = None,
    fresh_until: float | None = None,
    now: float,
) -> bool:
    """Keep a client, or what its document says now; False when there is no room, because every place is in use.

    Args:
        secret_digest: of the secret of a confidential client, None for a public one.
        fresh_until: POSIX seconds until which a document need not be fetched again, None for a registered client.
    """
    known = connection.execute("SELECT 1 FROM oauth_clients WHERE client_id = ?", (client_id,)).fetchone()
    if known is None and not _make_room(connection, source, now):
        return False
    connection.execute(
        "INSERT INTO oauth_clients (client_id, source, name, auth_method, secret_digest, redirect_uris,"
        " grant_types, scope, created_at, fresh_until, bound) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (client_id) DO UPDATE SET source = excluded.source, name = excluded.name,"
        " redirect_uris = excluded.redirect_uris, grant_types = excluded.grant_types, scope = excluded.scope,"
        " fresh_until = excluded.fresh_until,"
        " bound = excluded.bound",
        (
            client_id,
            source,
            metadata.name,
            metadata.auth_method,
            secret_digest,
            json.dumps(metadata.redirect_uris),
            json.dumps(metadata.grant_types),
            " ".join(metadata.scope),
            now,
            fresh_until,
            metadata.bound,
        ),
    )
    return True


def is_fresh(connection: sqlite3.Connection, client_id: str, now: float) -> bool:
    """Whether the document of this client was fetched and need not be fetched again yet."""
    row = connection.execute("SELECT fresh_until FROM oauth_clients WHERE client_id = ?", (client_id,)).fetchone()
    return row is not None and row["fresh_until"] is not None and now < row["fresh_until"]


def _make_room(connection: sqlite3.Connection, source: str, now: float) -> bool:
    count = connection.execute("SELECT COUNT(*) FROM oauth_clients WHERE source = ?", (source,)).fetchone()[0]
    if count < MOST_CLIENTS:
        return True
    gone = connection.execute(
        f"DELETE FROM oauth_clients WHERE client_id IN ({_LEAST_USED})",
        {"source": source, "now": now, "many": count - MOST_CLIENTS + 1},
    )
    return gone.rowcount > 0
