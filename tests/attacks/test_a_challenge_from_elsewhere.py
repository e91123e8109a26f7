"""A server that sends its client on to somebody else's, by an open redirect: the answer from there is a challenge. It
says that the first server's tokens are to be had at an authorization server of the attacker's, and a human would be
sent there to log in (RFC 9700 section 4.11, CWE-601). HTTP clients of the MCP SDK follow redirects.

The same is done by a flow that goes by every answer, and the human is sent there.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest

from deputize import ClientIdentity, DeviceFlow
from deputize.evidence import DeviceCode
from deputize.oauth import httpx_auth
from deputize.oauth.login_flow import LoginPending


class Servers:
    """The server that is meant, which redirects, and the attacker's, which is all that it says it is."""

    def __init__(self) -> None:
        self.meant, self.elsewhere = "", ""

    def answer(self, base: str, path: str) -> tuple[int, dict[str, str], dict[str, Any]]:
        there = self.elsewhere
        if base == self.meant:
            return (307, {"location": f"{there}/mcp"}, {}) if path == "/mcp" else (404, {}, {})
        server = {"issuer": there, "token_endpoint": f"{there}/token", "response_types_supported": []}
        code = {"device_code": "d", "user_code": "ABCD", "verification_uri": f"{there}/device", "expires_in": 60}
        known: dict[str, tuple[int, dict[str, str], dict[str, Any]]] = {
            "/mcp": (401, {"www-authenticate": f'Bearer resource_metadata="{there}/about"'}, {}),
            "/about": (200, {}, {"resource": f"{self.meant}/mcp", "authorization_servers": [there]}),
            "/.well-known/oauth-authorization-server": (
                200,
                {},
                server | {"device_authorization_endpoint": f"{there}/code"},
            ),
            "/code": (200, {}, code | {"interval": 1}),
        }
        return known.get(path, (400, {}, {"error": "authorization_pending"}))


@pytest.fixture
def servers() -> Iterator[Servers]:
    both = Servers()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            base = f"http://127.0.0.1:{self.server.server_address[1]}"
            status, headers, told = both.answer(base, self.path)
            body = json.dumps(told).encode()
            self.send_response(status)
            for name, value in {
                "content-type": "application/json",
                "content-length": str(len(body)),
                **headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            """Nothing to the terminal."""

    running = [ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2)]
    for one in running:
        threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    both.meant, both.elsewhere = (f"http://127.0.0.1:{one.server_port}" for one in running)
    yield both
    for one in running:
        one.shutdown()
        one.server_close()


@pytest.mark.parametrize("weak", [False, True])
def test_no_human_is_sent_where_another_server_says(
    servers: Servers, weak: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if weak:
        monkeypatch.setattr(httpx_auth, "_is_from", lambda *_: True)
    shown: list[DeviceCode] = []
    flow = DeviceFlow(f"{servers.meant}/mcp", client=ClientIdentity("a-client"), show=shown.append, patience=0.2)
    with httpx2.Client(auth=flow, follow_redirects=True, timeout=30, trust_env=False) as http:
        try:
            answer = http.post(f"{servers.meant}/mcp", json={})
            assert (answer.status_code, weak) == (401, False)
        except LoginPending:
            assert weak
    assert [one.verification_uri for one in shown] == ([f"{servers.elsewhere}/device"] if weak else [])
