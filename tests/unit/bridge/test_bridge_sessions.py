"""A host's connection is one session at a server that has any; what the host gives up, the server is told."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp_types import CallToolRequest, CallToolRequestParams, CallToolResult, ListPromptsRequest, ListPromptsResult

from demo.bridge.refusals import of_error
from demo.bridge.upstream import Upstream
from deputize import OAuthRefused, TokenStore
from deputize.errors import ServerUnreachable
from deputize.http.bounded import run
from tests.unit.bridge.hosts import hosted, keep_token
from tests.unit.client.bytes_fake import Answer as Sent
from tests.unit.client.bytes_fake import BytesFake, Request, error, http, result, told, words
from tests.unit.client.conftest import older_server, sdk_server
from tests.unit.client.fakes import agent_at
from tests.unit.client.test_client_one_session import GONE, Stateful, sent

Serve = Callable[[Callable[[Request], Sent]], BytesFake]


@pytest.fixture
def serve() -> Iterator[Serve]:
    fakes: list[BytesFake] = []

    def make(answer: Callable[[Request], Sent]) -> BytesFake:
        fakes.append(BytesFake(answer))
        fakes[-1].start()
        return fakes[-1]

    yield make
    for one in fakes:
        one.stop()


def bridged(url: str, folder: Path, work: Callable[[Upstream], Awaitable[Any]]) -> Any:
    """Do `work` as a host would that is connected once."""

    async def main() -> Any:
        async with Upstream(lambda: agent_at(url, folder), seconds=15).connected() as upstream:
            return await work(upstream)

    return run(main, 60.0, TimeoutError)


async def count(upstream: Upstream, tool: str = "count", **arguments: Any) -> str:
    request = CallToolRequest(params=CallToolRequestParams(name=tool, arguments=arguments))
    answer = await upstream.ask(request, CallToolResult)
    assert answer.result is not None, answer
    text: str = answer.result["content"][0]["text"]
    return text


def test_calls_of_a_host_are_one_session_which_is_ended_with_it(serve: Serve, tmp_path: Path) -> None:
    fake = serve(Stateful(GONE["404"]))

    async def work(upstream: Upstream) -> list[str]:
        first = [await count(upstream) for _ in range(2)]
        both: list[str] = []

        async def one() -> None:
            both.append(await count(upstream))

        async with anyio.create_task_group() as beside:
            beside.start_soon(one)
            beside.start_soon(one)
        return first + sorted(both)

    assert bridged(fake.url, tmp_path, work) == ["s1: 1", "s1: 2", "s1: 3", "s1: 4"]
    assert (sent(fake).count("initialize"), sent(fake)[-1]) == (1, "DELETE")
    assert fake.requests[-1].headers["mcp-session-id"] == "s1"


@pytest.mark.parametrize("kind", GONE)
def test_a_session_that_the_server_lost_is_begun_again(kind: str, serve: Serve, tmp_path: Path) -> None:
    server = Stateful(GONE[kind])

    async def work(upstream: Upstream) -> list[str]:
        before = await count(upstream)
        server.calls.clear()
        return [before, await count(upstream), await count(upstream)]

    assert bridged(serve(server).url, tmp_path, work) == ["s1: 1", "s2: 1", "s2: 2"]


def test_a_server_that_forgets_every_session_is_not_followed_without_end(serve: Serve, tmp_path: Path) -> None:
    server = Stateful(GONE["404"])

    def forgetful(request: Request) -> Sent:
        if request.json.get("method") == "tools/call":
            server.calls.clear()
        return server(request)

    fake = serve(forgetful)

    async def work(upstream: Upstream) -> None:
        answer = await upstream.ask(
            CallToolRequest(params=CallToolRequestParams(name="count", arguments={})), CallToolResult
        )
        assert answer.result is None

    bridged(fake.url, tmp_path, work)
    assert sent(fake).count("initialize") == 2


def test_what_the_host_cancels_is_told_and_the_session_goes_on(serve: Serve, tmp_path: Path) -> None:
    server = Stateful(GONE["404"])

    def slow(request: Request) -> Sent:
        wait = request.json.get("method") == "tools/call" and request.json["params"]["name"] == "wait"
        return None if wait and "mcp-session-id" in request.headers else server(request)

    fake = serve(slow)

    async def work(upstream: Upstream) -> str:
        await count(upstream)
        async with anyio.create_task_group() as beside:
            beside.start_soon(count, upstream, "wait")
            with anyio.fail_after(10):
                while len(fake.asked("tools/call")) < 3:
                    await anyio.sleep(0.01)
            beside.cancel_scope.cancel()
        return await count(upstream)

    assert bridged(fake.url, tmp_path, work) == "s1: 2"
    (told_,) = fake.asked("notifications/cancelled")
    (waiting,) = [one for one in fake.asked("tools/call") if one.json["params"]["name"] == "wait"]
    assert told_.json["params"]["requestId"] == waiting.json["id"]
    assert told_.headers["mcp-session-id"] == "s1"
    assert sent(fake)[-1] == "DELETE"


def test_a_call_that_is_hung_up_on_is_not_made_again_and_others_go_on(serve: Serve, tmp_path: Path) -> None:
    server = Stateful(GONE["404"])

    def rude(request: Request) -> Sent:
        gone = request.json.get("method") == "tools/call" and request.json["params"]["name"] == "buy"
        return iter([]) if gone and "mcp-session-id" in request.headers else server(request)

    fake = serve(rude)

    async def work(upstream: Upstream) -> str:
        await count(upstream)
        with pytest.raises(ServerUnreachable):
            await count(upstream, "buy")
        return await count(upstream)

    assert bridged(fake.url, tmp_path, work) == "s1: 2"
    assert len([one for one in fake.asked("tools/call") if one.json["params"]["name"] == "buy"]) == 1


def claims(**given: str) -> str:
    """An access token as a JWT, which nobody here verifies."""
    head, payload = ({"alg": "none"}, given)
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (head, payload))
    return ".".join((*parts, "c2lnbmF0dXJl"))


@pytest.mark.parametrize(
    ("second", "session"),
    [
        (claims(sub="alice", sid="one", jti="2"), "s1: 2"),
        (claims(sub="alice", sid="two", jti="2"), "s2: 1"),
        (claims(sub="bob", sid="three"), "s2: 1"),
    ],
)
def test_a_renewed_token_stays_in_the_session_and_another_login_does_not(
    second: str, session: str, serve: Serve, tmp_path: Path
) -> None:
    fake = serve(Stateful(GONE["404"]))
    keep_token(fake.url, tmp_path, claims(sub="alice", sid="one", jti="1"))

    async def work(upstream: Upstream) -> list[str]:
        first = await count(upstream)
        keep_token(fake.url, tmp_path, second)
        return [first, await count(upstream)]

    assert bridged(fake.url, tmp_path, work) == ["s1: 1", session]
    assert fake.asked("tools/call")[-1].headers["authorization"] == f"Bearer {second}"


@pytest.mark.parametrize("answer", [Stateful(GONE["404"]), lambda request: result(request, words("s1: 1"))])
def test_a_server_that_wants_no_token_is_asked_without_one(answer: Any, serve: Serve, tmp_path: Path) -> None:
    fake = serve(answer)
    assert bridged(fake.url, tmp_path, count) == "s1: 1"
    assert all("authorization" not in request.headers for request in fake.requests)


def test_where_a_token_is_wanted_and_none_is_stored_that_is_said(serve: Serve, tmp_path: Path) -> None:
    fake = serve(lambda _: http(401, "<html>401</html>", kind="text/html", www_authenticate="Bearer"))
    with pytest.raises(OAuthRefused) as caught:
        bridged(fake.url, tmp_path, count)
    assert caught.value.oauth_error == "not_logged_in"


@pytest.mark.parametrize(
    ("metadata", "flow"),
    [
        ({"authorization_endpoint": "/authorize", "code_challenge_methods_supported": ["S256"]}, "--browser"),
        ({"device_authorization_endpoint": "/device"}, "--device"),
        ({}, None),
    ],
)
def test_the_login_that_is_named_is_by_a_flow_that_exists(
    metadata: dict[str, Any], flow: str | None, serve: Serve, tmp_path: Path
) -> None:
    def answer(request: Request) -> Sent:
        base = f"http://{request.headers['host']}"
        if request.path == "/.well-known/oauth-protected-resource/mcp":
            return told(200, {"resource": f"{base}/mcp", "authorization_servers": [base]})
        if request.path == "/.well-known/oauth-authorization-server":
            given = {name: base + value if isinstance(value, str) else value for name, value in metadata.items()}
            return told(200, {"issuer": base, "token_endpoint": f"{base}/token", **given})
        return http(401, www_authenticate="Bearer") if request.path == "/mcp" else http(404)

    fake = serve(answer)
    assert bridged(fake.url, tmp_path, lambda upstream: upstream.login_flow(10.0)) == flow


def test_a_host_at_the_sdks_own_older_server_has_one_session(tmp_path: Path) -> None:
    with older_server("stream") as url:
        keep_token(url, tmp_path)

        async def work(host: Client) -> list[str]:
            return [(await host.call_tool("visits", {})).content[0].text for _ in range(3)]  # type: ignore[union-attr]

        assert hosted(url, tmp_path, "2025-11-25", work) == ["1", "2", "3"]


def test_a_host_at_a_server_of_the_oldest_transport_has_one_stream(tmp_path: Path) -> None:
    with sdk_server("sse") as base:
        url = f"{base}/sse"

        async def work(upstream: Upstream) -> int:
            with upstream.recorder.collect() as exchanges:
                for _ in range(3):
                    await count(upstream, "add", a=1, b=2)
            methods = [(one.sent or {}).get("method") for one in exchanges if one.url != url]
            assert methods.count("tools/call") == 3
            return methods.count("initialize")

        assert TokenStore.open(tmp_path, server=url, use_keyring=False).get("agent") is None
        assert bridged(url, tmp_path, work) == 1


def test_a_url_and_a_command_stay_as_they_are_written() -> None:
    said = of_error(ServerUnreachable("http://one.example/mcp cannot be reached", why="no route", do="demo doctor"), "")
    assert said.text == "http://one.example/mcp cannot be reached. No route. demo doctor."


def test_a_server_of_the_newest_revision_is_held_to_it(serve: Serve, tmp_path: Path) -> None:
    """A host asks for prompts where there are none: that is no sign of an older server."""

    def answer(request: Request) -> Sent:
        if request.json.get("method") == "tools/call":
            return result(request, words("s1: 1"))
        return error(request, 200, -32601, "Method not found")

    fake = serve(answer)

    async def work(upstream: Upstream) -> int | None:
        await count(upstream)
        return (await upstream.ask(ListPromptsRequest(), ListPromptsResult)).error_code

    assert bridged(fake.url, tmp_path, work) == -32601
    assert sent(fake) == ["tools/call", "prompts/list"]


def test_what_was_on_the_wire_is_not_kept_for_days(serve: Serve, tmp_path: Path) -> None:
    fake = serve(lambda request: result(request, words("s1: 1")))
    tokens = [f"an-access-token-number-{number}" for number in range(3)]

    async def work(upstream: Upstream) -> tuple[int, list[bool]]:
        for token in tokens:
            keep_token(fake.url, tmp_path, token)
            await count(upstream)
        masked = upstream.recorder.masked(" ".join(tokens))
        return len(upstream.recorder.exchanges), [token not in masked for token in tokens]

    # A request that is under way may still carry the token before.
    assert bridged(fake.url, tmp_path, work) == (0, [False, True, True])
