"""One request to the server behind the bridge: headers that only its list names, and secrets that stay here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp_types import CallToolRequest, CallToolRequestParams, CallToolResult

from demo.bridge.upstream import WITHHELD, Upstream
from demo.client import Agent, CallOutcome
from demo.client.mcp.reply import Reply
from deputize import ClientIdentity, StoredToken, TokenStore
from tests.unit.client.bytes_fake import Answer as Sent
from tests.unit.client.bytes_fake import BytesFake, Request, error, result, words

SECRETS = ("an-access-token-1234", "a-refresh-token-1234", "a-client-secret-1234", "-----a private key-----\n1234\n")
SIZED = {"type": "object", "properties": {"size": {"type": "string", "x-mcp-header": "Size"}}}


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Callable[[Callable[[Request], Sent]], tuple[Reply, CallOutcome, BytesFake]]]:
    """Calls the tool `shirt` of a server that answers as a test says."""
    fakes: list[BytesFake] = []

    def call(answer: Callable[[Request], Sent]) -> tuple[Reply, CallOutcome, BytesFake]:
        fake = BytesFake(answer)
        fake.start()
        fakes.append(fake)
        access, refresh, secret, key = SECRETS
        identity = ClientIdentity("demo-agent", secret=secret, private_key=key, method="client_secret_basic")
        store = TokenStore.open(tmp_path, server=fake.url, use_keyring=False)
        store.put(
            "agent",
            StoredToken(
                access,
                refresh,
                time.time() + 600,
                ("all",),
                fake.url,
                f"{fake.url}/token",
                "demo-agent",
                None,
                (),
                identity,
            ),
        )
        request = CallToolRequest(params=CallToolRequestParams(name="shirt", arguments={"size": "M"}))

        async def ask() -> tuple[Reply, CallOutcome]:
            async with Upstream(lambda: Agent(fake.url, store=store), seconds=20).connected() as upstream:
                reply = await upstream.ask(request, CallToolResult)
                return reply, upstream.outcome(reply)

        return *anyio.run(ask), fake

    yield call
    for fake in fakes:
        fake.stop()


def strict(listed: Callable[[Request], Sent]) -> Callable[[Request], Sent]:
    """A server that wants the size in a header, and whose list is as `listed` says."""

    def answer(request: Request) -> Sent:
        if request.json.get("method") == "tools/list":
            return listed(request)
        if request.headers.get("mcp-param-size") != "M":
            return error(request, 400, -32020, "Header mismatch")
        return result(request, words("got it"))

    return answer


def page(request: Request, last: int) -> Sent:
    """A page of the list: one tool on each, `shirt` on the page `last`, and always one more page to come."""
    number = int((request.json.get("params") or {}).get("cursor") or 1)
    tool = {"name": "shirt" if number == last else f"tool-{number}", "inputSchema": SIZED}
    more: dict[str, Any] = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
    return result(request, {"tools": [tool], "nextCursor": str(number + 1), **more})


@pytest.mark.parametrize("last", [1, 3])
def test_arguments_go_into_headers_on_whichever_page_the_tool_is_listed(ask: Any, last: int) -> None:
    answer, _, fake = ask(strict(lambda request: page(request, last)))
    assert answer.result["content"][0]["text"] == "got it"
    assert [one.json["method"] for one in fake.requests] == ["tools/call", *["tools/list"] * last, "tools/call"]


@pytest.mark.parametrize(
    ("listed", "pages"),
    [(lambda request: page(request, 99), 20), (lambda request: error(request, 429, -32029, "too many lists"), 1)],
)
def test_where_no_page_lists_it_the_answer_is_what_the_server_says_of_the_call(
    ask: Any, listed: Callable[[Request], Sent], pages: int
) -> None:
    answer, _, fake = ask(strict(listed))
    assert (answer.result, answer.error["message"]) == (None, "Header mismatch")
    assert len(fake.asked("tools/list")) == pages


def test_no_secret_of_the_agent_is_shown_or_handed_on(ask: Any) -> None:
    answer, outcome, _ = ask(lambda request: result(request, words(" ".join(SECRETS))))
    assert answer.result["content"][0]["text"] == " ".join([WITHHELD] * 4)
    shown = repr((outcome, answer))
    assert not any(secret in shown or secret.strip() in shown for secret in SECRETS)
