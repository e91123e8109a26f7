"""The Worker on this machine as a shop of the local authorization server: what has to fit together."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from demo import processes
from demo.deploy import blueprint, tools, workerd
from demo.local_server import WAREHOUSE, local, resources, world
from demo.local_server.local import Waiting, quietly
from deputize import private
from deputize.errors import EnvironmentNotReady


class LocalWorker:
    """The Worker under workerd with the local server as its authorization server, for as long as a `with` block.

    Its Durable Objects are kept in the state folder. Nothing is installed for it and no network is used.

    Args:
        state: the local server's; it must have run before.
        issuer: the local server's base URL.
        worker: the Worker's folder; by default the one beside the package.
        variables: over those of its configuration.
        changed: over all of these, until it is restarted with others.
        waiting: called with what is awaited.

    Raises:
        EnvironmentNotReady: on entering, and when it is restarted: there is no Worker, no Node, nothing installed, no
            local server, or it does not start.
    """

    def __init__(
        self,
        state: Path,
        issuer: str,
        *,
        worker: Path | None = None,
        variables: Mapping[str, str] | None = None,
        changed: Mapping[str, str] | None = None,
        waiting: Waiting = quietly,
    ) -> None:
        self.issuer = issuer
        self._state = state
        self._worker = worker or tools.default_worker()
        told = {"WAREHOUSE": issuer + WAREHOUSE}
        self._variables = workerd.local_variables(issuer) | told | dict(variables or {})
        self.changed = dict(changed or {})
        self._waiting = waiting
        self._running = ExitStack()
        self._alone = ExitStack()
        self._now: workerd.Worker | None = None

    @property
    def base_url(self) -> str:
        """Where it is; the same after a restart."""
        return self._started.base_url

    @property
    def introspects(self) -> bool:
        """Whether it asks its authorization server about each token (RFC 7662), as a client of its own."""
        return self._variables.get("INTROSPECTION_CLIENT_ID") != ""

    @property
    def pid(self) -> int:
        """Of the process that keeps it running now."""
        return self._started.pid

    def __enter__(self) -> Self:
        import filelock

        home = self._state / local.WORKER
        private.folder(self._state)
        home.mkdir(exist_ok=True, mode=0o700)
        try:
            # Two of them must not write to the same objects, nor delete each other's files.
            self._alone.enter_context(filelock.FileLock(home / "lock").acquire(timeout=0.5))
        except filelock.Timeout as error:
            raise EnvironmentNotReady(
                "a Worker of this state runs already", do="use it, or end it where it was started (Ctrl-C)"
            ) from error
        try:
            port = workerd.a_port(_last_port(home))
            try:
                self._start(port)
            except EnvironmentNotReady:
                # Between the look and the start something else may have taken it: then once more, elsewhere.
                if (other := workerd.a_port(port)) == port:
                    raise
                self._start(port := other)
            (home / "port").write_text(str(port), "utf-8")
        except BaseException:
            self._alone.close()
            raise
        return self

    def _start(self, port: int) -> None:
        built = tools.find(self._worker)
        credentials = world.credentials(self._state)
        if credentials is None:
            raise EnvironmentNotReady("the local server has not run yet", do="begin with: demo next")
        # By either name: a client asks for a token for the one that it was given (RFC 9728 section 3.3).
        for host in ("127.0.0.1", "localhost"):
            for path in ("mcp", "admin"):
                resources.add(self._state, f"http://{host}:{port}/{path}")
        running = workerd.running(
            built,
            port=port,
            state=self._state / local.WORKER,
            variables=self._variables | self.changed,
            secrets=workerd.local_secrets(credentials),
            waiting=self._waiting,
        )
        self._now = self._running.enter_context(running)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        self._alone.close()

    def _end(self) -> None:
        self._now = None
        self._running.close()

    def restart(self, changed: Mapping[str, str] | None = None) -> None:
        """End its process, and start another on the same objects and at the same port: at no other, since a token
        that was issued for it is sent there.

        Args:
            changed: variables over its own, as who deploys it again may set them; None: those that it has now.
        """
        port = int(self.base_url.rpartition(":")[2])
        self._end()
        if changed is not None:
            self.changed = dict(changed)
        self._start(port)

    def variable(self, name: str) -> str:
        """What a variable is now: as it was changed, as it was given, or as its configuration has it."""
        given = self._variables | self.changed
        return given[name] if name in given else dict(blueprint.read(self._worker).variables).get(name, "")

    def look(self) -> local.LocalServer:
        """What answers there now: its process, and which instance and which data it says it is.

        Raises:
            EnvironmentNotReady: nothing answers, or another program where the Worker has ended.
        """
        known = world.credentials(self._state)
        about = local.health(self.base_url, timeout=10.0, credentials=known) if self.listens else None
        if about is None:
            raise EnvironmentNotReady("the Worker does not answer", do=f"read {self._state / local.WORKER}/worker.log")
        return local.LocalServer(self.base_url, self.pid, str(about.get("instance")), str(about.get("world")))

    @property
    def listens(self) -> bool:
        """Whether its own process listens at its address; what another one says there is not its word."""
        return self._now is not None and processes.listens(self._now.pid, int(self._now.base_url.rpartition(":")[2]))

    @property
    def _started(self) -> workerd.Worker:
        if self._now is None:
            raise EnvironmentNotReady("the Worker does not run", do="begin with: demo run --worker")
        return self._now


def _last_port(home: Path) -> int:
    # The port is part of the resource's name: at another one, tokens that were issued before would not fit.
    with contextlib.suppress(OSError, ValueError):
        return int((home / "port").read_text("utf-8"))
    return workerd.DEFAULT_PORT
