"""The registered clients (RFC 6749 section 2): three public ones, and the resource server that introspects."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from authlib.oauth2.rfc6749 import ClientMixin
from authlib.oauth2.rfc8628 import DEVICE_CODE_GRANT_TYPE

from .scopes import CONSOLE_ONLY, SCOPES, ordered


@dataclass(frozen=True)
class Client(ClientMixin):  # type: ignore[misc]  # Authlib ships no types
    """A piece of software. `delegated` is True where it acts *for* a human, so that its tokens name it in `act`."""

    client_id: str
    name: str
    delegated: bool
    grant_types: tuple[str, ...] = (DEVICE_CODE_GRANT_TYPE, "refresh_token")
    auth_method: str = "none"
    secret: str | None = field(default=None, repr=False)

    @property
    def scopes(self) -> frozenset[str]:
        """What this client may be granted at all."""
        return frozenset(SCOPES) - CONSOLE_ONLY if self.delegated else frozenset(SCOPES)

    def get_client_id(self) -> str:
        """The `client_id`."""
        return self.client_id

    def get_allowed_scope(self, scope: str) -> str:
        """Those of the space-separated `scope` that this client may be granted."""
        return " ".join(ordered(self.scopes & set(scope.split())))

    def check_client_secret(self, client_secret: str) -> bool:
        """Whether `client_secret` is this client's; compared in constant time."""
        return self.secret is not None and hmac.compare_digest(self.secret.encode(), client_secret.encode())

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Whether this client authenticates by `method`; one method, at every endpoint (RFC 7591 section 2)."""
        return method == self.auth_method

    def check_grant_type(self, grant_type: str) -> bool:
        """Whether this client may use `grant_type`."""
        return grant_type in self.grant_types


def registered_clients(resource_server: tuple[str, str]) -> dict[str, Client]:
    """Every client by its id; `resource_server` is the id and secret of the one that introspects."""
    client_id, secret = resource_server
    clients = (
        Client("demo-agent", "Shirt Agent", delegated=True),
        Client("demo-rival", "Rival Agent", delegated=True),
        Client("demo-console", "Control room", delegated=False),
        Client(client_id, "Shop", delegated=False, grant_types=(), auth_method="client_secret_basic", secret=secret),
    )
    return {client.client_id: client for client in clients}
