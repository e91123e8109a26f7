"""What passes the bridge beside calls: progress, cancellation, resources, prompts; and what must not pass."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from tests.bridge.hosts import Slow, hosted, keep_token, slow_server
from tests.conftest import ROOT

BOTH = pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
TOKEN = "a-token-that-nobody-must-see-1234"


@pytest.fixture(scope="module")
def slow() -> Iterator[Slow]:
    with slow_server() as seen:
        yield seen


@pytest.fixture
def state(slow: Slow, tmp_path: Path) -> Path:
    keep_token(slow.url, tmp_path / "state", TOKEN)
    return tmp_path / "state"


@BOTH
def test_progress_reaches_the_host(slow: Slow, state: Path, revision: str) -> None:
    heard: list[tuple[float, float | None, str | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total, message))

    async def work(host: Client) -> Any:
        return await host.call_tool("climb", {"steps": 3}, progress_callback=hear)

    assert hosted(slow.url, state, revision, work).content[0].text == "up"
    assert heard == [(1, 3, "step 1"), (2, 3, "step 2"), (3, 3, "step 3")]


@BOTH
def test_what_the_host_cancels_is_cancelled_at_the_server(slow: Slow, state: Path, revision: str) -> None:
    slow.begun.clear()
    slow.cancelled.clear()

    async def work(host: Client) -> bool:
        async with anyio.create_task_group() as beside:
            beside.start_soon(host.call_tool, "wait", {})
            assert await anyio.to_thread.run_sync(slow.begun.wait, 10)
            beside.cancel_scope.cancel()
        return await anyio.to_thread.run_sync(slow.cancelled.wait, 10)

    assert hosted(slow.url, state, revision, work)


@BOTH
def test_calls_under_way_do_not_wait_for_each_other(slow: Slow, state: Path, revision: str) -> None:
    slow.begun.clear()

    async def work(host: Client) -> Any:
        async with anyio.create_task_group() as beside:
            beside.start_soon(host.call_tool, "wait", {})
            assert await anyio.to_thread.run_sync(slow.begun.wait, 10)
            answer = await host.call_tool("climb", {"steps": 1})
            beside.cancel_scope.cancel()
        return answer

    assert hosted(slow.url, state, revision, work).content[0].text == "up"


@BOTH
def test_resources_and_prompts_pass(slow: Slow, state: Path, revision: str) -> None:
    async def work(host: Client) -> tuple[Any, Any, Any]:
        return (
            await host.list_resources(),
            await host.read_resource("note://one"),
            await host.get_prompt("greet", {"name": "Alice"}),
        )

    listed, read, prompt = hosted(slow.url, state, revision, work)
    assert [str(one.uri) for one in listed.resources] == ["note://one"]
    assert read.contents[0].text == "a note"
    assert prompt.messages[0].content.text == "Greet Alice."


@BOTH
def test_a_server_that_repeats_the_token_does_not_hand_it_to_the_host(slow: Slow, state: Path, revision: str) -> None:
    async def work(host: Client) -> Any:
        return await host.call_tool("repeat", {})

    said = hosted(slow.url, state, revision, work)
    assert said.content[0].text == "you said Bearer [the agent's token, withheld]"
    assert TOKEN not in str(said)


@BOTH
def test_a_server_that_is_not_there_is_an_error_and_not_the_end(tmp_path: Path, revision: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    keep_token(url, tmp_path / "state")

    async def work(host: Client) -> tuple[Any, str]:
        called = await host.call_tool("climb", {"steps": 1})
        with pytest.raises(MCPError) as failed:
            await host.list_tools()
        return called, failed.value.error.message

    called, message = hosted(url, tmp_path / "state", revision, work)
    assert called.is_error
    assert "cannot be reached" in called.content[0].text
    assert "cannot be reached" in message


@pytest.mark.parametrize("stream", ["", "stream"])
def test_a_newest_host_reaches_an_older_server(tmp_path: Path, stream: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "tests/client/older_server.py", str(port), stream]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None
            time.sleep(0.05)
        url = f"http://127.0.0.1:{port}/mcp"
        keep_token(url, tmp_path / "state")

        async def work(host: Client) -> tuple[Any, Any]:
            return await host.list_tools(), await host.call_tool("add", {"a": 20, "b": 22})

        listed, added = hosted(url, tmp_path / "state", "2026-07-28", work)
    finally:
        process.terminate()
        process.wait(10)
    assert [tool.name for tool in listed.tools] == ["add", "fail"]
    assert added.structured_content == {"result": 42}
