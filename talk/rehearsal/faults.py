"""What can go wrong on stage: one object a fault, which does the damage where it would be done, and takes it back.

No fault edits a verdict: requests go astray on a socket, a process is killed, a clock is wrong, the kernel refuses a
write, a human answers otherwise on the authorization server's own page.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from demo import processes
from talk.rehearsal.wire import CLEAR, Behaviour, Interference, Request, Wire, response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from talk.director import Director
    from talk.playing.kind import Step
    from talk.rehearsal.presenter import Presenter
    from talk.script import Beat

NARROW = 60
"""Columns of the narrow terminal."""
HOUR = 3600.0
OTHER_ACCOUNT = "grace@example.com"
"""Who is signed in, in the browser, where the consent is given by another account."""
_LOGIN_PAGE = "<!doctype html><html><head><title>Welcome to Hotel Wi-Fi</title></head><body>Sign in</body></html>"
_AUTHORIZATION_SERVER = (
    "/oauth2/",
    "/device",
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
)
"""Where the authorization server answers, beside the shop in one process."""

Bites = Literal["wire", "discovery", "consent", "grant", "token", "anything"]


@dataclass
class World:
    """Where a fault strikes: one performance in a throwaway state folder.

    `struck` counts what the fault has really spoilt, where that can be counted.
    """

    state: Path
    wire: Wire
    presenter: Presenter
    director: Director
    keyring: Any
    clock: Clock
    struck: int = 0

    def pid(self) -> int | None:
        """The local server's process."""
        from demo.local_server import local

        server = local.find(self.state)
        return None if server is None else server.pid


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    Args:
        name: what `--fault` calls it.
        about: what it is, for a person.
        inject: does the damage while a `with` block lasts.
        bites: what a beat must have for the fault to be felt: something on the wire, a look at metadata, a consent that
            somebody on stage is asked for, the grant of an earlier beat, any token; or nothing in particular.
        passes: whether it is over when the presenter tries again; else it lasts until the beat ends.
        strikes_midway: whether it may begin in mid-beat; the others have begun before it.
        seconds: how long a beat may take with it, at most.
    """

    name: str
    about: str
    inject: Callable[[World], AbstractContextManager[None]]
    bites: Bites = "wire"
    passes: bool = False
    strikes_midway: bool = True
    seconds: float = 90.0

    def felt_at(self, beat: Beat) -> list[int]:
        """The numbers of this beat's steps, from 1, at which the fault is felt when it begins there."""
        from talk.playing import KINDS

        def bitten(step: Step) -> bool:
            if self.bites == "wire":
                # A rehearsal starts no Worker: what runs there is described.
                return KINDS[step.do].speaks and step.do not in ("worker", "edge-agent")
            if self.bites == "discovery":
                return step.do in ("challenge", "whoami")
            if self.bites == "consent":
                return step.do == "login" and bool(step.options["ask"])
            if self.bites == "grant":
                return "login" in beat.needs
            if self.bites == "token":
                return "login" in beat.needs or step.do == "login"
            return True

        return [number for number, step in enumerate(beat.steps, 1) if bitten(step)]


def _on_the_way(behaviour: Behaviour, world: World) -> AbstractContextManager[None]:
    """Requests fare so. The look at `/health` by which a command finds its own server never leaves the machine, so that
    no network spoils it."""
    return world.wire.misbehaving(lambda request: CLEAR if request.path.startswith("/health") else behaviour(request))


@contextlib.contextmanager
def _untouched(_: World) -> Iterator[None]:
    # The fence lets nothing leave the machine, at any time: this is the talk with no other fault.
    yield


@contextlib.contextmanager
def _no_names(world: World) -> Iterator[None]:
    world.wire.no_names = True
    try:
        yield
    finally:
        world.wire.no_names = False


def _portal_at_discovery(request: Request) -> Interference:
    return Interference(answer=response("200 OK", _LOGIN_PAGE)) if request.path.startswith("/.well-known/") else CLEAR


def _portal(request: Request) -> Interference:
    # Some redirect, some answer in the server's place.
    if request.method == "GET":
        return Interference(answer=response("302 Found", "", "Location: http://portal.example/login"))
    return Interference(answer=response("200 OK", _LOGIN_PAGE))


