"""A Worker on this machine, under workerd, the runtime that Cloudflare itself runs: by wrangler, offline.

Its Durable Objects are kept in a folder, and it listens on loopback alone.
"""

from __future__ import annotations

import contextlib
import http.client
import json
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
from demo.deploy.tools import Tools, Waiting, _quietly
from deputize import net, private
from deputize.errors import EnvironmentNotReady

START_SECONDS: Final = 60.0
RUNNER: Final = Path(__file__).with_name("run_worker.mjs")
DEFAULT_PORT: Final = 8787
"""Wrangler's own."""
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
    waiting: Waiting = _quietly,
    heard: Heard | None = None,
    name: str = "the Worker",
) -> Iterator[Worker]:
    """Run a Worker for as long as the block.

    Args:
        port: where on 127.0.0.1.
        state: a folder for its Durable Objects, its log and, while it runs, a file of its secrets (0600).
        variables: over those of its configuration.
        secrets: what `wrangler secret` would hold at Cloudflare.
        heard: what tells that it answers; by default that of the shop whose issuer the variables name.
        name: what it is called in an error.

    Raises:
        EnvironmentNotReady: it does not start within a minute; the reason is what it said last.
    """
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    given = state / "worker.secrets"
    private.write(given, "".join(f"{name}={json.dumps(value)}\n" for name, value in (secrets or {}).items()))
    # Wrangler takes such a file's values for variables and secrets alike; on the command line everybody would see them.
    arguments = {"worker": str(tools.worker), "port": port, "variables": variables}
    arguments |= {"secrets": str(given), "persist": str(state / "objects")}
    command = [str(tools.node), str(RUNNER), json.dumps(arguments)]
    log, base_url = state / "worker.log", f"http://127.0.0.1:{port}"
    heard = heard or (lambda base: _heard(base, variables.get(blueprint.AUTHORITY, "")))
    end_leftover(state)
    try:
        with process.running(command, folder=tools.worker, environment=tools.offline(), log=log) as started:
            if (mark := processes.ProcessMark.of(started.pid)) is not None:
                private.write(state / "pid", json.dumps(mark.written()))
            deadline = time.monotonic() + START_SECONDS
            while True:
                left, ended = deadline - time.monotonic(), started.poll() is not None
                answers, refusal = (False, "") if ended else heard(base_url)
                if answers and processes.listens(started.pid, port):
                    break
                if refusal:
                    do = "fix the variable that it names; what it takes for a foreign name is BASE_URL's"
                    raise EnvironmentNotReady(f"{name} refuses its settings", why=refusal, do=do)
                if left <= 0 or ended:
                    why = _last_words(log) or ("it ended" if left > 0 else f"no answer within {START_SECONDS:.0f} s")
                    raise EnvironmentNotReady(f"{name} does not start", why=why, do=f"read {log}")
                waiting(f"{name} to start under workerd", left)
                time.sleep(0.1)
            yield Worker(base_url, started.pid)
    except OSError as error:
        raise EnvironmentNotReady(f"{name} does not start", why=error.strerror or str(error)) from error
    finally:
        given.unlink(missing_ok=True)
        (state / "pid").unlink(missing_ok=True)


def end_leftover(state: Path) -> None:
    """End the Worker that a killed demo left behind: two of them must not write to the same objects.

    Its number may be another process's by now, so it is ended only where it was started when the file says.
    """
    if not private.is_ours(state):
        return
    with contextlib.suppress(OSError, ValueError, RecursionError):
        mark = processes.ProcessMark.read(json.loads((state / "pid").read_text("utf-8")))
        if mark is not None and mark.lives:
            process.end_group(mark.pid)


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
    return {blueprint.AUTHORITY: issuer}


def local_secrets(credentials: tuple[str, str]) -> dict[str, str]:
    """What lets the Worker ask the local authorization server about a token (RFC 7662): client id and secret."""
    return dict(zip(blueprint.INTROSPECTION, credentials, strict=True))
