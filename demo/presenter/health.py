"""Whether what the talk depends on is there: server, authorization server, Worker, network.

Each look is bounded and in a thread of its own, so that nothing on the second screen waits for a network that is gone.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from demo.local_server import local
from demo.presenter.view import NOT_NEEDED, Health
from deputize.errors import EnvironmentNotReady, ExplainedError

if TYPE_CHECKING:
    from demo.settings import Settings

EVERY_SECONDS: Final = 5.0
LOOK_SECONDS: Final = 3.0
"""For one look; one that takes longer counts as no answer until it comes back."""
Status = tuple[str, str]
"""What is shown, and its state (`demo.panels.theme.State`)."""
UNNEEDED: Final[Status] = (NOT_NEEDED, "none")
UP: Final[Status] = ("up", "allowed")


@dataclass(frozen=True)
class Dependencies:
    """What a talk depends on.

    Args:
        server: the run's server, where it is known.
        named: whether that is one that was named (`--server`), in the place of the local one.
        own_worker: whether it is the Worker of this machine.
        worker_beats: whether a beat of the plan runs the shop as a Worker.
    """

    server: str = ""
    named: bool = False
    own_worker: bool = False
    worker_beats: bool = False

    def elsewhere(self, settings: Settings) -> str | None:
        """The server that the talk was given, or None for the local one."""
        return self.server if self.named else settings.server


class Watch:
    """Looks again and again.

    Args:
        needs: asked before each look, since a talk's server may move.
        checks: what is checked, by name.
    """

    def __init__(
        self,
        settings: Settings,
        needs: Callable[[], Dependencies],
        *,
        checks: dict[str, Callable[[Settings, Dependencies], Status]] | None = None,
    ) -> None:
        self._settings, self._needs = settings, needs
        self._ended = threading.Event()
        self._words: dict[str, Status] = {}
        self._since: dict[str, float] = {}
        for name, check in (checks or CHECKS).items():
            self._words[name] = ("looking", "waiting")
            threading.Thread(target=self._go_on, args=(name, check), name=f"health: {name}", daemon=True).start()

    def now(self) -> tuple[Health, ...]:
        """What is known, without waiting."""
        found = []
        for name, (word, state) in self._words.items():
            since = self._since.get(name)
            if since is not None and time.monotonic() - since > LOOK_SECONDS + 1:
                word, state = "no answer", "refused"
            found.append(Health(name, word, state))  # type: ignore[arg-type]  # its second part is a State
        return tuple(found)

    def close(self) -> None:
        """Look no more."""
        self._ended.set()

    def _go_on(self, name: str, check: Callable[[Settings, Dependencies], Status]) -> None:
        while not self._ended.is_set():
            self._since[name] = time.monotonic()
            try:
                self._words[name] = check(self._settings, self._needs())
            except Exception:  # whatever it is, a second screen says so and goes on
                self._words[name] = ("cannot be looked at", "unverified")
            self._since.pop(name, None)
            self._ended.wait(EVERY_SECONDS)


def server(settings: Settings, needs: Dependencies) -> Status:
    """The shop: the local server by its proof, another one by its answer."""
    if needs.own_worker:
        return _answers(f"{needs.server}/.well-known/oauth-protected-resource/mcp")
    if (named := needs.elsewhere(settings)) is not None:
        return _elsewhere(named)[0]
    if local.find(settings.state, timeout=LOOK_SECONDS) is not None:
        return UP
    return ("down", "refused") if needs.server else ("not started yet", "none")


def authorization_server(settings: Settings, needs: Dependencies) -> Status:
    """The authorization server, by its metadata (RFC 8414)."""
    named = needs.elsewhere(settings)
    if named is not None and not needs.own_worker:
        return _issuer(named)
    running = local.find(settings.state, timeout=LOOK_SECONDS)
    if running is None:
        return ("down", "refused") if needs.server else ("not started yet", "none")
    return _answers(f"{running.base_url}/.well-known/oauth-authorization-server")


def worker(settings: Settings, needs: Dependencies) -> Status:
    """The shop as a Worker, where a beat runs it."""
    if needs.own_worker:
        return server(settings, needs)
    if not needs.worker_beats or needs.elsewhere(settings) is not None:
        return UNNEEDED
    if settings.edge == "off":
        return "switched off", "none"
    from demo.deploy import record, tools

    if settings.edge == "auto" and record.recall(settings.state) is not None:
        return "deployed", "allowed"
    try:
        tools.find(tools.default_worker())
    except EnvironmentNotReady:
        return "not installed", "unverified"
    return "ready", "allowed"


def network(settings: Settings, needs: Dependencies) -> Status:
    """The way to a server that is elsewhere."""
    from urllib.parse import urlsplit

    from deputize import net

    target = needs.elsewhere(settings)
    if target is None:
        from demo.deploy import record

        deployed = record.recall(settings.state) if needs.worker_beats and settings.edge == "auto" else None
        target = deployed.url if deployed is not None else None
    if target is None or net.is_loopback_url(target):
        return UNNEEDED
    import socket

    import httpx2

    from deputize.http.environment import proxy_for

    try:
        proxy = proxy_for(httpx2.URL(target))
        parts = urlsplit(proxy.url if proxy is not None else target)
        port = parts.port or (80 if parts.scheme == "http" else 443)
        socket.create_connection((parts.hostname or "", port), timeout=LOOK_SECONDS).close()
    except socket.gaierror:
        return "no DNS", "refused"
    except ConnectionRefusedError:
        return UP  # somebody there said so
    except (OSError, ValueError, httpx2.InvalidURL):
        return "no way through", "refused"
    return UP


CHECKS: Final[dict[str, Callable[[Settings, Dependencies], Status]]] = {
    "server": server,
    "authorization server": authorization_server,
    "Worker": worker,
    "network": network,
}


def _elsewhere(url: str) -> tuple[Status, tuple[str, ...]]:
    """A server that is elsewhere, and whom it names as its authorization servers, by its metadata (RFC 9728)."""
    from deputize.http.connection import Connection
    from deputize.http.errors import TimedOut
    from deputize.oauth import metadata

    connection = Connection(url, LOOK_SECONDS)
    endpoint = connection.endpoint()
    try:
        found = connection.http(lambda http: metadata.find_resource(http, endpoint, None))
    except TimedOut:
        return ("no answer", "refused"), ()
    except ExplainedError:
        return ("down", "refused"), ()
    if found is None:
        return ("up, no metadata", "unverified"), ()
    if found.problem is not None:
        return ("says it is another", "refused"), ()
    return UP, found.authorization_servers


def _issuer(url: str) -> Status:
    from deputize.http.connection import Connection
    from deputize.http.errors import TimedOut
    from deputize.oauth import metadata

    issuers = _elsewhere(url)[1]
    if not issuers:
        return "unknown", "unverified"
    connection = Connection(url, LOOK_SECONDS)
    endpoint = connection.endpoint()
    try:
        found = connection.http(lambda http: metadata.find_usable(http, issuers, server=endpoint))
    except TimedOut:
        return "no answer", "refused"
    except ExplainedError:
        return "down", "refused"
    return UP if found is not None and found.problem is None else ("not itself", "refused")


def _answers(url: str) -> Status:
    """Whether JSON comes from a server of this machine, past any proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with contextlib.suppress(OSError, ValueError, RecursionError):
        try:
            with opener.open(url, timeout=LOOK_SECONDS) as answer:
                json.loads(answer.read(100_000))
                return UP
        except urllib.error.HTTPError as error:
            return f"error {error.code}", "refused"
    return "down", "refused"
