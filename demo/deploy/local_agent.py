"""The agent of `worker/agent` on this machine, under workerd, and what its owner does with it, by HTTP."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from demo.deploy import process, tools, workerd
from demo.local_server import local
from demo.local_server.local import Waiting, quietly
from deputize import private
from deputize.errors import EnvironmentNotReady, ServerUnreachable
from deputize.http.sanitizing import safe_text
from deputize.signals import signals_ignored

DEFAULT_PORT: Final = 8788
"""The one after wrangler's own, where the shop may run."""
ASK_SECONDS: Final = 30.0
"""It asks the shop itself, and waits 20 s for it."""
_LONGEST: Final = 256 * 1024
LIFE_SECONDS: Final = 1800.0
"""How long it runs at most, whatever becomes of who started it. It is started some minutes before it is needed."""
LEFT_SECONDS: Final = 300.0
"""How much of that there must be left when it is taken up."""
FOUND_SECONDS: Final = 5.0
"""How long one that is found in the background, and should have started by now, is waited for."""
_BEGUN: Final = "begun.json"
"""In its folder: how and when it was started last, and what its owner signs in with."""


@dataclass(frozen=True)
class EdgePurchase:
    """A purchase as the agent has it written down. `status` is `planned`, `bought` or `refused`."""

    n: int
    key: str
    status: str
    attempts: int
    order_id: str | None
    replayed: bool
    rule: str
    reason: str


@dataclass(frozen=True)
class EdgeAgent:
    """What the agent says of itself. `process` is another one after each restart; `starts` counts them."""

    phase: str
    why: str
    process: str
    starts: int
    logins: int
    decides: str
    authorize: str | None
    due: str | None
    purchases: tuple[EdgePurchase, ...]

    @property
    def orders(self) -> tuple[str, ...]:
        """What it bought, in order."""
        return tuple(one.order_id for one in self.purchases if one.status == "bought" and one.order_id is not None)


class _Used(EnvironmentNotReady):
    """Another program uses the agent at the moment."""


def end(state: Path) -> None:
    """End the agent of this state, where it runs in the background."""
    home = state / local.AGENT
    if (mark := workerd.noted(home)) is not None:
        process.kill_group(mark.pid)  # at once: what its object has written down outlives that, as the beat shows
    workerd.end_leftover(home)
    if private.is_ours(home):
        workerd.forget(home)
        (home / _BEGUN).unlink(missing_ok=True)


