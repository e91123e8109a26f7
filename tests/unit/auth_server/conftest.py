"""A real authorization server on a real socket, with a clock that tests turn, and a browser that fills in its forms."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest
import uvicorn
from joserfc import jwt
from joserfc.jwk import ECKey
from starlette.applications import Starlette

from demo.auth_server.context import AuthorizationServerConfig
from demo.auth_server.routes import create_authorization_server
from tests.conftest import HANGS

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
RESOURCE_SERVER = ("demo-shop", "introspection-secret")
CONSOLE = "demo-console"
CONSOLE_KEY = ECKey.generate_key("P-256")
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CALLBACK = "http://127.0.0.1:49152/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
EVERYTHING = "openid shop:read orders:read shop:buy offline_access"


stopping: list[threading.Thread] = []
"""Servers told to stop. Each takes 0.2 s for it, for which only a test that starts one again need wait."""


class Clock:
    """The time as a test wants it."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += seconds


class Forms(HTMLParser):
    """The forms of a page, and what it marks with data-show."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[dict[str, Any]] = []
        self.shown: dict[str, list[str]] = {}
        self.scripts = 0
        self._show: tuple[str, str] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self.forms.append(
                {"action": given.get("action"), "method": given.get("method"), "fields": {}, "buttons": []}
            )
        elif tag == "input" and self.forms:
            if given.get("type") != "checkbox" or "checked" in given:
                self.forms[-1]["fields"][given["name"]] = given.get("value") or ""
        elif tag == "button" and given.get("name"):
            self.forms[-1]["buttons"].append((given["name"], given["value"])) if self.forms else None
        elif tag == "script":
            self.scripts += 1
        if "data-show" in given:
            filled_in = f"{given.get('value')} {given.get('data-unit')}" if tag == "input" else ""
            self.shown.setdefault(str(given["data-show"]), []).append(given.get("data-scope") or filled_in)
            self._show = (str(given["data-show"]), tag)

    def handle_data(self, data: str) -> None:
        if self._show and not self.shown[self._show[0]][-1]:
            self.shown[self._show[0]][-1] = data.strip()
            self._show = None

    def form(self, action: str, button: str | None = None) -> dict[str, Any]:
        return next(
            form
            for form in self.forms
            if form["action"] == action and (button is None or button in [name for name, _ in form["buttons"]])
        )


def filled(form: dict[str, Any], values: dict[str, str | None]) -> dict[str, str]:
    """A form's fields with `values` in them; None leaves a field out."""
    return {name: value for name, value in {**form["fields"], **values}.items() if value is not None}


class Browser:
    """One browser: cookies, forms, redirects."""

    def __init__(self, base: str) -> None:
        # verify=False: loopback speaks http, and loading the root certificates takes longer than a whole test.
        self.http = httpx2.Client(base_url=base, follow_redirects=True, timeout=HANGS, verify=False)
        self.page: httpx2.Response
        self.at: httpx2.URL
        """Of the last consent page."""

    def again(self) -> httpx2.Response:
        """The last consent page, loaded again."""
        self.page = self.http.get(self.at)
        return self.page

    def get(self, path: str, **query: str) -> httpx2.Response:
        self.page = self.http.get(path, params=query or None)
        return self.page

    @property
    def forms(self) -> Forms:
        return Forms(self.page.text)

    def submit(self, action: str, **values: str | None) -> httpx2.Response:
        """Submit the page's form with this action, with `values` typed in or clicked; None leaves a field out."""
        form = self.forms.form(action)
        assert form["method"] == "post"
        self.page = self.http.post(action, data=filled(form, values))
        return self.page

    def consent(self, user_code: str, account: str = "alice@example.com") -> httpx2.Response:
        """As far as the consent page."""
        self.get("/device")
        self.submit("/device", user_code=user_code)
        if self.page.url.path == "/device/sign-in":
            self.submit("/device/sign-in", account=account)
        self.at = self.page.url
        return self.page

    def decide(self, user_code: str, decision: str = "approve", account: str = "alice@example.com") -> httpx2.Response:
        self.consent(user_code, account)
        return self.submit("/device/consent", decision=decision)


