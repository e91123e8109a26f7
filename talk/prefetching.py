"""What the next beats need, made ready while the presenter speaks: so a beat's first panel waits for nothing.

None of their effects: code is imported, the local server started, public metadata read. Nothing that a shop would write
down is asked for, and nothing is kept but what Python, the operating system and the server keep for themselves.
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
    from talk.director import Director

STARTING_SECONDS = 20.0
"""For how long the local server is looked for, once it was started."""
WARMING_SECONDS = 5.0
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

    def start(self) -> None:
        """Begin, and return at once."""
        self._thread.start()

    def join(self, seconds: float) -> None:
        """Wait for its end, for so long at most."""
        self._thread.join(seconds)

    def _fetch(self) -> None:
        from demo.local_server import local

        # What goes wrong here is said where it is needed.
        with contextlib.suppress(Exception):
            if self._settings.local:
                local.begin(self._settings.state, port=self._settings.port)
        for step in self._steps:
            with contextlib.suppress(Exception):
                KINDS[step.do]
        for name in (*_modules("demo.panels"), "talk.stage.login", *_modules("demo.client"), *_LARGE):
            with contextlib.suppress(Exception):
                import_module(name)
        with contextlib.suppress(Exception):
            self._read_metadata()

    def _read_metadata(self) -> None:
        """Read what the server publishes of itself (RFC 9728, RFC 8414), which wakes one that sleeps."""
        from demo.client.http.connection import Connection
        from demo.client.oauth.discovery import Discovery
        from demo.local_server import local

        server = self._settings.server
        deadline = time.monotonic() + STARTING_SECONDS
        while server is None and time.monotonic() < deadline:
            running = local.find(self._settings.state)
            server = running.base_url if running is not None else None
            time.sleep(0.2)
        if server is not None:
            # Without a question to the server itself, which would be a refusal on its record.
            Discovery(Connection(server, WARMING_SECONDS), None, lambda _: False).find(None)


def _modules(package: str) -> list[str]:
    """The names of a package's modules, and of those of its packages. One that breaks is left to who needs it."""
    walked = pkgutil.walk_packages(import_module(package).__path__, f"{package}.", onerror=lambda _: None)
    return [module.name for module in walked]
