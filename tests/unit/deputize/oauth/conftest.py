"""An authorization server that can do everything, scripted; and the real one."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from demo.client import Agent
from deputize import StoredToken
from deputize.oauth.browser_flow import BROWSER
from tests.conftest import HANGS
from tests.unit.client.conftest import _sdk_is_loaded, fake, server, shop
from tests.unit.client.fakes import Reply, Request, Shop, agent_at, granted

__all__ = ["_sdk_is_loaded", "fake", "server", "shop"]


@dataclass
class AuthServer:
    """The scripted shop's authorization server with a browser flow and registration, and what it was asked."""

    shop: Shop
    registered: list[dict[str, Any]] = field(default_factory=list)
    registration: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        base = self.shop.fake.base
        self.shop.metadata |= {
            "authorization_endpoint": f"{base}/authorize",
            "registration_endpoint": f"{base}/register",
            "code_challenge_methods_supported": ["S256"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "authorization_response_iss_parameter_supported": True,
            "token_endpoint_auth_methods_supported": ["none"],
        }
        self.shop.fake.on["/register"] = self._register
        self.shop.polls(granted())

    def _register(self, request: Request) -> Reply:
        self.registered.append(request.json)
        return Reply(201, json=request.json | {"client_id": f"client-{len(self.registered)}"} | self.registration)

    @property
    def base(self) -> str:
        return self.shop.fake.base

    @property
    def forms(self) -> list[dict[str, list[str]]]:
        """What the token endpoint was sent."""
        return [request.form for request in self.shop.fake.to("/token")]


@pytest.fixture
def auth_server(shop: Shop) -> AuthServer:
    return AuthServer(shop)


@pytest.fixture
def agent(auth_server: AuthServer, tmp_path: Path) -> Agent:
    return agent_at(auth_server.base, tmp_path, client_id=None)


def answered(url: str, **more: str | None) -> str:
    """Where an authorization server sends the browser back to: with a code, and `more` put in or (None) taken out."""
    asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
    given: dict[str, str | None] = {"code": "code-0123456789", "state": asked["state"], "iss": origin, **more}
    return f"{asked['redirect_uri']}?{urlencode({name: value for name, value in given.items() if value is not None})}"


def come_back(url: str) -> tuple[int, str]:
    """Open a redirect as a browser does: (HTTP status, page)."""
    try:
        with urllib.request.urlopen(url, timeout=HANGS) as page:
            return page.status, page.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def log_in(agent: Agent, redirect: Callable[[str], str] = answered) -> StoredToken:
    """A whole login in the browser."""
    login = agent.start_login(("shop:read",), BROWSER)
    threading.Thread(target=come_back, args=(redirect(login.url),), daemon=True).start()
    return agent.finish_login(login, timeout=HANGS)
