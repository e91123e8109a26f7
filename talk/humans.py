"""The humans of a performance: sample humans, the account owner's console, and WorkOS where it knows them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from demo.settings.client import ClientSettings
from demo.settings.workos import WorkOSSettings
from deputize.errors import AuthorizationRefused, ExplainedError
from talk.playing.other_server import NotHere
from talk.server import CANNOT, TalkServer

if TYPE_CHECKING:
    from demo.client.agent import Agent
    from demo.client.human.console import Console
    from demo.client.human.sample_human import SampleHuman
    from demo.client.workos.hosted_console import HostedConsole
    from demo.client.workos.tenant import Tenant
    from deputize.http.recorder import Recorder
    from deputize.tokens.store import Store
    from deputize.tokens.stored import StoredToken

HUMAN = "alice@example.com"
"""The sample account in whose name the talk's agent acts."""
ADMIN = "grace@example.com"
"""The sample account that may set what the shop's doors say."""
AGENT = "agent"
"""The slot of the token of the talk's agent."""


class Humans:
    """Who grants, approves and revokes at one server.

    Args:
        client: who the agent is at an authorization server where it was registered by hand.
        workos: which WorkOS environment stands behind a server that is not the local one.
    """

    def __init__(self, at: TalkServer, client: ClientSettings, workos: WorkOSSettings) -> None:
        self.grantor: str | None = None
        """Who gave the talk's agent its grant, by their address, where this run has seen it."""
        self._at = at
        self._client = client
        self._workos = workos
        self._tenant: Tenant | None = None
        self._console: Console | None = None
        self._console_of = HUMAN

    def agents(self) -> list[Agent]:
        """The software by which a human acts: their console's, where it was needed so far."""
        return [self._console.agent] if self._console is not None else []

    def recorders(self) -> list[Recorder]:
        """What listens to their requests."""
        return [agent.recorder for agent in self.agents()] + ([self._tenant.recorder] if self._tenant else [])

    def account(self, scripted: str = HUMAN) -> str:
        """Which sample account plays the one that the script names: where another human than Alice gave the agent its
        grant, they play her part from then on, and she plays theirs."""
        if self.grantor is None:
            return scripted
        return {HUMAN: self.grantor, self.grantor: HUMAN}.get(scripted, scripted)

    def human(self, account: str = HUMAN) -> SampleHuman:
        """The sample human who plays this account's part, and decides on the authorization server's own pages."""
        if not self._at.ours:
            raise NotHere(CANNOT, why="sample humans sign in at the bundled authorization server only")
        from demo.client.human.sample_human import SampleHuman

        return SampleHuman(self.account(account))

    def console(self) -> Console:
        """The own console of the human who gave the agent its grant, signed in."""
        known = self._console
        # Its token may be out of reach: a keyring can be locked in mid-talk.
        other = self._console_of != self.account()
        if known is not None and self._at.ours and (other or known.agent.stored() is None):
            self._console = None
        if self._console is None and not self._at.ours:
            if (why := self.no_console()) is not None:
                raise NotHere(CANNOT, why=why)
            self._console = self.hosted_console()
        if self._console is None:
            console = self._bundled_console(self._at.store)
            with self._of_this_folder():
                if not console.signed_in() or (self.grantor is not None and self._is_anothers(console)):
                    console.sign_in(self.human())
            self._console, self._console_of = console, self.account()
        return self._console

    def console_of_grantor(self) -> Console:
        """The console of who said yes to the stored login, for a command outside a run: that human may revoke it.
        The talk's own stays as it is."""
        name = self.account_of_grantor() if self._at.ours else None
        if name is None:
            return self.console()
        if name == self.account() and not self._is_anothers(console := self.console()):
            return console
        return self.console_of(name)

    def account_of_grantor(self) -> str | None:
        """The address of the human who said yes to the stored login; None where there is none, or it does not say."""
        held = self._at.store.get(AGENT)
        return held.human_address if held is not None else None

    def console_of(self, account: str) -> Console:
        """The console of another sample human, signed in for this process alone: the talk's own stays as it is."""
        return self._signed_in(self.human(account))

    def console_of_admin(self) -> Console:
        """As `console_of`, of the shop's admin: who that is does not change where another human plays Alice's part."""
        from demo.client.human.sample_human import SampleHuman

        return self._signed_in(SampleHuman(ADMIN))

    def _signed_in(self, human: SampleHuman) -> Console:
        from deputize.tokens.store import MemoryStore

        console = self._bundled_console(MemoryStore().at(self._at.url))
        with self._of_this_folder():
            console.sign_in(human)
        return console

    def _bundled_console(self, store: Store) -> Console:
        from demo.client.human.console import Console, console_identity
        from demo.local_server import world

        # Two servers where the shop is a Worker; the bundled shop is its own authorization server.
        identity = console_identity(world.console(self._at.state / world.DATABASE))
        return Console(self._at.url, store=store, issuer=self._at.issuer_beside(), client=identity)

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
        mine, theirs = (claim(token, "sub") for token in (self._at.store.get(AGENT), console.agent.stored()))
        return None not in (mine, theirs) and mine != theirs

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
        store, tenant = self._at.store, self.tenant()
        return HostedConsole(self._at.url, store=store, issuer=account.authkit, client=client, tenant=tenant)

    def no_console(self) -> str | None:
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
            worker = self._at.worker
            issuer = self._at.url if self._at.is_local else worker.issuer if worker is not None else None
            if issuer is None and not self._workos.used:
                # Another folder's local server keeps its key there, and the one in this folder is not for it.
                why = "no [workos] in demo.toml"
                if self._at.beside:
                    why = "only demo run --worker knows its authorization server's state folder"
                elif self._at.ours:
                    why = "the server was not started from this state folder"
                raise NotHere("WorkOS is not asked here", why=why)
            if issuer is None:
                self._is_authkits()
            from demo.client.workos.environment import Environment
            from demo.client.workos.tenant import Tenant

            # At the local server its own, whatever demo.toml says: a dry run asks nobody outside this machine.
            environment = (
                Environment.of_local(issuer, self._at.state)
                if issuer is not None
                else Environment.of_account(self._workos, self._at.state, os.environ)
            )
            self._tenant = Tenant(environment)
        return self._tenant

    def _is_authkits(self) -> None:
        """Raise where the server trusts another issuer than `[workos]` names: then WorkOS is neither told nor asked."""
        trusted = self._at.seen().authorization_server
        issuer = trusted.issuer.rstrip("/") if trusted is not None and trusted.problem is None else None
        if issuer != self._workos.authkit:
            who = f"this server trusts {issuer}" if issuer else "nothing says whom this server trusts"
            raise NotHere("WorkOS is not asked here", why=f"{who}, and workos.authkit is {self._workos.authkit}")


def claim(token: StoredToken | None, name: str) -> str | None:
    """What a token claims, unverified; None where it does not."""
    from deputize.tokens import claims

    jwt = claims.take_apart(token.access_token) if token is not None else None
    value = jwt.claims.get(name) if jwt is not None else None
    return value if isinstance(value, str) else None