class Walk:
    """A browser that a client sent: follows redirects on the server's own origin, and stops where they leave it."""

    def __init__(self, base: str, path: str) -> None:
        self.http = httpx2.Client(base_url=base, timeout=HANGS, verify=False)
        self.left: str | None = None
        self._go(self.http.get(path))

    def _go(self, answer: httpx2.Response) -> None:
        while answer.has_redirect_location:
            onward = answer.headers["location"]
            if not onward.startswith("/"):
                self.left = onward
                break
            answer = self.http.get(onward)
        self.page = answer

    @property
    def forms(self) -> Forms:
        return Forms(self.page.text)

    @property
    def told(self) -> dict[str, str]:
        """What the client is told in its redirect's query."""
        assert self.left is not None, self.page.text
        return dict(parse_qsl(urlsplit(self.left).query))

    def submit(self, action: str, **values: str | None) -> Walk:
        self._go(self.http.post(action, data=filled(self.forms.form(action), values)))
        return self

    def sign_in(self, account: str = "alice@example.com") -> Walk:
        return self.submit("/device/sign-in", account=account)

    def decide(self, decision: str = "approve") -> Walk:
        return self.submit("/device/consent", decision=decision)


def assertion(base: str, *, key: ECKey = CONSOLE_KEY, **claims: Any) -> str:
    """What the human's console proves itself with at the authorization server `base`; None leaves a claim out."""
    now = int(time.time())
    given = {"iss": CONSOLE, "sub": CONSOLE, "aud": base, "iat": now, "exp": now + 60, "jti": secrets.token_hex(8)}
    kept = {name: value for name, value in {**given, **claims}.items() if value is not None}
    return jwt.encode({"alg": "ES256"}, kept, key)


