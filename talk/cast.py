"""Who plays: the agents, the human's console and the sample humans of one performance, made when first needed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from demo.local_server import local
from demo.settings.client import ClientSettings
from demo.settings.tools import ToolMap
from demo.settings.workos import WorkOSSettings
from deputize.errors import AuthorizationRefused, ExplainedError, ServerUnreachable
from talk.playing.kind import SUB_AGENTS
from talk.playing.other_server import NotHere, OtherServer

if TYPE_CHECKING:
    from demo.client.agent import Agent
    from demo.client.capabilities import Survey
    from demo.client.human.console import Console
    from demo.client.human.sample_human import SampleHuman
    from demo.client.workos.agents import AgentIdentity, AgentPass
    from demo.client.workos.hosted_console import HostedConsole
    from demo.client.workos.tenant import Tenant
    from demo.deploy.local_worker import LocalWorker
    from deputize.evidence import Exchange
    from deputize.http.known_servers import Memory
    from deputize.tokens.store import Store, TokenStore
    from deputize.tokens.stored import StoredToken

HUMAN = "alice@example.com"
"""The sample account in whose name the talk's agent acts."""
ADMIN = "grace@example.com"
"""The sample account that may set what the shop's doors say."""

CANNOT = "this server cannot do this step"
LOOK_SECONDS = 8.0
"""For each thing that is looked at in a server when the talk first meets it."""


