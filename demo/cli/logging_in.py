"""A login from the command line, in whichever flow the authority offers, and the human's say in it."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Literal

from demo import panels
from demo.errors import AuthorityRefused
from demo.evidence import Money

if TYPE_CHECKING:
    from demo.client.agent import Agent
    from demo.client.oauth.authorizer import LoginWay
    from demo.client.tokens import StoredToken
    from talk.cast import Cast
    from talk.stage import Stage


class LoggingIn:
    """One agent's logins at one server.

    Args:
        stage: where the code, or the page to open, is shown; its person is asked, if it has one.
        account: the sample human who answers at the bundled authority when no person does.
        approve: what the sample human says.
        spending: the limit to ask for (RFC 9396), None for none.
    """

    def __init__(
        self, cast: Cast, agent: Agent, stage: Stage, *, account: str, approve: bool, spending: Money | None
    ) -> None:
        self._agent = agent
        self._stage = stage
        self._human = cast.human(account) if cast.ours else None
        self._approve = approve
        self._spending = spending

    def way(self, kind: Literal["device", "browser"] | None = None) -> LoginWay:
        """The flow that was asked for, else the one that the authority's metadata offers, and why."""
        from demo.client.oauth.authorizer import LoginWay

        if kind is not None:
            return LoginWay(kind, f"--{kind} was given")
        way = self._agent.login_way()
        self._stage.note(f"{way.kind} flow: {way.why}")
        return way

    def by(self, way: LoginWay, scopes: tuple[str, ...]) -> StoredToken:
        """Log in, and keep the token.

        Raises:
            AuthorityRefused: the human said no, nobody answered, or the authority refuses.
            ServerUnreachable: the authority does not answer.
        """
        return self._by_device(scopes) if way.kind == "device" else self._by_browser(scopes)

    def _by_device(self, scopes: tuple[str, ...]) -> StoredToken:
        pending = self._agent.start_login(scopes, spending=self._spending)
        self._stage.show("device", panels.device(pending.code, time.time()))
        if self._human is None and not self._stage.person:
            sys.stderr.write(f"open {pending.code.verification_uri} and enter {pending.code.user_code}\n")
        decider = self._stage.decider(pending.code, self._human, approve=self._approve, ask=True)
        try:
            with decider:
                return self._agent.finish_login(pending, on_wait=decider.tick, give_up=decider.failed)
        except AuthorityRefused:
            if decider.answer.error is not None:
                raise decider.answer.error from None
            raise

    def _by_browser(self, scopes: tuple[str, ...]) -> StoredToken:
        from talk.browsing import Browsing

        pending = self._agent.start_browser_login(scopes, spending=self._spending)
        browsing = Browsing(self._stage, pending, self._human, approve=self._approve)
        try:
            self._stage.show(
                "browser",
                panels.browser(
                    pending.url,
                    pending.redirect_uri,
                    pending.expires_at,
                    time.time(),
                    pending.client,
                    pending.scopes,
                    pending.spending_limit,
                ),
            )
            with browsing:
                return self._agent.finish_browser_login(
                    pending, on_wait=browsing.tick, give_up=browsing.failed, pasted=browsing.pasted
                )
        except AuthorityRefused:
            if browsing.answer.error is not None:
                raise browsing.answer.error from None
            raise
        finally:
            pending.close()
