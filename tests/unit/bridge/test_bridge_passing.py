"""What passes the bridge beside calls: progress, cancellation, resources, prompts; and what must not pass."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from deputize.net import free_port
from tests.unit.bridge.hosts import hosted, keep_token, slow_server
from tests.unit.client.conftest import older_server, sdk_server

TOKEN = "a-token-that-nobody-must-see-1234"


@dataclass(frozen=True)
class Passed:
    """What one host saw, in one session."""

    progress: list[tuple[float, float | None, str | None]]
    climbed: Any
    beside: Any
    cancelled: bool
    resources: Any
    note: Any
    prompt: Any
    repeated: Any


@pytest.fixture(scope="module", params=["2025-11-25", "2026-07-28"])
def passed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Passed:
    """A host of this revision, at a bridge to a server that takes its time."""
    state = tmp_path_factory.mktemp("state")
    progress: list[tuple[float, float | None, str | None]] = []

    async def hear(done: float, total: float | None, message: str | None) -> None:
        progress.append((done, total, message))

    with slow_server() as slow:
        keep_token(slow.url, state, TOKEN)

        async def work(host: Client) -> Passed:
            climbed = await host.call_tool("climb", {"steps": 3}, progress_callback=hear)
            async with anyio.create_task_group() as beside:
                beside.start_soon(host.call_tool, "wait", {})
                assert await anyio.to_thread.run_sync(slow.begun.wait, 20)
                other = await host.call_tool("climb", {"steps": 1})
                beside.cancel_scope.cancel()
            return Passed(
                progress,
                climbed,
                other,
                await anyio.to_thread.run_sync(slow.cancelled.wait, 20),
                await host.list_resources(),
                await host.read_resource("note://one"),
                await host.get_prompt("greet", {"name": "Alice"}),
                await host.call_tool("repeat", {}),
            )

        found = hosted(slow.url, state, request.param, work)
    assert isinstance(found, Passed)
    return found


def test_all_progress_reaches_the_host_before_the_answer(passed: Passed) -> None:
    assert passed.climbed.content[0].text == "up"
    assert passed.progress == [(1, 3, "step 1"), (2, 3, "step 2"), (3, 3, "step 3")]


def test_a_call_does_not_wait_for_another_that_is_under_way(passed: Passed) -> None:
    assert passed.beside.content[0].text == "up"


def test_what_the_host_cancels_is_cancelled_at_the_server(passed: Passed) -> None:
    assert passed.cancelled


def test_resources_and_prompts_pass(passed: Passed) -> None:
    assert [str(one.uri) for one in passed.resources.resources] == ["note://one"]
    assert passed.note.contents[0].text == "a note"
    assert passed.prompt.messages[0].content.text == "Greet Alice."


def test_a_server_that_repeats_the_token_does_not_hand_it_to_the_host(passed: Passed) -> None:
    assert passed.repeated.content[0].text == "you said Bearer [the agent's token, withheld]"
    assert TOKEN not in str(passed)


def test_a_server_that_is_not_there_is_an_error_and_not_the_end(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    keep_token(url, tmp_path / "state")

    async def work(host: Client) -> tuple[Any, str]:
        called = await host.call_tool("climb", {"steps": 1})
        with pytest.raises(MCPError) as failed:
            await host.list_tools()
        return called, failed.value.error.message

    called, message = hosted(url, tmp_path / "state", "2025-11-25", work)
    assert called.is_error
    assert "cannot be reached" in called.content[0].text
    assert "cannot be reached" in message


@pytest.mark.parametrize("stream", ["", "stream"])
def test_a_newest_host_reaches_an_older_server(tmp_path: Path, stream: str) -> None:
    with older_server(stream) as url:
        keep_token(url, tmp_path / "state")

        async def work(host: Client) -> tuple[Any, Any]:
            return await host.list_tools(), await host.call_tool("add", {"a": 20, "b": 22})

        listed, added = hosted(url, tmp_path / "state", "2026-07-28", work)
    assert [tool.name for tool in listed.tools] == ["add", "visits", "fail"]
    assert added.structured_content == {"result": 42}


def test_a_server_of_the_oldest_transport_is_reached_too(tmp_path: Path) -> None:
    with sdk_server("sse") as url:
        keep_token(f"{url}/sse", tmp_path / "state")

        async def work(host: Client) -> tuple[Any, Any, Any]:
            listed = await host.list_tools()
            return listed, await host.call_tool("add", {"a": 2, "b": 3}), await host.call_tool("add", {"a": 4, "b": 3})

        listed, called, again = hosted(f"{url}/sse", tmp_path / "state", "2025-11-25", work)
    assert "add" in [tool.name for tool in listed.tools]
    assert "5" in str(called.content)
    assert "7" in str(again.content)