@dataclass
class House:
    """one running authorization server and how tests speak to it."""

    base: str
    clock: Clock
    database: Path
    http: httpx2.Client = field(repr=False)

    @property
    def shop(self) -> str:
        return f"{self.base}/mcp"

    @property
    def account(self) -> str:
        return f"{self.base}/account"

    def spending(self, amount: int = 6000) -> str:
        return json.dumps(
            [
                {
                    "type": "shop_spending",
                    "actions": ["buy"],
                    "locations": [self.shop],
                    "limit": {"amount": amount, "currency": "USD"},
                }
            ]
        )

    def ask(self, **values: Any) -> httpx2.Response:
        """A device authorization request; None leaves a field out."""
        given = {"client_id": "demo-agent", "scope": EVERYTHING, "resource": self.shop, **values}
        given |= self.proof(given["client_id"])
        return self.http.post(
            "/oauth2/device_authorization", data={name: value for name, value in given.items() if value is not None}
        )

    def proof(self, client_id: str | None) -> dict[str, str]:
        """What a client sends that proves itself with a key, as the human's console does; nothing for another."""
        if client_id != CONSOLE:
            return {}
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion(self.base)}

    def redeem(self, device_code: str, client_id: str = "demo-agent", **values: str) -> httpx2.Response:
        data = {"grant_type": DEVICE_CODE, "device_code": device_code, "client_id": client_id, **values}
        data |= self.proof(client_id)
        return self.http.post("/oauth2/token", data=data)

    def refresh(self, refresh_token: str, client_id: str = "demo-agent", **values: str) -> httpx2.Response:
        data = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": client_id, **values}
        data |= self.proof(client_id)
        return self.http.post("/oauth2/token", data=data)

    def introspect(self, token: str) -> dict[str, Any]:
        answer = self.http.post("/oauth2/introspect", data={"token": token}, auth=RESOURCE_SERVER)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def browser(self) -> Browser:
        return Browser(self.base)

    def login(self, account: str = "alice@example.com", **values: Any) -> dict[str, Any]:
        """Ask, approve, redeem; the token response."""
        asked = self.ask(**values).json()
        self.browser().decide(asked["user_code"], account=account)
        answer = self.redeem(asked["device_code"], values.get("client_id", "demo-agent"))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def authorize(self, **values: Any) -> Walk:
        """A browser at the authorization endpoint, gone as far as it goes by itself; None leaves a field out."""
        given = {
            "response_type": "code",
            "client_id": "demo-agent",
            "redirect_uri": CALLBACK,
            "scope": EVERYTHING,
            "resource": self.shop,
            "state": "st/ate 1",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **values,
        }
        query = urlencode({name: value for name, value in given.items() if value is not None}, doseq=True)
        return Walk(self.base, f"/oauth2/authorize?{query}")

    def code(self, **values: Any) -> str:
        """An authorization code, asked for and approved by Alice."""
        return self.authorize(**values).sign_in().decide().told["code"]

    def exchange(self, code: str, *, auth: tuple[str, str] | None = None, **values: Any) -> httpx2.Response:
        """A token request with a code; None leaves a field out."""
        given = {
            "grant_type": "authorization_code",
            "code": code,
            "client_id": "demo-agent",
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
            **values,
        }
        data = {name: value for name, value in given.items() if value is not None}
        return self.http.post("/oauth2/token", data=data, auth=auth)

    def register(self, **values: Any) -> httpx2.Response:
        """A registration of a native, public agent; None leaves a field out."""
        given = {
            "client_name": "Newcomer",
            "redirect_uris": ["http://127.0.0.1/callback"],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
            "application_type": "native",
            **values,
        }
        body = {name: value for name, value in given.items() if value is not None}
        return self.http.post("/oauth2/register", json=body)

    def console(self, account: str = "alice@example.com") -> dict[str, str]:
        """The Authorization header of a human's console, for the account API."""
        token = self.login(
            account, client_id="demo-console", scope="openid sessions:manage offline_access", resource=self.account
        )
        return {"Authorization": f"Bearer {token['access_token']}"}


def claims(token: str) -> dict[str, Any]:
    """The claims of a JWT, unverified."""
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


@contextmanager
def serve(database: Path, clock: Callable[[], float], listener: socket.socket, **settings: Any) -> Iterator[str]:
    """An authorization server on `listener` until the block ends."""
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = AuthorizationServerConfig(
        issuer=base,
        database=database,
        resources=(f"{base}/mcp", f"{base}/account"),
        resource_server=RESOURCE_SERVER,
        clock=clock,
        # A resource server without a stream is waited for that long.
        **{"console_key": CONSOLE_KEY.as_dict(private=False), "lease_seconds": 0.3, **settings},
    )
    server = uvicorn.Server(
        uvicorn.Config(Starlette(routes=create_authorization_server(config).routes), log_level="error", lifespan="off")
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield base
    finally:
        server.should_exit = server.force_exit = True  # idle connections of browsers are not waited for
        stopping.append(thread)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_house(tmp_path: Path, clock: Clock) -> Callable[..., Any]:
    """Start an authorization server, and again on the same port with the same state."""
    port = 0

    @contextmanager
    def make(database: str = "state.db", **settings: Any) -> Iterator[House]:
        nonlocal port
        while port and stopping:
            stopping.pop().join(10)
        # IPPROTO_TCP by name: asyncio sets TCP_NODELAY on such sockets only, and an answer else waits 40 ms for an ACK.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        port = listener.getsockname()[1]
        path = tmp_path / database
        with (
            serve(path, clock, listener, **settings) as base,
            httpx2.Client(base_url=base, timeout=HANGS, verify=False) as http,
        ):
            yield House(base, clock, path, http)

    return make


@pytest.fixture
def house(make_house: Callable[..., Any]) -> Iterator[House]:
    with make_house() as house:
        yield house


@pytest.fixture
def read_claims() -> Callable[[str], dict[str, Any]]:
    return claims
