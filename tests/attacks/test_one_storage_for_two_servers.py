"""A program gives one `TokenStorage` of the MCP SDK to the login flows of two servers. It has one place for a token, so
that the second server would be sent the first one's with the very first request (RFC 9700 section 4.9).

The same is done with the check left out, and the token arrives there.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest
from mcp.client.auth import TokenStorage
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

from deputize import BrowserFlow, DeviceFlow
from deputize.errors import UsageError
from deputize.tokens import sdk_storage

TOKEN = "t0ken-of-the-first-server"


class Memory(TokenStorage):
    """As the SDK's documentation has a user write it, with a token of the first server."""

    async def get_tokens(self) -> OAuthToken | None:
        return OAuthToken(access_token=TOKEN)

    async def set_tokens(self, tokens: OAuthToken) -> None: ...

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return OAuthClientInformationFull(client_id="a-client", issuer="https://as.example", redirect_uris=None)

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None: ...


@pytest.fixture
def second() -> Iterator[tuple[str, list[str]]]:
    """Another server: its address, and the credentials that it was sent."""
    sent: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent.append(self.headers.get("authorization", ""))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing to the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/mcp", sent
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("flow", [DeviceFlow, BrowserFlow])
@pytest.mark.parametrize("weak", [False, True])
def test_the_second_server_is_not_sent_the_first_ones_token(
    second: tuple[str, list[str]], flow: Any, weak: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, sent = second
    shared = Memory()
    if weak:
        monkeypatch.setattr(sdk_storage, "claim", lambda *_: None)
    for again in ("https://first.example/mcp", "https://first.example"):
        DeviceFlow(again, store=shared)
    try:
        httpx2.post(url, auth=flow(url, store=shared), timeout=30, trust_env=False)
    except UsageError:
        assert not weak
    assert sent == ([f"Bearer {TOKEN}"] if weak else [])