def _slow(seconds: float, _: Request) -> Interference:
    return Interference(after=seconds)


def _failing(_: Request) -> Interference:
    return Interference(answer=response("500 Internal Server Error", "Internal Server Error", kind="text/plain"))


def _too_many(_: Request) -> Interference:
    return Interference(answer=response("429 Too Many Requests", "slow down", "Retry-After: 1", kind="text/plain"))


def _no_authorization_server(request: Request) -> Interference:
    if not request.path.startswith(_AUTHORIZATION_SERVER):
        return CLEAR
    return Interference(answer=response("503 Service Unavailable", "down for maintenance", kind="text/plain"))


@contextlib.contextmanager
def _authorization_server_down(world: World) -> Iterator[None]:
    from demo.local_server import outage

    # Neither the agent reaches it, nor the shop, which asks it about each token.
    with _on_the_way(_no_authorization_server, world), outage.drill(world.state, "failing"):
        yield


@contextlib.contextmanager
def _server_killed(world: World) -> Iterator[None]:
    if (pid := world.pid()) is not None:
        os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        world.struck += 1
        deadline = time.monotonic() + 5.0
        while world.pid() is not None and time.monotonic() < deadline:
            time.sleep(0.02)
    yield


@contextlib.contextmanager
def _server_hung(world: World) -> Iterator[None]:
    """The server's process stands still, and its socket takes connections all the same."""
    pid = world.pid() if hasattr(signal, "SIGSTOP") else None
    if pid is not None:
        os.kill(pid, signal.SIGSTOP)
        world.struck += 1
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            if pid is not None:
                os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def _answered(answer: Any, world: World) -> Iterator[None]:
    from demo.client.human.sample_human import SampleHuman

    before = world.presenter.answer
    world.presenter.answer, world.presenter.other = answer, SampleHuman(OTHER_ACCOUNT)
    try:
        yield
    finally:
        world.presenter.answer = before


@contextlib.contextmanager
def _code_expired(world: World) -> Iterator[None]:
    """Nobody answers, and each device code that is out grows old at once: where the authorization server keeps them."""
    from demo.local_server.world import DATABASE

    def age() -> None:
        with (
            contextlib.suppress(sqlite3.Error),
            contextlib.closing(sqlite3.connect(world.state / DATABASE, timeout=5)) as database,
            database,
        ):
            old = "UPDATE oauth_device_requests SET expires_at = ? WHERE decision IS NULL AND expires_at > ?"
            world.struck += database.execute(old, (time.time() - 1, time.time())).rowcount

    world.presenter.while_asked = age
    try:
        with _answered("nobody", world):
            yield
    finally:
        world.presenter.while_asked = None


@contextlib.contextmanager
def _token_expired(world: World) -> Iterator[None]:
    """The agent's token is one that has ended: its issuer made it for one second (`requested_expires_in`)."""
    from deputize.errors import ExplainedError

    with contextlib.suppress(ExplainedError):  # no token yet
        agent = world.director.cast().agent()
        if agent.stored() is not None:
            short = agent.refresh(requested_expires_in=1)
            time.sleep(max(0.0, short.expires_at - time.time()) + 0.1)
            world.struck += 1
    yield


@contextlib.contextmanager
def _clock(seconds: float, world: World) -> Iterator[None]:
    world.clock.ahead = seconds
    world.struck += 1
    try:
        yield
    finally:
        world.clock.ahead = 0.0


