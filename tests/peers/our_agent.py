"""Our agent at somebody else's server, by its commands: a person logs in at a terminal, and what follows is read."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from tests.conftest import HANGS
from tests.journeys.terminal import Terminal
from tests.peers.browser import OPENED, SECONDS, stand_in
from tests.peers.running import Running, running

if TYPE_CHECKING:
    import httpx2

    from tests.conftest import Command

MORE = "Enter goes on"
"""What a pause of the script says."""


class Visit(Protocol):
    """What a person does with a page: opens it, and fills in what is named; the last page is returned."""

    def __call__(self, url: str, /, **fill: str) -> httpx2.Response: ...


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
                socket.create_connection((parts.hostname, parts.port), timeout=HANGS).close()
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
        """`demo login` in a terminal, a person at the page that it shows. Returns the screen, when it went well."""
        return self.in_a_terminal("login", *options)

    def in_a_terminal(self, *arguments: str) -> str:
        """A command in a terminal, with a person in front of it. Returns the screen, when it went well."""
        code, screen = self.watched(*arguments)
        assert code == 0, f"exit {code}\n{screen}"
        return screen

    def watched(self, *arguments: str, width: int = 100, height: int = 40) -> tuple[int, str]:
        """A command in a terminal, with a person in front of it: its exit code and the screen.

        The person opens what the browser is to open, enters a device code where one is shown, and goes on with Enter.
        """
        opened = self.folder / OPENED
        opened.unlink(missing_ok=True)
        browser = str(stand_in(self.folder))
        terminal = Terminal(self.demo, "--server", self.url, *arguments, width=width, height=height, browser=browser)
        met: set[str] = set()
        turned = 0
        try:
            deadline = time.monotonic() + SECONDS
            while terminal.process.poll() is None:
                assert time.monotonic() < deadline, f"no end after {SECONDS:.0f} s:\n{terminal.screen}"
                terminal.read_for(0.1)
                if opened.exists():
                    url = opened.read_text("utf-8").strip()
                    opened.unlink()
                    self._visited(url)
                for shown in re.finditer(
                    r"\b([A-Z]{4}-[A-Z]{4})\b.*?(http://\S+/device)\b", terminal.screen, re.DOTALL
                ):
                    if shown[1] not in met:
                        met.add(shown[1])
                        self._visited(shown[2], user_code=shown[1])
                if (pages := terminal.screen.count(MORE)) > turned:
                    turned = pages
                    terminal.type("\n")
            code = terminal.wait()
            assert "Traceback" not in terminal.screen
            return code, terminal.screen
        finally:
            terminal.close()

    def _visited(self, url: str, **fill: str) -> None:
        last = self.visit(url, **fill)
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
