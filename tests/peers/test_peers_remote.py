"""`mcp-remote`, the bridge that others use, carries a stdio host to the protected door: by browser, by device code."""

from __future__ import annotations

import os
import re
import socket
import stat
import sys
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
from tests.peers.installed import Peers

REMOTE = "mcp-remote"
SECONDS = 60.0


def test_after_a_login_in_the_browser_a_host_lists_and_calls_through_it(
    peers: Peers, server: str, alice: Callable[[str], None], tmp_path: Path
) -> None:
    opened = tmp_path / "opened"
    command = peers.program(REMOTE, REMOTE, f"{server}/mcp", str(free_port()), "--transport", "http-only")
    environment = world(tmp_path, opened)

    def browse() -> None:
        deadline = time.monotonic() + SECONDS
        while not opened.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        alice(opened.read_text("utf-8").strip())

    listed, inventory = hosted(command, environment, tmp_path / "log", browse)
    assert "buyMcpShopItem" in listed
    assert not inventory.is_error
    assert inventory.meta["demo/decision"]["user"] == "user_alice"


def test_after_a_device_login_a_host_lists_and_calls_through_it(peers: Peers, server: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = peers.program(REMOTE, REMOTE, f"{server}/mcp", "--transport", "http-only", "--device-code")

    def browse() -> None:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            said = log.read_text("utf-8") if log.exists() else ""
            code = re.search(r"enter the code:\s*(\S+)", said)
            if code is not None:
                SampleHuman("alice@example.com").decide(f"{server}/device", code[1], True)
                return
            time.sleep(0.05)
        raise AssertionError(f"no code was shown: {said}")

    listed, inventory = hosted(command, world(tmp_path, tmp_path / "opened"), log, browse)
    assert "buyMcpShopItem" in listed
    assert inventory.meta["demo/decision"]["user"] == "user_alice"


def hosted(
    command: list[str], environment: dict[str, str], log: Path, browse: Callable[[], None]
) -> tuple[set[str], Any]:
    """List and call as a stdio host, while somebody browses."""
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
                return listed, await host.call_tool("listMcpShopInventory", {})

    person = threading.Thread(target=watched, daemon=True)
    person.start()
    try:
        with log.open("w", encoding="utf-8") as errors:
            return anyio.run(main, errors)
    except BaseException:
        pytest.fail(f"{failures}\n{log.read_text('utf-8')}")


def world(folder: Path, opened: Path) -> dict[str, str]:
    """An environment in which a browser writes down what it is to open, and nothing of the person's own is used."""
    stand_in = folder / "browser"
    stand_in.write_text(f"#!{sys.executable}\nimport os, sys\nnew = {str(opened)!r} + '.new'\n")
    with stand_in.open("a", encoding="utf-8") as script:
        script.write(f"open(new, 'w').write(sys.argv[1])\nos.replace(new, {str(opened)!r})\n")
    stand_in.chmod(stand_in.stat().st_mode | stat.S_IXUSR)
    for name in ("open", "xdg-open"):
        (folder / name).symlink_to(stand_in)
    desktop = ("DISPLAY", "WAYLAND_DISPLAY", "XDG_CURRENT_DESKTOP", "DESKTOP_SESSION")
    kept = {name: value for name, value in os.environ.items() if name not in desktop}
    own = {"HOME": str(folder), "MCP_REMOTE_CONFIG_DIR": str(folder / "remote"), "BROWSER": str(stand_in)}
    return kept | own | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def free_port() -> int:
    """A port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