class LocalAgent:
    """The agent under workerd; its object is kept in the state folder.

    It is used in a `with` block, in one program at a time, and may be started before, in the background (`begin`): then
    the block finds it. Nothing is installed for it and no network is used.

    Args:
        state: the state folder.
        shop: the MCP server at which it logs in and buys.
        folder: the agent's; by default the one of the Worker beside the package.
        variables: over those of its configuration.
        stays: whether it goes on in the background when the block ends, until `LIFE_SECONDS` after its start at most;
            else it ends with the block.
        waiting: called with what is awaited.

    Raises:
        EnvironmentNotReady: on entering, and when it is started again: there is no Node, nothing installed, or it does
            not start.
    """

    def __init__(
        self,
        state: Path,
        shop: str,
        *,
        folder: Path | None = None,
        variables: Mapping[str, str] | None = None,
        stays: bool = False,
        waiting: Waiting = quietly,
    ) -> None:
        self._home = state / local.AGENT
        self._folder = folder or tools.default_agent()
        self._variables = {"SHOP": shop, **(variables or {})}
        self._stays = stays
        self._waiting = waiting
        self._alone = ExitStack()
        self._now: workerd.Worker | None = None
        self._secret, self._begun_at = "", 0.0

    def begin(self) -> None:
        """Start it in the background where it does not run yet, and wait for nothing.

        Raises:
            EnvironmentNotReady: there is no Node, nothing is installed, or it cannot be started.
        """
        try:
            with self._held():
                if self._found() is None:
                    self._begin(workerd.a_port(self._last_port()), gives_way=True)
        except _Used:
            return

    def __enter__(self) -> Self:
        # Two of them must not write to the same object, nor buy for the same human.
        self._alone.enter_context(self._held())
        try:
            if not self._take_up():
                # The same port as before: the way back from the consent is registered with it.
                port = workerd.a_port(self._last_port())
                try:
                    self._start(port)
                except EnvironmentNotReady:
                    # Between the look and the start something else may have taken it: then once more, elsewhere.
                    if (other := workerd.a_port(port)) == port:
                        raise
                    self._start(other)
        except BaseException:
            self._end()
            self._alone.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._stays:
            self._end()
        self._alone.close()

    @property
    def base_url(self) -> str:
        """Where it is; the same after a restart."""
        return self._started.base_url

    @property
    def pid(self) -> int:
        """Of the process that keeps it running now."""
        return self._started.pid

    @property
    def runtime(self) -> int:
        """Of the process that runs its code now, or where that cannot be seen, of the one that keeps it running."""
        return workerd.runtime(self._started) or self.pid

    @property
    def secret(self) -> str:
        """What its owner signs in with, with any name."""
        return self._secret

    def kill(self) -> None:
        """End all of its processes at once, whatever they are doing (SIGKILL)."""
        # It ends by itself in time, and its number may be another process's then.
        if (mark := workerd.noted(self._home)) is not None:
            process.kill_group(mark.pid)

    def start_again(self) -> None:
        """Start it on the same object, at the same port, after `kill`."""
        self._start(int(self.base_url.rpartition(":")[2]))

    def crash(self) -> None:
        """Kill the process that runs its code, whatever it does (SIGKILL), and have another one started in its place by
        what keeps it running; where that cannot be done, kill and start all of it. Ask for its `status` next, which
        waits for the new one."""
        if not workerd.start_again(self._started):
            self.kill()
            self.start_again()

    def start(self, key: str) -> EdgeAgent:
        """Have it begin; `key` names this beginning, so that the same one buys nothing twice."""
        return self._ask("POST", "/start", {"Idempotency-Key": f'"{key}"'})

    def stop(self) -> EdgeAgent:
        """Have it stop, and hand back what it was given."""
        return self._ask("POST", "/stop")

    def hurry(self, seconds: int = 0) -> EdgeAgent:
        """Have the next purchase be due in so many seconds, and not later."""
        return self._ask("POST", f"/now?after={seconds}")

    def status(self) -> EdgeAgent:
        """What it says of itself.

        Raises:
            ServerUnreachable: it does not answer, or with something else.
        """
        return self._ask("GET", "/status")

    def until(self, what: str, seen: Callable[[EdgeAgent], bool], seconds: float = 30.0) -> EdgeAgent:
        """Look until something is so, for so long at most; the last look, whether it is so or not."""
        deadline = time.monotonic() + seconds
        while not seen(now := self.status()) and (left := deadline - time.monotonic()) > 0:
            self._waiting(what, left)
            time.sleep(0.15)
        return now

    def arrive(self, url: str) -> None:
        """Follow the way back from the consent, as the human's browser does; the answer is a redirect to the page.

        Raises:
            ServerUnreachable: it leads elsewhere than to this agent, or nobody answers.
        """
        if not url.startswith(f"{self.base_url}/callback?"):
            raise ServerUnreachable("the consent leads to somewhere else", why=safe_text(url, one_line=True)[:200])
        self._open("GET", url.removeprefix(self.base_url), {})

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        import filelock

        private.folder(self._home.parent)
        self._home.mkdir(exist_ok=True, mode=0o700)
        try:
            with filelock.FileLock(self._home / "lock").acquire(timeout=0.5):
                yield
        except filelock.Timeout as error:
            do = "end it where it was started (Ctrl-C)"
            raise _Used("an agent of this state runs already", do=do) from error

    @property
    def _started(self) -> workerd.Worker:
        if self._now is None:
            raise EnvironmentNotReady("the agent does not run", do="start it")
        return self._now

    @property
    def _setup(self) -> dict[str, Any]:
        return {"folder": str(self._folder), "variables": self._variables}

    def _found(self) -> workerd.Worker | None:
        """The one that runs in the background, where it was started as this one is meant, and has some time left."""
        mark = workerd.noted(self._home)
        if mark is None or not private.is_ours(self._home):
            return None
        try:
            written = json.loads((self._home / _BEGUN).read_text("utf-8"))
            port, secret, at = int(written["port"]), str(written["secret"]), float(written["at"])
            same = (written["setup"], int(written["pid"])) == (self._setup, mark.pid)
        except (OSError, ValueError, OverflowError, RecursionError, KeyError, TypeError):
            return None
        if not same or not 0 <= time.time() - at < LIFE_SECONDS - LEFT_SECONDS:
            return None
        self._secret, self._begun_at = secret, at
        return workerd.Worker(f"http://127.0.0.1:{port}", mark.pid)

    def _begin(self, port: int, *, gives_way: bool = False) -> workerd.Worker:
        end(self._home.parent)
        self._secret = secrets.token_urlsafe(24)
        mark = workerd.begin(
            tools.find(self._folder),
            port=port,
            state=self._home,
            variables=self._variables,
            secrets={"OWNER_SECRET": self._secret},
            seconds=LIFE_SECONDS,
            gives_way=gives_way,
        )
        if mark is None:
            raise EnvironmentNotReady("the agent does not start", do=f"read {self._home / 'worker.log'}")
        begun = {"port": port, "secret": self._secret, "at": time.time(), "setup": self._setup, "pid": mark.pid}
        private.write(self._home / _BEGUN, json.dumps(begun))
        (self._home / "port").write_text(str(port), "utf-8")
        return workerd.Worker(f"http://127.0.0.1:{port}", mark.pid)

    def _take_up(self) -> bool:
        """Whether the one that runs in the background is there to be used. One that dies at that, or hangs, is not: it
        has what is left of the time to start, and a moment at least."""
        if (found := self._found()) is None:
            return False
        self._now, age = found, time.time() - self._begun_at
        with contextlib.suppress(EnvironmentNotReady):
            self._wait(max(FOUND_SECONDS, workerd.START_SECONDS - age))
            return True
        return False

    def _start(self, port: int) -> None:
        self._now = self._begin(port)
        self._wait(workerd.START_SECONDS)

    def _wait(self, seconds: float) -> None:
        workerd.wait(
            self._started,
            state=self._home,
            lives=lambda: workerd.noted(self._home) is not None,
            heard=_heard,
            waiting=self._waiting,
            name="the agent",
            seconds=seconds,
        )

    def _end(self) -> None:
        self._now = None
        with signals_ignored():
            end(self._home.parent)

    def _last_port(self) -> int:
        with contextlib.suppress(OSError, ValueError):
            return int((self._home / "port").read_text("utf-8"))
        return DEFAULT_PORT

    def _ask(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> EdgeAgent:
        said = self._open(method, path, headers or {})
        try:
            return _read(json.loads(said))
        except (ValueError, OverflowError, RecursionError, KeyError, TypeError) as error:
            raise ServerUnreachable("the agent's answer cannot be read", why=str(error)) from error

    def _open(self, method: str, path: str, headers: Mapping[str, str]) -> bytes:
        credentials = base64.b64encode(f"owner:{self._secret}".encode()).decode()
        own = {"Authorization": f"Basic {credentials}", "Accept": "application/json", **headers}
        request = urllib.request.Request(f"{self.base_url}{path}", method=method, headers=own)
        try:
            with _opener().open(request, timeout=ASK_SECONDS) as answer:
                return bytes(answer.read(_LONGEST))
        except urllib.error.HTTPError as error:
            with error, contextlib.suppress(OSError, ValueError, http.client.HTTPException):
                if error.code == 303:
                    return b""
                why = safe_text(error.read(2000).decode("utf-8", "replace"), one_line=True)
                raise ServerUnreachable(f"the agent answers {error.code}", why=why) from None
            raise ServerUnreachable(f"the agent answers {error.code}") from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            why = f"read {self._home / 'worker.log'}"
            raise ServerUnreachable("the agent does not answer", why=str(error), do=why) from error


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay)


