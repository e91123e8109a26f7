"""Servers of a few scripted answers on real sockets, and what tests of the client do with an agent again and again."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from demo.client import Agent, SampleHuman
from deputize import StoredToken, TokenStore
from deputize.evidence import Money
from deputize.oauth.device_flow import DeviceLogin
from tests.conftest import HANGS

ALICE = "alice@example.com"
SCOPES = ("openid", "shop:read", "orders:read", "shop:buy", "offline_access")
SHIRT = {"company": "Acme", "mailingAddress": "1 Main Street", "tshirtSize": "M"}


@dataclass(frozen=True)
class Request:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def form(self) -> dict[str, list[str]]:
        return parse_qs(self.body.decode())

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """One scripted answer; `wait` seconds pass before it."""

    status: int = 200
    json: Any = None
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    wait: float = 0.0


Script = Callable[[Request], Reply]


class Fake:
    """An HTTP server whose answers a test writes: `on[path]` is a reply, a function of the request, or a list of
    replies, of which the last one stays."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.on: dict[str, Reply | Script | list[Reply]] = {}
        self.requests: list[Request] = []
        self.ahead = 0.0
        """Seconds by which its clock, told in `Date`, is ahead of ours."""
        self._lock = threading.Lock()

    def answer(self, request: Request) -> Reply:
        with self._lock:
            self.requests.append(request)
            script = self.on.get(request.path.partition("?")[0], Reply(404, json={"error": "not_found"}))
            if isinstance(script, list):
                return script.pop(0) if len(script) > 1 else script[0]
        return script(request) if callable(script) else script

    def to(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path.partition("?")[0] == path]


@contextlib.contextmanager
def faking() -> Iterator[Fake]:
    """A `Fake`, listening."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65536  # an answer in one piece: two would wait for each other (RFC 896)

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = fake.answer(Request(self.command, self.path, headers, body, time.monotonic()))
            time.sleep(reply.wait)
            content = reply.body if reply.json is None else json.dumps(reply.json).encode()
            given = {name.lower() for name, _ in reply.headers}
            with contextlib.suppress(OSError):
                self.send_response(reply.status)
                for name, value in reply.headers:
                    self.send_header(name, value)
                if "content-type" not in given:
                    self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _serve

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string(time.time() + fake.ahead)

        def log_message(self, format: str, *args: Any) -> None:
            return None

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: Any, client_address: Any) -> None:
            return None

    server = Server(("127.0.0.1", 0), Handler)
    fake = Fake(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def raw_server(handle: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that hands each connection to `handle`, whatever comes on it. Yields its base URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def talk(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                handle(connection)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=talk, args=(connection,), daemon=True).start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            accepting.join(HANGS)


@dataclass
class Shop:
    """A fake of shop and authorization server in one, as far as a login goes: everything published, nothing decided."""

    fake: Fake
    resource: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    device: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        base = self.fake.base
        hint = f'Bearer realm="shop", resource_metadata="{base}/.well-known/oauth-protected-resource/mcp"'
        self.resource = {"resource": f"{base}/mcp", "authorization_servers": [base]}
        self.metadata = {
            "issuer": base,
            "token_endpoint": f"{base}/token",
            "device_authorization_endpoint": f"{base}/device_authorization",
            "jwks_uri": f"{base}/jwks",
            "grant_types_supported": ["urn:ietf:params:oauth:grant-type:device_code"],
        }
        self.device = {
            "device_code": "device-code-secret-0123456789",
            "user_code": "BCDF-GHJK",
            "verification_uri": f"{base}/device",
            "expires_in": 600,
            "interval": 0.02,
        }
        self.fake.on["/mcp"] = Reply(401, headers=(("www-authenticate", hint),))
        self.fake.on["/.well-known/oauth-protected-resource/mcp"] = lambda _: Reply(json=self.resource)
        self.fake.on["/.well-known/oauth-authorization-server"] = lambda _: Reply(json=self.metadata)
        self.fake.on["/device_authorization"] = lambda _: Reply(json=self.device)

    def polls(self, *answers: Reply) -> None:
        self.fake.on["/token"] = list(answers)


def oauth(error: str, status: int = 400) -> Reply:
    """An OAuth error answer."""
    return Reply(status, json={"error": error})


def granted(**more: Any) -> Reply:
    """A token response."""
    tokens = {
        "access_token": "access-0123456789",
        "token_type": "Bearer",
        "expires_in": 300,
        "refresh_token": "r-012345",
    }
    return Reply(json=tokens | more)


def store_in(folder: Path, server: str) -> TokenStore:
    """A store in a file."""
    return TokenStore.open(folder, server=server, use_keyring=False)


def agent_at(server: str, folder: Path, **more: Any) -> Agent:
    """An agent with an empty store."""
    return Agent(server, store=store_in(folder, server), **({"timeout": HANGS / 3} | more))


def log_in(
    agent: Agent, account: str = ALICE, scopes: Sequence[str] = SCOPES, spending: Money | None = None
) -> tuple[DeviceLogin, StoredToken, SampleHuman]:
    """A whole device login on the real pages."""
    login = agent.start_login(scopes, spending=spending)
    human = SampleHuman(account)
    human.decide(login.code.verification_uri_complete or login.code.verification_uri, login.code.user_code, True)
    # Decided already: the first poll is answered, and need not wait.
    decided = replace(login, code=replace(login.code, interval=0.0))
    return login, agent.finish_login(decided, timeout=HANGS), human
