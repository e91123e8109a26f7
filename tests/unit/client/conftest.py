"""Fakes that stop by themselves."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from demo.client import Agent
from deputize import TokenStore
from deputize.net import free_port
from tests.conftest import HANGS, ROOT, serving
from tests.unit.client.bytes_fake import Answer, BytesFake, Request
from tests.unit.client.fakes import Fake, Shop, faking


@pytest.fixture(scope="session", autouse=True)
def _sdk_is_loaded() -> None:
    """On a busy machine that takes seconds, which no test of a bound should count."""
    for name in ("mcp.client.sse", "mcp.client.streamable_http", "demo.client.agent"):
        import_module(name)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The real local server, one for a file: its rate limits count over all tests of that file."""
    with serving(tmp_path_factory.mktemp("server") / "server.sqlite3") as url:
        yield url


@pytest.fixture
def fake() -> Iterator[Fake]:
    """A server of scripted answers."""
    with faking() as server:
        yield server


@pytest.fixture
def shop(fake: Fake) -> Shop:
    """A fake of shop and authorization server in one."""
    return Shop(fake)


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[Request], Answer]], BytesFake]]:
    """Makes servers that answer byte for byte."""
    fakes: list[BytesFake] = []

    def make(answer: Callable[[Request], Answer]) -> BytesFake:
        one = BytesFake(answer)
        one.start()
        fakes.append(one)
        return one

    yield make
    for one in fakes:
        one.stop()


@pytest.fixture
def agent(tmp_path: Path) -> Callable[..., Agent]:
    """Makes agents at a URL, with an empty store and a short timeout."""

    def make(url: str, **given: Any) -> Agent:
        store = TokenStore.open(tmp_path / "state", server=url, use_keyring=False)
        return Agent(url, store=store, **{"timeout": HANGS / 3, **given})

    return make


@contextlib.contextmanager
def listening(script: str, *arguments: str) -> Iterator[str]:
    """A server in a process of its own, `SCRIPT PORT ARGUMENTS` here, once it listens. Yields its base URL."""
    port = free_port()
    command = [sys.executable, f"tests/unit/client/{script}", str(port), *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 90
        while True:
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None and time.monotonic() < deadline, f"{script} did not start"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(HANGS)


@contextlib.contextmanager
def sdk_server(kind: str) -> Iterator[str]:
    """A server of the MCP SDK (`sdk_server.py`). Yields its base URL."""
    with listening("sdk_server.py", kind) as base:
        yield base


@contextlib.contextmanager
def older_server(stream: str) -> Iterator[str]:
    """A server of an older revision (`older_server.py`). Yields its MCP URL."""
    with listening("older_server.py", stream) as base:
        yield f"{base}/mcp"


@pytest.fixture(scope="session")
def sdk_today() -> Iterator[str]:
    """The MCP URL of an SDK server that speaks every revision."""
    with sdk_server("today") as base:
        yield f"{base}/mcp"


@pytest.fixture(scope="session")
def sdk_session() -> Iterator[str]:
    """The MCP URL of an SDK server with sessions, of the 2025-11-25 revision."""
    with sdk_server("session") as base:
        yield f"{base}/mcp"


@pytest.fixture(scope="session")
def sdk_events() -> Iterator[str]:
    """The URL of the stream of an SDK server of the HTTP+SSE transport."""
    with sdk_server("sse") as base:
        yield f"{base}/sse"
