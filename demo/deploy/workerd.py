"""A Worker on this machine, under workerd, the runtime that Cloudflare itself runs: by wrangler, offline.

Its Durable Objects are kept in a folder, and it listens on loopback alone.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from demo import processes
from demo.deploy import blueprint, process
from demo.deploy.tools import Tools
from demo.local_server.local import Waiting, quietly
from demo.processes import ProcessMark
from deputize import net, private
from deputize.errors import EnvironmentNotReady

START_SECONDS: Final = 60.0
RUNNER: Final = Path(__file__).with_name("run_worker.mjs")
DEFAULT_PORT: Final = 8787
"""Wrangler's own."""
_SECRETS: Final = "worker.secrets"
_PID: Final = "pid"
Heard = Callable[[str], tuple[bool, str]]
"""Given a base URL: whether the Worker itself answers there, and what it says against its settings."""


@dataclass(frozen=True)
class Worker:
    """A Worker that runs here: its base URL, and the process that keeps it running."""

    base_url: str
    pid: int


def a_port(wanted: int = DEFAULT_PORT) -> int:
    """The port to listen on: the one wanted, or a free one where something else has it."""
    return wanted if net.is_free(wanted) else net.free_port()


@contextmanager
def running(
    tools: Tools,
    *,
    port: int,
    state: Path,
    variables: dict[str, str],
    secrets: dict[str, str] | None = None,
    waiting: Waiting = quietly,
    heard: Heard | None = None,
    name: str = "the Worker",
) -> Iterator[Worker]:
    """Run a Worker for as long as the block.

    Args:
        port: where on 127.0.0.1.
        state: a folder for its Durable Objects, its log and, while it runs, a file of its secrets (0600).
        variables: over those of its configuration.
        secrets: what `wrangler secret` would hold at Cloudflare.
        waiting: called with what is awaited.
        heard: what tells that it answers; by default that of the shop whose issuer the variables name.
        name: what it is called in an error.

    Raises:
        EnvironmentNotReady: it does not start within a minute; the reason is what it said last.
    """
    log, base_url = state / "worker.log", f"http://127.0.0.1:{port}"
    command = _prepared(tools, port=port, state=state, variables=variables, secrets=secrets)
    end_leftover(state)
    try:
        with process.running(command, folder=tools.worker, environment=tools.offline(), log=log) as started:
            _note(state, started.pid)
            now = Worker(base_url, started.pid)
            heard = heard or (lambda base: _heard(base, variables.get(blueprint.ISSUER, "")))
            wait(now, state=state, lives=lambda: started.poll() is None, heard=heard, waiting=waiting, name=name)
            yield now
    except OSError as error:
        raise EnvironmentNotReady(f"{name} does not start", why=error.strerror or str(error)) from error
    finally:
        forget(state)


def begin(
    tools: Tools,
    *,
    port: int,
    state: Path,
    variables: dict[str, str],
    secrets: dict[str, str] | None = None,
    seconds: float,
    gives_way: bool = False,
) -> ProcessMark | None:
    """Start a Worker that outlives this program, and wait for nothing: `wait` says when it answers.

    Args:
        seconds: after that it ends by itself, whatever becomes of us.
        gives_way: whether it runs only when nothing else wants the processor.

    Returns:
        Its process; None where that has ended already.

    Raises:
        EnvironmentNotReady: it cannot be started.
    """
    command = _prepared(tools, port=port, state=state, variables=variables, secrets=secrets, seconds=seconds)
    end_leftover(state)
    try:
        pid = process.begin(command, folder=tools.worker, environment=tools.offline(), log=state / "worker.log")
    except OSError as error:
        raise EnvironmentNotReady("it does not start", why=error.strerror or str(error)) from error
    if gives_way:
        processes.give_way(pid)
    return _note(state, pid)


def wait(
    worker: Worker,
    *,
    state: Path,
    lives: Callable[[], bool],
    heard: Heard,
    waiting: Waiting = quietly,
    name: str = "the Worker",
    seconds: float = START_SECONDS,
) -> None:
    """Wait until a Worker that was started answers.

    Raises:
        EnvironmentNotReady: it does not within so many seconds; the reason is what it said last.
    """
    log, port = state / "worker.log", int(worker.base_url.rpartition(":")[2])
    deadline = time.monotonic() + seconds
    while True:
        left, ended = deadline - time.monotonic(), not lives()
        # Whom else the port may belong to is not asked: what it said would be believed, or waited for.
        ours = not ended and processes.listens(worker.pid, port)
        answers, refusal = heard(worker.base_url) if ours else (False, "")
        if answers:
            return
        if refusal:
            do = "fix the variable that it names; what it takes for a foreign name is BASE_URL's"
            raise EnvironmentNotReady(f"{name} refuses its settings", why=refusal, do=do)
        if left <= 0 or ended:
            why = _last_words(log) or ("it ended" if left > 0 else f"no answer within {seconds:.0f} s")
            raise EnvironmentNotReady(f"{name} does not start", why=why, do=f"read {log}")
        waiting(f"{name} to start under workerd", left)
        time.sleep(0.1)


