"""Redirects of the MCP endpoint: within its origin and with the request whole they are followed, no others, ever."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from demo.client import Agent
from deputize import Secret
from deputize.errors import ServerUnreachable
from tests.unit.client.bytes_fake import Answer, BytesFake, Request, http, result, words

Serve = Callable[[Callable[[Request], Answer]], BytesFake]
Make = Callable[..., Agent]
TOKEN = Secret("a-token-of-some-length")


@pytest.mark.parametrize("status", [307, 308])
def test_one_within_the_origin_is_followed_with_the_token(status: int, serve: Serve, agent: Make) -> None:
    fake = serve(lambda r: http(status, location="/mcp/") if r.path == "/mcp" else result(r, words("here")))
    outcome = agent(fake.url).call("buy", {"size": "M"}, token=TOKEN)
    assert (outcome.text, [exchange.status for exchange in outcome.exchanges]) == ("here", [status, 200])
    first, second = fake.requests
    assert second.body == first.body
    assert second.headers["authorization"] == first.headers["authorization"] == f"Bearer {TOKEN.value}"


@pytest.mark.parametrize("status", [301, 302, 303])
def test_one_that_would_drop_the_request_is_not_followed(status: int, serve: Serve, agent: Make) -> None:
    fake = serve(lambda r: http(status, location="/mcp/") if r.path == "/mcp" else result(r, words("here")))
    with pytest.raises(ServerUnreachable) as caught:
        agent(fake.url).call("buy", {}, token=TOKEN)
    assert f"HTTP {status}" in caught.value.why and "/mcp/" in caught.value.why
    assert [request.path for request in fake.requests] == ["/mcp"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("scheme", ["http:", ""])
def test_none_carries_the_token_to_another_origin(status: int, scheme: str, serve: Serve, agent: Make) -> None:
    thief = serve(lambda request: result(request, words("thank you")))
    onward = f"{scheme}{thief.url.removeprefix('http:')}/mcp"
    fake = serve(lambda _: http(status, location=onward))
    with pytest.raises(ServerUnreachable) as caught:
        agent(fake.url).call("buy", {}, token=TOKEN)
    assert "not followed" in caught.value.why and onward in caught.value.why
    assert thief.requests == []
    assert len(fake.requests) == 1


@pytest.mark.parametrize(
    "onward", ["javascript:alert(1)", "file:///etc/passwd", "http://[oops", "", "\x1b]0;owned\x07"]
)
def test_what_is_no_place_to_go_to_is_named_safely(onward: str, serve: Serve, agent: Make) -> None:
    fake = serve(lambda _: http(307, location=onward))
    with pytest.raises(ServerUnreachable) as caught:
        agent(fake.url).call("buy", {}, token=TOKEN)
    assert len(fake.asked("tools/call")) <= 4
    assert not {"\x1b", "\x07"} & set(caught.value.what + caught.value.why)


def test_one_with_credentials_of_its_own_is_not_followed(serve: Serve, agent: Make) -> None:
    fake = serve(lambda _: http(307, location=fake.url.replace("http://", "http://user:secret@") + "/mcp"))
    with pytest.raises(ServerUnreachable):
        agent(fake.url).call("buy", {}, token=TOKEN)
    assert len(fake.requests) == 1


def test_endless_ones_end(serve: Serve, agent: Make) -> None:
    fake = serve(lambda r: http(307, location=f"/mcp{len(fake.requests)}"))
    with pytest.raises(ServerUnreachable) as caught:
        agent(fake.url).call("buy", {}, token=TOKEN)
    assert "again and again" in caught.value.why
    assert len(fake.requests) == 4