class Clock:
    """`time.time` of this process from now on: right, or `ahead` seconds off. For good, since a module that is loaded
    meanwhile may keep the function."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.true = time.time
        patched: Any = time
        patched.time = lambda: self.true() + self.ahead

    def close(self) -> None:
        """Have the time told as before."""
        patched: Any = time
        patched.time = self.true


@contextlib.contextmanager
def _keyring_locked(world: World) -> Iterator[None]:
    world.keyring.locked = True
    try:
        yield
        world.struck += world.keyring.refused
    finally:
        world.keyring.locked, world.keyring.refused = False, 0


@contextlib.contextmanager
def _disk_full(world: World) -> Iterator[None]:
    """The kernel lets no file grow, ours or the server's (RLIMIT_FSIZE, setrlimit(2)): each write fails."""
    if sys.platform == "win32":  # pragma: no cover  # no such limit there: nothing is struck
        yield
        return
    import resource

    server = world.pid()
    ours = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit: Any = getattr(resource, "prlimit", None)  # another process's limit: Linux alone
    theirs = limit(server, resource.RLIMIT_FSIZE) if limit is not None and server is not None else None
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, ours[1]))
    if theirs is not None:
        limit(server, resource.RLIMIT_FSIZE, (0, theirs[1]))
    world.struck += 1
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, ours)
        # Also of a server that was started meanwhile, which has inherited the limit.
        for pid in {server, world.pid()} - {None} if limit is not None else ():
            with contextlib.suppress(OSError):  # it has ended
                limit(pid, resource.RLIMIT_FSIZE, ours)


@contextlib.contextmanager
def _narrow(world: World) -> Iterator[None]:
    console = world.presenter.console
    before = console.width
    console.width = NARROW
    world.struck += 1
    try:
        yield
    finally:
        console.width = before


@contextlib.contextmanager
def _no_browser(world: World) -> Iterator[None]:
    def fails(*_: object, **__: object) -> bool:
        world.struck += 1
        return False

    module: Any = processes
    before, module.open_page = processes.open_page, fails
    world.presenter.opens_browser = True
    try:
        yield
    finally:
        module.open_page = before
        world.presenter.opens_browser = False


def _on_wire(behaviour: Behaviour) -> Callable[[World], AbstractContextManager[None]]:
    return partial(_on_the_way, behaviour)


_ALL = (
    Fault("no-network", "nothing leaves this machine", _untouched, "anything", strikes_midway=False),
    Fault("no-names", "no name is resolved", _no_names),
    Fault(
        "portal-at-discovery", "a captive portal answers for the metadata", _on_wire(_portal_at_discovery), "discovery"
    ),
    Fault("portal", "a captive portal answers each request", _on_wire(_portal)),
    Fault("server-killed", "the local server is killed (SIGKILL)", _server_killed, passes=True),
    Fault("server-hung", "the local server answers nothing (SIGSTOP)", _server_hung, seconds=150.0),
    Fault("slow", "each answer takes 2 s longer", _on_wire(partial(_slow, 2.0)), seconds=240.0),
    Fault("very-slow", "each answer takes 20 s longer", _on_wire(partial(_slow, 20.0)), seconds=240.0, passes=True),
    Fault("error-500", "each answer is a 500", _on_wire(_failing), passes=True),
    Fault("error-429", "each answer is a 429", _on_wire(_too_many)),
    Fault("authorization-server-down", "the authorization server answers 503", _authorization_server_down, "token"),
    Fault("code-expired", "the device code expires before anybody answers", _code_expired, "consent"),
    Fault("denied", "the human says no", partial(_answered, "no"), "consent", strikes_midway=False),
    Fault("unanswered", "nobody answers the consent", partial(_answered, "nobody"), "consent", strikes_midway=False),
    Fault("other-account", "another account gives the consent", partial(_answered, "other"), "consent"),
    Fault("token-expired", "the agent's token ends in mid-beat", _token_expired, "grant"),
    Fault("clock-ahead", "this machine's clock is an hour ahead", partial(_clock, HOUR), "token"),
    Fault("clock-behind", "this machine's clock is an hour behind", partial(_clock, -HOUR), "token"),
    Fault("keyring-locked", "the keyring is locked", _keyring_locked, "token"),
    Fault("disk-full", "no file can be written", _disk_full, "anything"),
    Fault("narrow", f"the terminal has {NARROW} columns", _narrow, "anything", strikes_midway=False),
    Fault("no-browser", "the browser will not open", _no_browser, "consent", strikes_midway=False),
)
FAULTS: Mapping[str, Fault] = {fault.name: fault for fault in _ALL}
"""By name, in the order in which the table lists them."""
