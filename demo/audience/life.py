"""Start and stop the room's process, and revoke what its attendees granted, from another process."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo import processes
from demo.audience import address
from demo.audience.server import FIX, FOLDER, LOCK, LOG, READY, Serving
from demo.processes import ProcessMark
from deputize import private
from deputize.errors import EnvironmentNotReady, UsageError

START_SECONDS = 20.0
STOP_SECONDS = 6.0
REVOKE_SECONDS = 15.0
ENDING_SECONDS = 3.0
"""How long one may take to end by itself whose session has ended."""
Waiting = Callable[[str, float], None]
"""Called about ten times a second while something is awaited: what for, and how many seconds are left at most."""


@dataclass
class Audience:
    """A room that is served, by a process that ends with this one. `url` is what phones open."""

    url: str
    fingerprint: str
    _process: subprocess.Popen[bytes]

    @property
    def alive(self) -> bool:
        """Whether it is still served."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End it; waits for so long at most, then insists."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_SECONDS)


@dataclass(frozen=True)
class Revoked:
    """An attendee whose agent was revoked."""

    number: int
    name: str


def start(state: Path, given: str, *, waiting: Waiting = lambda _what, _left: None) -> Audience:
    """Serve the room of a state folder.

    Args:
        given: empty for loopback, an address of this machine, or a tunnel's https origin.
        waiting: told what is awaited.

    Raises:
        UsageError: the address cannot be one.
        EnvironmentNotReady: it does not start; the reason is its own.
    """
    address.read(given)  # what is wrong with it is said before anything is started
    folder = private.folder(private.folder(state) / FOLDER)
    private.database(folder / LOG)  # 0600, as all that is kept here
    with (folder / LOG).open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "demo.audience.server", "--state", str(state.absolute()), "--address", given],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=Path(__file__).parent.parent.parent,
            env=processes.environment(),
            **processes.apart(),
        )
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and (left := deadline - time.monotonic()) > 0:
        if (serving := _read(state)) is not None and serving.pid == process.pid:
            return Audience(serving.url, serving.fingerprint, process)
        waiting("the page for the audience", left)
        time.sleep(0.05)
    process.kill()
    process.wait(STOP_SECONDS)
    why, do = _last_words(folder / LOG)
    raise EnvironmentNotReady(
        "the page for the audience did not start",
        why=why or f"no answer within {START_SECONDS:.0f} s",
        do=do or f"read {folder / LOG}; the talk goes on without it: leave --audience out",
    )


def find(state: Path) -> Serving | None:
    """The room that is served for this state now, or None."""
    serving = _read(state)
    if serving is None or not ProcessMark(serving.pid, serving.started).lives:
        return None
    return serving


def revoke(state: Path, number: int | None) -> tuple[Revoked, ...]:
    """Revoke the agent of one attendee, or with None of all of them; whose agents they were. When it returns, the shop
    has heard of it: the next call of each is refused.

    Raises:
        EnvironmentNotReady: no room is served for this state, or it does not answer.
        UsageError: there is no attendee of this number.
    """
    serving = find(state)
    if serving is None:
        raise EnvironmentNotReady(
            "no room is open", why="no session serves one", do="open one with: demo stage --audience"
        )
    which = "all" if number is None else str(number)
    request = urllib.request.Request(f"{serving.inside}/room/revoke/{which}", method="POST", data=b"")
    request.add_header("Authorization", f"Bearer {serving.secret}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=REVOKE_SECONDS) as answer:
            given = json.loads(answer.read(200_000))["revoked"]
            return tuple(Revoked(int(one["number"]), str(one["name"])) for one in given)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            raise UsageError(
                f"nobody in the room has number {which}", do="use a number that an attendee's page shows"
            ) from error
        raise EnvironmentNotReady(
            "the room refused to revoke", why=f"HTTP {error.code}", do="start the session again"
        ) from error
    except (
        OSError,
        ValueError,
        OverflowError,
        RecursionError,
        KeyError,
        TypeError,
        http.client.HTTPException,
    ) as error:
        raise EnvironmentNotReady("the room does not answer", why=str(error), do="start the session again") from error


def forget(state: Path) -> None:
    """Delete what the room of this state kept: its accounts, consents and orders; nothing where it is being served.

    Raises:
        EnvironmentNotReady: a session serves it now.
    """
    import filelock

    folder = state / FOLDER
    if not folder.is_dir() or not private.is_ours(state):
        return
    try:
        with filelock.FileLock(folder / LOCK, mode=0o600).acquire(timeout=ENDING_SECONDS):
            pass
    except filelock.Timeout as error:
        raise EnvironmentNotReady("the room of this state is being served", do="end that session first") from error
    shutil.rmtree(folder, ignore_errors=True)


def _read(state: Path) -> Serving | None:
    if not private.is_ours(state):
        return None
    try:
        given: dict[str, Any] = json.loads((state / FOLDER / READY).read_text("utf-8"))
        return Serving(**given)
    except (OSError, ValueError, RecursionError, TypeError):
        return None


def _last_words(log: Path) -> tuple[str, str]:
    """What it said last of why it could not start, and what helps; empty where it said nothing of the kind."""
    try:
        lines = log.read_text("utf-8", "replace").splitlines()
    except OSError:
        return "", ""
    if len(lines) < 2 or not lines[-1].startswith(FIX):
        return "", ""
    return lines[-2], lines[-1].removeprefix(FIX)
