"""Which scopes the talk's login asks for at another server, and when there is nothing more to ask for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from demo.settings.tools import ToolMap
from talk.playing.kind import Past
from talk.playing.login import LOGIN
from talk.playing.other_server import OtherServer

WISHED = ("openid", "shop:read", "shop:buy", "offline_access")


def server(resource: tuple[str, ...], auth_server: tuple[str, ...], *, held: Any = None) -> OtherServer:
    """A server whose resource and authorization server publish these scopes."""
    seen = SimpleNamespace(
        resource=SimpleNamespace(scopes_supported=resource),
        authorization_server=SimpleNamespace(
            issuer="https://as.example",
            scopes_supported=auth_server,
            device_authorization_endpoint="https://as.example/device",
        ),
        challenge=SimpleNamespace(
            get=lambda _: None, resource=SimpleNamespace(scopes_supported=resource), scope=resource
        ),
        reports_decisions=False,
        requires_token=True,
        failure=lambda _: None,
    )
    return OtherServer(seen, SimpleNamespace(stored=lambda: held), ToolMap(), no_console=lambda: None)  # type: ignore[arg-type]  # what it looks at


@pytest.mark.parametrize(
    ("resource", "auth_server", "asked"),
    [
        # The resource lists its own scopes, and the authorization server says that it gives refresh tokens.
        (
            ("shop:read", "shop:buy"),
            ("openid", "offline_access", "shop:read", "shop:buy"),
            "shop:read shop:buy offline",
        ),
        # It gives none, or does not say so.
        (("shop:read", "shop:buy"), ("openid", "shop:read"), "shop:read shop:buy"),
        # The resource names nothing: what the authorization server knows.
        ((), ("openid", "offline_access"), "openid offline"),
        # Nothing of what is wished is known: all that the resource names.
        (("mcp:tools",), ("openid", "offline_access"), "mcp:tools offline"),
    ],
)
def test_a_refresh_token_is_asked_for_where_the_authorization_server_gives_them(
    resource: tuple[str, ...], auth_server: tuple[str, ...], asked: str
) -> None:
    expected = asked.replace("offline", "offline_access").split()
    assert server(resource, auth_server).scopes(WISHED) == tuple(expected)


@pytest.mark.parametrize(
    ("scope", "refresh_token", "more"),
    [
        (("shop:read", "shop:buy", "offline_access"), "r", False),
        (("shop:read", "shop:buy"), "r", False),  # its answer does not repeat the scope, and it gave one
        (("shop:read", "shop:buy"), None, True),
        (("shop:read", "offline_access"), "r", True),
    ],
)
def test_there_is_nothing_more_to_ask_for_once_all_of_it_is_held(
    scope: tuple[str, ...], refresh_token: str | None, more: bool
) -> None:
    held = SimpleNamespace(scope=scope, refresh_token=refresh_token)
    there = server(("shop:read", "shop:buy"), ("offline_access",), held=held)
    asks = SimpleNamespace(do="login", options={"scopes": WISHED, "who": "agent"})
    why = LOGIN.why_not(asks, there, Past(granted=True))  # type: ignore[arg-type]  # what it looks at
    assert (why is None) is more, why
