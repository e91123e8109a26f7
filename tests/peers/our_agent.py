"""Our agent at somebody else's server, by its commands: a person logs in at a terminal, and what follows is read."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.journeys.terminal import Terminal
from tests.peers.browser import OPENED, SECONDS, stand_in
from tests.peers.running import Running, running

if TYPE_CHECKING:
    import httpx2

    from tests.conftest import Command

Visit = Callable[[str], "httpx2.Response"]


@dataclass(frozen=True)
class Server:
    """A server that runs: its URL, and its process."""

    url: str
    process: Running


@contextmanager
def server(command: list[str], environment: Mapping[str, str]) -> Iterator[Server]:
    """Start a server that says `{"ready": URL}` when it listens, and end it."""
    with running(command, environment) as process:
        yield Server(json.loads(process.line('"ready"'))["ready"], process)


@contextmanager
def listening(command: list[str], environment: Mapping[str, str], url: str) -> Iterator[Server]:
    """Start a server that says nothing of ours, wait until its port answers, and end it."""
    parts = urlsplit(url)
    assert parts.hostname is not None and parts.port is not None
    with running(command, environment) as process:
        deadline = time.monotonic() + SECONDS
        while True:
            assert process.process.poll() is None, f"exit {process.process.returncode}: {process.rest()}"
            try:
                socket.create_connection((parts.hostname, parts.port), timeout=5).close()
                break
            except OSError:
                assert time.monotonic() < deadline, f"nothing listens at {url}"
                time.sleep(0.1)
        yield Server(url, process)


@dataclass(frozen=True)
class OurAgent:
    """The agent at one server, with a state folder of its own.

    Args:
        demo: the command.
        url: the server.
        folder: where the stand-in of a browser writes down what it is to open.
        visit: what the person does with the page that the browser opens; the last page is returned.
    """

    demo: Command
    url: str
    folder: Path
    visit: Visit

    def log_in(self, *options: str) -> str:
        """`demo login` in a terminal, a person at the pages that it opens. Returns the screen, when it went well."""
        (self.folder / OPENED).unlink(missing_ok=True)
        terminal = Terminal(
            self.demo, "--server", self.url, "login", *options, width=100, browser=str(stand_in(self.folder))
        )
        try:
            self.meet_the_browser(terminal)
            code = terminal.wait()
            assert code == 0, f"exit {code}\n{terminal.screen}"
            return terminal.screen
        finally:
            terminal.close()

    def meet_the_browser(self, terminal: Terminal) -> None:
        """Wait for the page that a command in a terminal opens, and do there what the person does."""
        deadline = time.monotonic() + SECONDS
        opened = self.folder / OPENED
        while not opened.exists():
            over = terminal.process.poll() is not None or time.monotonic() > deadline
            if over:
                terminal.wait(2)
            assert not over, f"no browser was opened:\n{terminal.screen}"
            terminal.read_for(0.1)
        url = opened.read_text("utf-8").strip()
        opened.unlink()
        last = self.visit(url)
        assert last.status_code == 200, f"{last.url} answered {last.status_code}: {last.text[:500]}"

    def says(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """What `demo --json ARGUMENTS` says, when it ended with this exit code."""
        ran = self.demo("--server", self.url, "--json", *arguments)
        assert ran.returncode == code, f"exit {ran.returncode}\n{ran.stdout}\n{ran.stderr}"
        assert "Traceback" not in ran.stderr
        said = json.loads(ran.stdout)
        assert isinstance(said, dict)
        return said

    def buy(self) -> dict[str, Any]:
        """A shirt, by the tool of the talk's first edition."""
        shirt = ("company=Acme", "mailingAddress=1 Main St", "tshirtSize=M")
        return self.says("call", "buyMcpShopItem", *shirt)