def start_again(worker: Worker) -> bool:
    """Kill the process that runs the Worker's code, whatever it does (SIGKILL), and have what keeps it running start
    another on the same objects. The code is bundled again, and nothing more, so that it takes a second or two.

    Returns:
        Whether that can be done here; else nothing is.
    """
    again, victim = getattr(signal, "SIGUSR2", None), runtime(worker)
    if again is None or victim is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(victim, signal.SIGKILL)
    try:
        os.kill(worker.pid, again)
    except ProcessLookupError:
        return False
    return True


def runtime(worker: Worker) -> int | None:
    """The process that runs the Worker's code now: wrangler starts one that listens, and after it one for the code."""
    return processes.youngest(worker.pid, "workerd")


def _prepared(
    tools: Tools,
    *,
    port: int,
    state: Path,
    variables: dict[str, str],
    secrets: dict[str, str] | None,
    seconds: float | None = None,
) -> list[str]:
    """The command that runs a Worker, with its folder and the file of its secrets made."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    given = state / _SECRETS
    private.write(given, "".join(f"{name}={json.dumps(value)}\n" for name, value in (secrets or {}).items()))
    # Wrangler takes such a file's values for variables and secrets alike; on the command line everybody would see them.
    arguments = {"worker": str(tools.worker), "port": port, "variables": variables, "seconds": seconds}
    arguments |= {"secrets": str(given), "persist": str(state / "objects")}
    return [str(tools.node), str(RUNNER), json.dumps(arguments)]


def _note(state: Path, pid: int) -> ProcessMark | None:
    if (mark := ProcessMark.of(pid)) is not None:
        private.write(state / _PID, json.dumps(mark.written()))
    return mark


def forget(state: Path) -> None:
    """Take away what is only there while a Worker runs: its secrets, and which process it is."""
    for name in (_SECRETS, _PID):
        (state / name).unlink(missing_ok=True)


def noted(state: Path) -> ProcessMark | None:
    """The process of the Worker that was started last in this folder, where it still runs."""
    mark = _read_note(state)
    return mark if mark is not None and mark.lives else None


def _read_note(state: Path) -> ProcessMark | None:
    if private.is_ours(state):
        with contextlib.suppress(OSError, ValueError, RecursionError):
            return ProcessMark.read(json.loads((state / _PID).read_text("utf-8")))
    return None


def end_leftover(state: Path) -> None:
    """End the Worker that a killed demo left behind, and what a killed Worker left: two must not write to one object.

    Its number may be another process's by now, so it is ended only where it was started when the file says.
    """
    if (mark := _read_note(state)) is None:
        return
    if mark.lives:
        process.end_group(mark.pid)
    for pid in processes.orphans(mark):
        process.kill(pid)


def _heard(base_url: str, issuer: str) -> tuple[bool, str]:
    """Whether the Worker itself answers: its protected resource metadata (RFC 9728) is there and names its issuer,
    which that of another who took the port a moment before does not. And if it answers with an error, in which words:
    then its settings are wrong, and waiting is in vain."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{base_url}/.well-known/oauth-protected-resource/mcp", timeout=2) as answer:
            named = json.loads(answer.read(10_000)).get("authorization_servers")
            return named == ([issuer] if issuer else []), ""
    except urllib.error.HTTPError as error:
        with error, contextlib.suppress(OSError, ValueError, RecursionError, http.client.HTTPException):
            body = json.loads(error.read(10_000))
            return False, str(body.get("error_description", "")) if isinstance(body, dict) else ""
    except (OSError, ValueError, RecursionError, AttributeError, http.client.HTTPException):
        pass
    return False, ""


def _last_words(log: Path) -> str:
    with contextlib.suppress(OSError):
        return process.Ended(1, log.read_text("utf-8", errors="replace"), "").last_words()
    return ""


def local_variables(issuer: str) -> dict[str, str]:
    """What makes the local authorization server the Worker's."""
    return {blueprint.ISSUER: issuer}


def local_secrets(credentials: tuple[str, str]) -> dict[str, str]:
    """What lets the Worker ask the local authorization server about a token (RFC 7662): client id and secret."""
    return dict(zip(blueprint.INTROSPECTION, credentials, strict=True))
