"""`mcp-remote`, the bridge that others use, carries a stdio host to the protected door: by browser, by device code."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from demo.client import SampleHuman
from deputize.net import free_port
from tests.peers.browser import SECONDS, opened, world
from tests.peers.installed import Peers

REMOTE = "mcp-remote"
SHIRT = {"company": "Acme", "mailingAddress": "1 Main St", "tshirtSize": "M"}


def test_after_a_login_in_the_browser_a_host_lists_and_buys_through_it(
    peers: Peers, server: str, alice: Callable[[str], None], tmp_path: Path
) -> None:
    command = peers.program(REMOTE, REMOTE, f"{server}/mcp", str(free_port()), "--transport", "http-only")

    listed, bought = hosted(command, world(tmp_path), tmp_path / "log", lambda: alice(opened(tmp_path)))
    assert "buyMcpShopItem" in listed
    assert not bought.is_error
    assert bought.structured_content["order"]["user"] == "user_alice"


def test_after_a_device_login_a_host_lists_and_buys_through_it(peers: Peers, server: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = peers.program(REMOTE, REMOTE, f"{server}/mcp", "--transport", "http-only", "--device-code")

    def browse() -> None:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            said = log.read_text("utf-8") if log.exists() else ""
            code = re.search(r"enter the code: (\S+)\s", said)
            if code is not None:
                SampleHuman("alice@example.com").decide(f"{server}/device", code[1], True)
                return
            time.sleep(0.05)
        raise AssertionError(f"no code was shown: {said}")

    listed, bought = hosted(command, world(tmp_path), log, browse)
    assert "buyMcpShopItem" in listed
    assert not bought.is_error
    assert bought.structured_content["order"]["user"] == "user_alice"


def hosted(
    command: list[str], environment: dict[str, str], log: Path, browse: Callable[[], None]
) -> tuple[set[str], Any]:
    """List and buy as a stdio host, while somebody browses."""
    failures: list[BaseException] = []

    def watched() -> None:
        try:
            browse()
        except BaseException as error:
            failures.append(error)

    async def main(errors: TextIO) -> tuple[set[str], Any]:
        parameters = StdioServerParameters(command=command[0], args=command[1:], env=environment)
        with anyio.fail_after(SECONDS):
            async with Client(stdio_client(parameters, errlog=errors), mode="legacy") as host:
                listed = {tool.name for tool in (await host.list_tools()).tools}
                return listed, await host.call_tool("buyMcpShopItem", SHIRT)

    person = threading.Thread(target=watched, daemon=True)
    person.start()
    try:
        with log.open("w", encoding="utf-8") as errors:
            return anyio.run(main, errors)
    except BaseException:
        pytest.fail(f"{failures}\n{log.read_text('utf-8')}")
