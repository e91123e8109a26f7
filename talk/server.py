"""The server that a talk is played at: whether it is our shop, what it publishes, and how it is started again."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from demo.local_server import local
from deputize.errors import ExplainedError, ServerUnreachable
from talk.playing.other_server import NotHere

if TYPE_CHECKING:
    from demo.client.agent import Agent
    from demo.client.capabilities import Survey
    from demo.deploy.local_worker import LocalWorker
    from deputize.http.known_servers import Memory
    from deputize.tokens.store import TokenStore

CANNOT = "this server cannot do this step"
LOOK_SECONDS = 8.0
"""For each thing that is looked at in a server when the talk first meets it."""


class TalkServer:
    """One server, looked at when it is first needed.

    Args:
        url: its base URL, or any MCP endpoint's.
        state: the folder where tokens go when there is no keyring, and the local server's data.
        is_local: whether it is the bundled one of this state, which can be restarted and has sample accounts.
        port: where the local server listens when it is started again.
        worker: the Worker that it is, where it was started here.
        login: where its tokens are kept; by default in the keyring or in `state`.
        workos: whether `[workos]` says that WorkOS stands behind it.
        world: the name of the local server's data, None where nobody has asked.
    """

    def __init__(
        self,
        url: str,
        state: Path,
        *,
        is_local: bool,
        port: int,
        worker: LocalWorker | None,
        login: TokenStore | None,
        workos: bool,
        world: str | None,
    ) -> None:
        self.url = url
        self.state = state
        self.is_local = is_local
        self.worker = worker
        self._port = port
        self._workos_used = workos
        self._world = world
        self._store = login
        self._survey: Survey | None = None
        self._ours: bool | None = True if is_local or worker is not None else None

    @property
    def store(self) -> TokenStore:
        """Where this server's tokens are kept."""
        if self._store is None:
            from demo.logins import token_store

            if self.is_local:
                from deputize.http.transport import must_prove

                must_prove(self.url, partial(local.stands_at, self.state, self.url))
            self._store = token_store(self.state, server=self.url)
        return self._store

    @property
    def memory(self) -> Memory:
        from deputize.http.known_servers import Memory

        return Memory(self.state)

    @property
    def ours(self) -> bool:
        """Whether this is our shop with the bundled authorization server, of this state or named by its URL: its sample
        humans can be asked.

        Raises:
            UsageError: the server's URL is none.
        """
        if self._ours is None:
            from demo.client.capabilities import says_it_is_ours
            from deputize.http.origins import origin
            from deputize.net import is_loopback

            where = origin(self.url)
            # Only a server on this machine can be the bundled one, unless [workos] says that WorkOS stands behind
            # it; no other is asked just to find that out.
            here = where is not None and is_loopback(where[1]) and not self._workos_used
            try:
                # One request for its name first: the survey makes a dozen.
                self._ours = here and says_it_is_ours(self._looking()) and self.seen().ours
            except ServerUnreachable:
                # The call that follows says that it is not there; until it is, it is not ours.
                return False
        return self._ours

    @property
    def beside(self) -> bool:
        """Whether this is the shop as a Worker beside the bundled authorization server, another server then."""
        from deputize.http.origins import origin

        if self.worker is not None:
            return True
        if self.is_local or not self.ours:
            return False
        trusted, about = self.seen().authorization_server, self.seen().health or {}
        # A Worker has no process to name (`/health`); the bundled server names its own.
        elsewhere = trusted is not None and trusted.problem is None and origin(trusted.issuer) != origin(self.url)
        return elsewhere and "deployment" in about and about.get("pid") is None

    def issuer_beside(self) -> str | None:
        """The bundled authorization server where it is another server than the shop; None where it is the same."""
        if self.worker is not None:
            return self.worker.issuer
        trusted = self.seen().authorization_server if self.beside else None
        return trusted.issuer if trusted is not None else None

    def seen(self) -> Survey:
        """What the server publishes and how it answers, looked at once."""
        if self._survey is None:
            from demo.client.capabilities import survey

            # By an agent of its own: what it sees is no step of the talk.
            seen = survey(self._looking(), revisions=False, keys=False)
            if seen.anonymous is None:
                raise self._no_server(seen)
            self._survey = seen
        return self._survey

    def _no_server(self, seen: Survey) -> ExplainedError:
        error = seen.error("endpoint")
        if error is not None and seen.absent("endpoint"):
            return error
        return ServerUnreachable(
            f"{self.url} cannot be reached",
            why=seen.failure("endpoint").rpartition(" cannot be reached: ")[2],
            do="start it, or name another with --server",
        )

    def look(self, waiting: local.Waiting) -> None:
        """See that an MCP server answers there: one call without a token.

        Raises:
            ServerUnreachable: nothing does, or something else.
        """
        waiting(self.url, LOOK_SECONDS)
        self._looking().tools(token="none")

    def _looking(self) -> Agent:
        from demo.client.agent import Agent

        return Agent(self.url, store=self.store, timeout=LOOK_SECONDS, memory=self.memory)

    def revive(self, waiting: local.Waiting) -> bool:
        """See that the talk's own server runs: where it has ended, it is started again. Another server is let be.

        Returns:
            Whether it is where it was, with its data. Else these actors know nothing there.

        Raises:
            EnvironmentNotReady: it cannot be started.
        """
        if not self.is_local:
            return True
        server, _ = local.ensure(self.state, port=self._port, waiting=waiting)
        return server.base_url == self.url and self._world in (None, server.world)

    def restart(self, waiting: local.Waiting) -> tuple[local.LocalServer, local.LocalServer]:
        """Stop and start the talk's own server. Returns it as it was, and as it is."""
        if self.worker is not None:
            was = self.worker.look()
            self.worker.restart()
            return was, self.worker.look()
        if not self.is_local:
            raise NotHere(CANNOT, why="only the bundled server can be restarted from here")
        before = local.find(self.state)
        if before is None:
            before, _ = local.ensure(self.state, port=self._port, waiting=waiting)
        local.stop(self.state, waiting=waiting)
        after, _ = local.ensure(self.state, port=self._port, waiting=waiting)
        return before, after

    def only_beside_its_authorization_server(self) -> None:
        """Raise where the authorization server is not the one of this state folder: no other can be put out of order.

        Raises:
            NotHere: it is another.
        """
        why = None
        if not self.is_local and self.worker is None:
            why = "its authorization server was not started from this state folder"
        elif self.worker is not None and not self.worker.introspects:
            why = "this Worker asks its authorization server about no token"
        if why is not None:
            raise NotHere(CANNOT, why=why)
