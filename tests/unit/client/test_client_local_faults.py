"""What is wrong on this machine is named as the variable or the argument it stands in, and is no server's fault."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mcp_types import CallToolRequest, CallToolRequestParams, CallToolResult

from demo.bridge.upstream import Upstream
from demo.client import Agent
from deputize import Secret
from deputize.errors import AuthorizationRefused, EnvironmentNotReady, UsageError
from deputize.http.bounded import run
from deputize.http.errors import NoConnection
from tests.unit.client.bytes_fake import Answer, BytesFake, Request, http, result, words
from tests.unit.client.fakes import agent_at

Serve = Callable[[Callable[[Request], Answer]], BytesFake]
REMOTE = "http://shop.invalid/mcp"
"""A name that no resolver knows (RFC 6761 section 6.4): only a proxy is asked for it."""


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def call(url: str, folder: Path) -> Any:
    return agent_at(url, folder).call("buy", {}, token="none")


def discover(url: str, folder: Path) -> Any:
    """The OAuth side, which asks by another way."""
    agent = agent_at(url, folder)

    async def get(client: Any) -> Any:
        from deputize.http.fetch import fetch

        return await fetch(client, "GET", url, server=url)

    return agent.http(get)


WAYS = pytest.mark.parametrize("way", [call, discover])


@WAYS
@pytest.mark.parametrize(
    ("variable", "content"), [("SSL_CERT_FILE", None), ("SSL_CERT_FILE", "no certificate"), ("SSL_CERT_DIR", None)]
)
def test_certificates_that_cannot_be_read(
    variable: str, content: str | None, way: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = tmp_path / "certificates.pem"
    if content is not None:
        named.write_text(content)
    monkeypatch.setenv(variable, str(named))
    with pytest.raises(EnvironmentNotReady) as caught:
        way("https://127.0.0.1:9/mcp", tmp_path)
    assert variable in caught.value.why and str(named) in caught.value.why
    assert variable in caught.value.do


PROXIES = {
    "refuses": ("http_proxy", "http://127.0.0.1:9"),
    "is no URL": ("HTTP_PROXY", "http://user:secret@[::1"),
    "has a scheme that nobody knows": ("ALL_PROXY", "gopher://127.0.0.1:9"),
    "speaks SOCKS": ("all_proxy", "socks5://127.0.0.1:9"),
}


@WAYS
@pytest.mark.parametrize("kind", PROXIES)
def test_a_proxy_that(kind: str, way: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variable, value = PROXIES[kind]
    monkeypatch.setenv(variable, value)
    url = REMOTE if way is call else REMOTE.replace("http:", "https:")
    monkeypatch.setenv(variable.replace("http", "https").replace("HTTP", "HTTPS"), value)
    with pytest.raises(EnvironmentNotReady) as caught:
        way(url, tmp_path)
    assert "proxy" in caught.value.what and "secret" not in f"{caught.value.what} {caught.value.why}"
    assert "_proxy" in caught.value.do.lower()


def test_a_proxy_that_asks_for_a_password(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = serve(lambda _: http(407, "<html>no</html>", kind="text/html", proxy_authenticate="Basic"))
    monkeypatch.setenv("HTTP_PROXY", fake.url)
    monkeypatch.setenv("http_proxy", fake.url)
    with pytest.raises(EnvironmentNotReady, match="proxy"):
        call(REMOTE, tmp_path)


def test_a_proxy_without_a_scheme_is_an_http_proxy(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = serve(lambda request: result(request, words("sold")))
    monkeypatch.setenv("http_proxy", fake.url.removeprefix("http://"))
    assert call(REMOTE, tmp_path).allowed
    assert [request.path for request in fake.requests] == [REMOTE]


@pytest.mark.parametrize("named", ["shop.invalid", ".invalid", "shop.invalid:80", "*"])
def test_no_proxy_is_heeded_with_a_port_too(named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", named)
    with pytest.raises(NoConnection):
        call(REMOTE, tmp_path)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


ARGUMENTS = {
    "is nested 900 deep": nested(900),
    "is half a character": "\udcff",
    "is not a number": float("nan"),
    "is without end": float("inf"),
}


@pytest.mark.parametrize("kind", ARGUMENTS)
@pytest.mark.parametrize("door", ["client", "bridge"])
def test_an_argument_that(kind: str, door: str, serve: Serve, tmp_path: Path) -> None:
    fake = serve(lambda request: result(request, words("sold")))
    agent, given = agent_at(fake.url, tmp_path), {"size": "M", "note": ARGUMENTS[kind]}

    async def bridged() -> Any:
        request = CallToolRequest(params=CallToolRequestParams(name="buy", arguments=given))
        async with Upstream(lambda: agent).connected() as upstream:
            return await upstream.ask(request, CallToolResult)

    with pytest.raises(UsageError, match="'note'"):
        agent.call("buy", given, token="none") if door == "client" else run(bridged, 20.0, TimeoutError)
    assert fake.requests == []


@pytest.mark.parametrize("token", ["two\r\nlines", "schl\xfcssel", "", "a b"])
def test_a_token_that_no_header_can_carry(token: str, serve: Serve, tmp_path: Path) -> None:
    fake = serve(lambda request: result(request, words("sold")))
    with pytest.raises(AuthorizationRefused) as caught:
        agent_at(fake.url, tmp_path).call("buy", {}, token=Secret(token))
    assert "two" not in str(caught.value) and fake.requests == []


def test_a_tool_whose_name_no_header_can_carry_is_called(serve: Serve, tmp_path: Path) -> None:
    fake = serve(lambda request: result(request, words("sold")))
    assert agent_at(fake.url, tmp_path).call("hemd kaufen\n\u4e2d", {}, token="none").allowed
    assert fake.requests[0].json["params"]["name"] == "hemd kaufen\n\u4e2d"


def test_json_that_is_called_a_web_page_is_read(serve: Serve, tmp_path: Path) -> None:
    """Also in a handshake, which the SDK reads by the header."""

    def answer(request: Request) -> Answer:
        method = request.json.get("method")
        if method == "initialize":
            about = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "s", "version": "1"}}
            said = result(request, about, mcp_session_id="s1")
        elif "mcp-session-id" not in request.headers:
            return http(422, "no session", kind="text/plain")
        else:
            said = http(202) if method != "tools/call" else result(request, words("sold"))
        return said.replace(b"application/json", b"text/html; charset=utf-8")

    fake = serve(answer)
    assert call(fake.url, tmp_path).allowed
    assert isinstance(agent_at(fake.url, tmp_path), Agent)
