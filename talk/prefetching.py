"""What the next beats need, made ready while the presenter speaks: so a beat's first panel waits for nothing.

None of their effects: code is imported, the local server started, public metadata read. Nothing that a shop would write
down is asked for, and nothing is kept but what Python, the operating system and the server keep for themselves.

Never beside a step that imports, too: where two threads import parts of one circular package (the MCP SDK's client is
one), each is given the other's half-made module, so that neither waits for ever, and breaks on what that lacks.
"""

from __future__ import annotations

import contextlib
import pkgutil
import threading
import time
from importlib import import_module
from typing import TYPE_CHECKING

from talk.playing import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from talk.director import Director

STARTING_SECONDS = 20.0
"""For how long the local server is looked for, once it was started."""
HOLDING_SECONDS = 20.0
"""For how long a step waits for what is being imported at the moment, which it mostly needs itself."""
WARMING_SECONDS = 2.0
"""For how long a server's metadata is awaited."""
_LARGE = ("mcp.client.streamable_http", "joserfc.jwt", "workos")
"""Packages that a step imports where it uses them, in the order in which a talk needs them."""


class Prefetching:
    """Makes ready, in a thread beside the talk's, what the beats from the next one on need."""

    def __init__(self, director: Director) -> None:
        beats = director.plan.beats
        following = director.upcoming()
        at = beats.index(following) if following in beats else 0
        self._steps = [step for planned in (*beats[at:], *beats[:at]) for step in planned.beat.steps]
        self._settings = director.settings
        self._thread = threading.Thread(target=self._fetch, name="prefetching", daemon=True)
        self._changed = threading.Condition()
        self._busy = self._held = False

    def start(self) -> None:
        """Begin, and return at once."""
        self._thread.start()

    def join(self, seconds: float) -> None:
        """Wait for its end, for so long at most."""
        self._thread.join(seconds)

    def hold(self) -> None:
        """Have it wait, after what it is doing at the moment, until `release`."""
        with self._changed:
            self._held = True
            self._changed.wait_for(lambda: not self._busy, HOLDING_SECONDS)

    def release(self) -> None:
        """Let it go on."""
        with self._changed:
            self._held = False
            self._changed.notify_all()

    @contextlib.contextmanager
    def _one(self) -> Iterator[None]:
        """One thing that is made ready. What goes wrong with it is said where it is needed."""
        with self._changed:
            self._changed.wait_for(lambda: not self._held)
            self._busy = True
        try:
            with contextlib.suppress(Exception):
                yield
        finally:
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _fetch(self) -> None:
        from demo.local_server import local

        if self._settings.local:
            with self._one():
                local.begin(self._settings.state, port=self._settings.port)
        for step in self._steps:
            with self._one():
                KINDS[step.do]
        names = ["talk.stage.login"]
        for package in ("demo.panels", "demo.client"):
            with self._one():
                names += _modules(package)
        for name in (*names, *_LARGE):
            with self._one():
                import_module(name)
        server, deadline = self._settings.server, time.monotonic() + STARTING_SECONDS
        while server is None and time.monotonic() < deadline:
            with self._one():
                running = local.find(self._settings.state)
                server = running.base_url if running is not None else None
            time.sleep(0.2)
        if server is not None:
            with self._one():
                _read_metadata(server)


def _read_metadata(server: str) -> None:
    """Read what the server publishes of itself (RFC 9728, RFC 8414), which wakes one that sleeps."""
    from deputize.http.connection import Connection
    from deputize.oauth.discovery import Discovery

    # Without a question to the server itself, which would be a refusal on its record.
    Discovery(Connection(server, WARMING_SECONDS), None, lambda _: False).find(None)


def _modules(package: str) -> list[str]:
    """The names of a package's modules, and of those of its packages. One that breaks is left to who needs it."""
    walked = pkgutil.walk_packages(import_module(package).__path__, f"{package}.", onerror=lambda _: None)
    return [module.name for module in walked]
