"""A host is answered before the server is reached, and told when it is; a person's decision outlives the host."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from demo.bridge import server as bridge_server
from demo.bridge.server import Bridge
from demo.client import SampleHuman
from demo.client.mcp.connected import Introduction
from demo.client.mcp.reply import Reply
from deputize.errors import ServerUnreachable
from deputize.evidence import DeviceCode
from deputize.http.errors import no_answer
from tests.conftest import serving
from tests.unit.bridge.hosts import hosted

TOOL = {"name": "buy", "inputSchema": {"type": "object"}}


class Far:
    """A server that is not reached before it is let."""

    name = "https://far.example/mcp"

    def __init__(self) -> None:
        self.there = False
        self.asked = 0

    async def introduce(self, seconds: float) -> Introduction | None:
        if not self.there:
            raise ServerUnreachable("it is not there", do="see that it runs")
        return None

    async def ask(self, request: Any, result_type: Any, on_progress: Any = None) -> Reply:
        self.asked += 1
        result = {"tools": [TOOL], "resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
        return _reply(result)

    def late(self, seconds: float) -> ServerUnreachable:
        return no_answer(self.name, seconds)

    async def stored(self) -> None:
        return None

    async def login_flow(self, seconds: float) -> str | None:
        return None

    async def begin_login(self, seconds: float) -> tuple[str | None, DeviceCode | None]:
        return None, None

    async def advance(self) -> None:
        return None


def _reply(result: dict[str, Any]) -> Reply:
    class Answered:
        refused = False
        error = None
        status = 200

        def __init__(self) -> None:
            self.result = result

    return Answered()  # type: ignore[return-value]  # as much of one as is looked at


@pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])
def test_a_host_is_greeted_at_once_and_told_of_the_tools_when_the_server_is_reached(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bridge_server, "AGAIN", (0.1, 0.1))
    told = anyio.Event()
    far = Far()

    async def hear(message: Any) -> None:
        if "ToolListChanged" in type(message).__name__:
            told.set()

    async def main() -> None:
        bridge = Bridge(far, login=lambda _: "demo login", log=lambda _: None)  # type: ignore[arg-type]  # a fake
        with anyio.fail_after(30):
            async with (
                anyio.create_task_group() as beside,
                Client(bridge.server(), mode=mode, message_handler=hear) as host,
            ):
                beside.start_soon(bridge.reach)
                for ask in (host.list_tools, host.list_prompts):
                    with pytest.raises(MCPError) as refused:
                        await ask()
                    assert "See that it runs" in refused.value.error.message
                assert not far.asked
                called = await host.call_tool("buy", {})
                assert called.is_error and "See that it runs" in called.content[0].text
                if mode == "legacy":
                    far.there = True
                    await told.wait()
                else:
                    async with host.listen(tools_list_changed=True) as changes:
                        far.there = True
                        await anext(aiter(changes))
                assert [tool.name for tool in (await host.list_tools()).tools] == ["buy"]
                beside.cancel_scope.cancel()

    anyio.run(main)


def test_a_list_that_does_not_come_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge_server, "READY", 0.2)

    class Hangs(Far):
        async def ask(self, request: Any, result_type: Any, on_progress: Any = None) -> Reply:
            await anyio.sleep_forever()
            raise AssertionError

    far = Hangs()
    far.there = True

    async def main() -> None:
        bridge = Bridge(far, login=lambda _: "demo login", log=lambda _: None)  # type: ignore[arg-type]  # a fake
        with anyio.fail_after(30):
            async with Client(bridge.server()) as host:
                with pytest.raises(MCPError, match="did not answer"):
                    await host.list_tools()

    anyio.run(main)


@pytest.mark.long
def test_a_host_that_leaves_while_a_person_decides_loses_nothing(tmp_path: Path) -> None:
    codes: list[tuple[str, str]] = []
    told = anyio.Event()

    async def hear(message: Any) -> None:
        if "ToolListChanged" in type(message).__name__:
            told.set()

    async def refused(host: Client) -> None:
        with pytest.raises(MCPError) as error:
            await host.list_tools()
        found = re.search(r"open (\S+) and enter (\S+), or run", error.value.error.message)
        assert found is not None, error.value.error.message
        codes.append((found[1], found[2]))

    async def first(host: Client) -> None:
        await refused(host)

    async def next_one(host: Client) -> set[str]:
        await refused(host)
        await anyio.to_thread.run_sync(SampleHuman("alice@example.com").decide, *codes[0], True)
        await told.wait()
        return {tool.name for tool in (await host.list_tools()).tools}

    with serving(tmp_path / "server.sqlite3") as server:
        state = tmp_path / "state"
        hosted(server, state, "2025-11-25", first)
        tools = hosted(server, state, "2025-11-25", next_one, message_handler=hear)
    assert "buyMcpShopItem" in tools
    assert codes[0] == codes[1], "the next one joins the same login"