def _heard(base_url: str) -> tuple[bool, str]:
    """Whether the agent answers, and what it says against its settings (`/health` in worker/agent/README.md)."""
    try:
        with _opener().open(f"{base_url}/health", timeout=2) as answer:
            said = json.loads(answer.read(10_000))
            return said["agent"] == "shopper", str(said["problem"] or "")
    except (OSError, ValueError, RecursionError, KeyError, TypeError, http.client.HTTPException):
        return False, ""


def _read(said: dict[str, Any]) -> EdgeAgent:
    return EdgeAgent(
        phase=_text(said["phase"]),
        why=_text(said["why"]),
        process=_text(said["process"]),
        starts=int(said["starts"]),
        logins=int(said["logins"]),
        decides=_text(said["decides"]),
        authorize=None if said["authorize"] is None else str(said["authorize"]),
        due=None if said["due"] is None else _text(said["due"]),
        purchases=tuple(
            EdgePurchase(
                n=int(one["n"]),
                key=_text(one["key"]),
                status=_text(one["status"]),
                attempts=int(one["attempts"]),
                order_id=None if one["order_id"] is None else _text(one["order_id"]),
                replayed=one["replayed"] is True,
                rule=_text(one["rule"]),
                reason=_text(one["reason"]),
            )
            for one in said["purchases"]
        ),
    )


def _text(value: Any) -> str:
    return safe_text(str(value), one_line=True)