class Cast:
    """The actors at one server.

    Args:
        server: the server's base URL, or any MCP endpoint's.
        state: the folder where tokens go when there is no keyring, and the local server's data.
        is_local: whether `server` is the bundled one of this state, which can be restarted and has sample accounts.
        port: where the local server listens when it is started again.
        tools: what another server calls the shop's verbs.
        client: who the agent is at an authorization server where it was registered by hand.
        edge: where the shop may run as a Worker: "auto", "local" (never deployed), "off" (only described).
        worker: the Worker that `server` is, where it was started here.
        workos: which WorkOS environment stands behind a server that is not the local one.
        login: a login of the user's own that is used, and must be there afterwards; else tokens are kept in `state`.
        world: the name of the local server's data, None where nobody has asked.
    """

    def __init__(
        self,
        server: str,
        state: Path,
        *,
        is_local: bool,
        port: int,
        tools: ToolMap | None = None,
        client: ClientSettings | None = None,
        edge: str = "auto",
        worker: LocalWorker | None = None,
        workos: WorkOSSettings | None = None,
        login: TokenStore | None = None,
        world: str | None = None,
    ) -> None:
        self.server = server
        self.edge = edge
        self.repository: str | None = None
        """Where the code of this talk is, for the closing link; None: where the beat itself says."""
        self.worker = worker
        self.grantor: str | None = None
        """Who gave the talk's agent its grant, by their address, where this run has seen it."""
        self.state = state
        self.is_local = is_local
        self._port = port
        self._tools = tools or ToolMap()
        self._client = client or ClientSettings()
        self._workos = workos or WorkOSSettings()
        self._tenant: Tenant | None = None
        self.passes: dict[str, tuple[AgentIdentity, AgentPass]] = {}
        """What agents hold by WorkOS, by their blueprints' names: in memory alone, and gone with this process."""
        self.spent: dict[str, tuple[StoredToken, float]] = {}
        """Refresh tokens that were used, by slot, with when (monotonic seconds): the `reuse` step uses one again. In
        memory alone, too."""
        self._other: OtherServer | None = None
        self._survey: Survey | None = None
        self._ours: bool | None = True if is_local or worker is not None else None
        self._agents: dict[str, Agent] = {}
        self._beat: ExitStack | None = None
        self._console: Console | None = None
        self._world = world
        self._console_of = HUMAN
        self._store = login
        self._lent = login is not None

    @property
    def store(self) -> TokenStore:
        """Where this server's tokens are kept."""
        if self._store is None:
            from demo.logins import token_store

            if self.is_local:
                from deputize.http.transport import must_prove

                must_prove(self.server, partial(local.stands_at, self.state, self.server))
            self._store = token_store(self.state, server=self.server)
        return self._store

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

            where = origin(self.server)
            # Only a server on this machine can be the bundled one, unless [workos] says that WorkOS stands behind
            # it; no other is asked just to find that out.
            here = where is not None and is_loopback(where[1]) and not self._workos.used
            try:
                # One request for its name first: the survey makes a dozen.
                self._ours = here and says_it_is_ours(self._looking()) and self._seen().ours
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
        trusted, about = self._seen().authorization_server, self._seen().health or {}
        # A Worker has no process to name (`/health`); the bundled server names its own.
        elsewhere = trusted is not None and trusted.problem is None and origin(trusted.issuer) != origin(self.server)
        return elsewhere and "deployment" in about and about.get("pid") is None

    @property
    def other(self) -> OtherServer | None:
        """What another server has and has not; None at the bundled one, which has everything or is broken."""
        if self.ours:
            return None
        if self._other is None:
            self._other = OtherServer(
                self._seen(), self.agent(), self._tools, no_console=self._no_console, lent=self._lent
            )
        return self._other

    @property
    def tools(self) -> ToolMap:
        """What the server at hand calls the shop's verbs."""
        return ToolMap() if self.ours else self._tools

    def door(self, door: str) -> str:
        """Which of the server's doors is meant by the talk's."""
        # Where nobody is asked for a token, the one door there is stands for both; the protected one is itself.
        return door if door != "open" or self.other is None else self.other.door(door)

    def _seen(self) -> Survey:
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
            f"{self.server} cannot be reached",
            why=seen.failure("endpoint").rpartition(" cannot be reached: ")[2],
            do="start it, or name another with --server",
        )

    def look(self, waiting: local.Waiting) -> None:
        """See that an MCP server answers there: one call without a token.

        Raises:
            ServerUnreachable: nothing does, or something else.
        """
        waiting(self.server, LOOK_SECONDS)
        self._looking().tools(token="none")

    def _looking(self) -> Agent:
        from demo.client.agent import Agent

        return Agent(self.server, store=self.store, timeout=LOOK_SECONDS, memory=self._memory)

    @property
    def _memory(self) -> Memory:
        from deputize.http.known_servers import Memory

        return Memory(self.state)

    def agent(self, who: str = "agent") -> Agent:
        """The agent called `who`; for "nobody" it is the same software, and no token goes along."""
        slot = "agent" if who == "nobody" else who
        if slot == "console":
            return self.console().agent
        if slot not in self._agents:
            self._agents[slot] = self._made(slot)
            if self._beat is not None:
                self._beat.enter_context(self._agents[slot].one_session())
        return self._agents[slot]

    def software(self) -> dict[str, str]:
        """What the software of the agents, and of the human's console, is called, by its client id."""
        # A sub-agent has the client of the agent above it, and is no software of its own.
        agents = [one for slot, one in self._agents.items() if slot not in SUB_AGENTS]
        acting = [*agents, *([self._console.agent] if self._console else [])]
        return {one.client_id: one.name for one in acting if one.client_id}

    def sub_agents(self) -> dict[str, str]:
        """What the talk's sub-agents are called, by the ids that their stored tokens have for them: also those that
        another process of this run handed on to."""
        from deputize.tokens import claims

        found: dict[str, str] = {}
        for slot in SUB_AGENTS:
            token = self.store.get(slot)
            jwt = claims.take_apart(token.access_token) if token is not None else None
            act = jwt.claims.get("act") if jwt is not None else None
            if isinstance(act, dict) and isinstance(act.get("sub"), str):
                found[act["sub"]] = _name_of(slot)
        return found

    @property
    def skew(self) -> float | None:
        """The server's clock minus ours in seconds; None before it has answered an agent."""
        return max((agent.skew for agent in self._agents.values() if agent.skew is not None), key=abs, default=None)

    def granted_by(self) -> dict[str, str]:
        """The address of the human who gave the agent its grant, by the id that its token has for them."""
        from deputize.tokens import claims

        token = self.agent().stored() if self.grantor is not None else None
        jwt = claims.take_apart(token.access_token) if token else None
        subject = jwt.claims.get("sub") if jwt else None
        return {subject: self.grantor} if isinstance(subject, str) and self.grantor is not None else {}

    @contextmanager
    def one_session(self) -> Iterator[None]:
        """While it lasts each agent keeps its MCP session, at a server that has any: what a beat has done there with
        one call is there for its next."""
        with ExitStack() as self._beat:
            for agent in self._agents.values():
                self._beat.enter_context(agent.one_session())
            try:
                yield
            finally:
                self._beat = None

    def _made(self, slot: str) -> Agent:
        from demo.client.agent import Agent

        client = self._client
        name = _name_of(slot)
        if self.ours and client.id is None:
            return Agent(self.server, store=self.store, slot=slot, memory=self._memory, name=name)
        identity = None
        if client.id is not None:
            from deputize.tokens.identity import ClientIdentity

            secret = client.secret(os.environ)
            method: Literal["none", "client_secret_basic"] = "none" if secret is None else "client_secret_basic"
            identity = ClientIdentity(client.id, secret=secret, method=method, issuer=client.issuer)
        return Agent(
            self.server,
            store=self.store,
            slot=slot,
            client_id=None,
            identity=identity,
            metadata_url=client.metadata_url,
            redirect_port=client.redirect_port,
            resource=client.resource,
            memory=self._memory,
            name=name,
        )

    def account(self, scripted: str = HUMAN) -> str:
        """Which sample account plays the one that the script names: where another human than Alice gave the agent its
        grant, they play her part from then on, and she plays theirs."""
        if self.grantor is None:
            return scripted
        return {HUMAN: self.grantor, self.grantor: HUMAN}.get(scripted, scripted)

    def human(self, account: str = HUMAN) -> SampleHuman:
        """The sample human who plays this account's part, and decides on the authorization server's own pages."""
        if not self.ours:
            raise NotHere(CANNOT, why="sample humans sign in at the bundled authorization server only")
        from demo.client.human.sample_human import SampleHuman

        return SampleHuman(self.account(account))

    def console(self) -> Console:
        """The own console of the human who gave the agent its grant, signed in."""
        known = self._console
        # Its token may be out of reach: a keyring can be locked in mid-talk.
        if known is not None and self.ours and (self._console_of != self.account() or known.agent.stored() is None):
            self._console = None
        if self._console is None and not self.ours:
            if (why := self._no_console()) is not None:
                raise NotHere(CANNOT, why=why)
            self._console = self.hosted_console()
        if self._console is None:
            console = self._bundled_console(self.store)
            with self._of_this_folder():
                if not console.signed_in() or (self.grantor is not None and self._is_anothers(console)):
                    console.sign_in(self.human())
            self._console, self._console_of = console, self.account()
        return self._console

    def console_of_grantor(self) -> Console:
        """The console of whoever said yes to the stored login, for a command outside a run: that one may take it back.
        The talk's own stays as it is."""
        held = self.agent().stored() if self.ours else None
        name = held.human_address if held is not None else None
        if name is None:
            return self.console()
        if name == self.account() and not self._is_anothers(console := self.console()):
            return console
        return self.console_of(name)

    def console_of(self, account: str) -> Console:
        """The console of another sample human, signed in for this process alone: the talk's own stays as it is."""
        return self._signed_in(self.human(account))

    def console_of_admin(self) -> Console:
        """As `console_of`, of the shop's admin: who that is does not change where another human plays Alice's part."""
        from demo.client.human.sample_human import SampleHuman

        return self._signed_in(SampleHuman(ADMIN))

    def _signed_in(self, human: SampleHuman) -> Console:
        from deputize.tokens.store import MemoryStore

        console = self._bundled_console(MemoryStore().at(self.server))
        with self._of_this_folder():
            console.sign_in(human)
        return console

    def _bundled_console(self, store: Store) -> Console:
        from demo.client.human.console import Console, console_identity
        from demo.local_server import world

        # Two servers where the shop is a Worker; the bundled shop is its own authorization server.
        identity = console_identity(world.console(self.state / world.DATABASE))
        return Console(self.server, store=store, issuer=self._issuer_beside(), client=identity)

    @contextmanager
    def _of_this_folder(self) -> Iterator[None]:
        """Says what is wrong where a console proves itself to a server that has another key for it."""
        try:
            yield
        except AuthorizationRefused as refused:
            if getattr(refused, "oauth_error", None) != "invalid_client":
                raise
            raise NotHere(
                "the human's console is not known to this server",
                why="it proves itself by a key that lies in the server's own state folder, and this one is another",
            ) from refused

    def _is_anothers(self, console: Console) -> bool:
        """Whether another human is signed in at the console than the one behind the agent's token."""
        mine, theirs = (_claim(agent.stored(), "sub") for agent in (self.agent(), console.agent))
        return None not in (mine, theirs) and mine != theirs

    def _issuer_beside(self) -> str | None:
        """The bundled authorization server where it is another server than the shop; None where it is the same."""
        if self.worker is not None:
            return self.worker.issuer
        trusted = self._seen().authorization_server if self.beside else None
        return trusted.issuer if trusted is not None else None

    def hosted_console(self) -> HostedConsole:
        """The human's own console where AuthKit is the authorization server, signed in or not.

        Raises:
            NotHere: `[workos]` names no console.
            EnvironmentNotReady: there is no API key.
        """
        account = self._workos
        if account.authkit is None or account.console is None:
            raise NotHere("there is no console of the human's here", why="no workos.console in demo.toml")
        from demo.client.workos.hosted_console import HostedConsole
        from deputize.tokens.identity import ClientIdentity

        port = self._client.redirect_port
        redirect_uri = None if port is None else f"http://127.0.0.1:{port}/callback"
        client = ClientIdentity(account.console, issuer=account.authkit, redirect_uri=redirect_uri)
        return HostedConsole(self.server, store=self.store, issuer=account.authkit, client=client, tenant=self.tenant())

    def _no_console(self) -> str | None:
        """Why the human has no console at this server, or None."""
        if self._workos.authkit is None or self._workos.console is None:
            return "the human's console speaks to the bundled authorization server only"
        try:
            if self._console is None and not self.hosted_console().signed_in():
                return "the human has not signed in at their own console: demo login --console"
        except ExplainedError as error:
            return f"{error.what}: {error.why}" if error.why else error.what
        return None

    def tenant(self) -> Tenant:
        """The WorkOS environment behind the server: the local server's own, else the account's of `[workos]`.

        Raises:
            NotHere: nothing says that WorkOS stands behind this server.
            EnvironmentNotReady: there is no API key.
        """
        if self._tenant is None:
            issuer = self.server if self.is_local else self.worker.issuer if self.worker is not None else None
            if issuer is None and not self._workos.used:
                # Another folder's local server keeps its key there, and the one in this folder is not for it.
                why = "the server was not started from this state folder" if self.ours else "no [workos] in demo.toml"
                why = "only demo run --worker knows its authorization server's state folder" if self.beside else why
                raise NotHere("WorkOS is not asked here", why=why)
            if issuer is None:
                self._is_authkits()
            from demo.client.workos.environment import Environment
            from demo.client.workos.tenant import Tenant

            # At the local server its own, whatever demo.toml says: a dry run asks nobody outside this machine.
            environment = (
                Environment.of_local(issuer, self.state)
                if issuer is not None
                else Environment.of_account(self._workos, self.state, os.environ)
            )
            self._tenant = Tenant(environment)
        return self._tenant

    def _is_authkits(self) -> None:
        """Raise where the server trusts another issuer than `[workos]` names: then WorkOS is neither told nor asked."""
        trusted = self._seen().authorization_server
        issuer = trusted.issuer.rstrip("/") if trusted is not None and trusted.problem is None else None
        if issuer != self._workos.authkit:
            who = f"this server trusts {issuer}" if issuer else "nothing says whom this server trusts"
            raise NotHere("WorkOS is not asked here", why=f"{who}, and workos.authkit is {self._workos.authkit}")

    def consent(self, who: str = "agent") -> str | None:
        """The consent behind an agent's stored token, as the token claims it; None without one."""
        return _claim(self.agent(who).stored(), "consent_id")

    def take_exchanges(self) -> list[Exchange]:
        """What the actors put on the wire since the last time this was asked, oldest first."""
        actors = [*self._agents.values(), *([self._console.agent] if self._console else [])]
        recorders = [actor.recorder for actor in actors] + ([self._tenant.recorder] if self._tenant else [])
        taken = [exchange for recorder in recorders for exchange in recorder.take()]
        return sorted(taken, key=lambda exchange: exchange.started_at)

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
        return server.base_url == self.server and self._world in (None, server.world)

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


def _name_of(slot: str) -> str:
    """What the agent calls itself whose token is in this slot."""
    return slot.capitalize() if slot in SUB_AGENTS else "Shirt Agent"


def _claim(token: StoredToken | None, name: str) -> str | None:
    """What a token claims, unverified; None where it does not."""
    from deputize.tokens import claims

    jwt = claims.take_apart(token.access_token) if token is not None else None
    value = jwt.claims.get(name) if jwt is not None else None
    return value if isinstance(value, str) else None
