"""A login of an agent, in whichever flow: what is shown, who answers, how long is waited; for talk and command line."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from demo import panels
from demo.client.http.errors import GrantNotAllowed
from demo.evidence import Money
from talk.stage.prompts import BrowserPrompt, DevicePrompt

if TYPE_CHECKING:
    from demo.client.agent import Agent
    from demo.client.oauth.authorizer import LoginWay
    from demo.client.tokens.stored import StoredToken
    from talk.stage.prompts import Human, LoginPrompt
    from talk.stage.screen import Stage

Flow = Literal["device", "browser"]

LOGIN_SECONDS = 300.0
"""How long a login waits for the human, at most; the authority's own expiry may come first."""


@dataclass(frozen=True)
class Granted:
    """What a login ended with, and by which flow.

    `matches`: what the consent page said that the sample human read is what the token grants (`consent_matches`). True
    where a person read it, who compared them.
    """

    token: StoredToken
    way: LoginWay
    matches: bool = True


def consent_matches(page: Any, token: StoredToken, *, name: str, code: str, account: str) -> bool:
    """Whether a consent page said what was then granted: to whom, by whom, which scopes, up to which amount.

    Args:
        page: as `demo.client.human.sample_human.ConsentPage`.
        name: the agent's name.
        code: the code on the terminal, empty in the browser flow.
        account: whose page it was.
    """
    limit = str(token.spending_limit) if token.spending_limit is not None else None
    shown = (page.client_name, page.user_code, page.account, set(page.scopes), page.limit)
    return bool(shown == (name, code, account, set(token.scope), limit))


class LoggingIn:
    """One agent's logins at one server.

    Args:
        stage: where the code, or the page to open, is shown; its person is asked, if it has one.
        human: the sample human who answers where no person does; None at another server, which knows none.
        approve: what the sample human says.
        ask: whether the stage's person is asked at all.
        spending: the limit to ask for (RFC 9396), None for none.
        resources: what the token is for (RFC 8707); the server by default.
        shown: whether the panel is drawn.
    """

    def __init__(
        self,
        agent: Agent,
        stage: Stage,
        *,
        human: Human | None,
        approve: bool = True,
        ask: bool = True,
        spending: Money | None = None,
        resources: tuple[str, ...] | None = None,
        shown: bool = True,
    ) -> None:
        self._agent = agent
        self._stage = stage
        self._human = human
        self._approve = approve
        self._ask = ask
        self._spending = spending
        self._resources = resources
        self._shown = shown

    def way(self, flow: Flow | None = None) -> LoginWay:
        """The flow that was asked for, else the one that the authority's metadata offers, and why.

        Raises:
            AuthorityRefused: it offers none that this agent knows.
            ServerUnreachable: the server or the authority does not answer.
        """
        from demo.client.oauth.authorizer import LoginWay

        if flow is not None:
            return LoginWay(flow, f"--{flow} was given", named=True)
        way = self._agent.login_way()
        self._stage.note(f"{way.kind} flow: {way.why}")
        return way

    def by(self, way: LoginWay, scopes: tuple[str, ...]) -> Granted:
        """Log in, and keep the token; by the code flow where the device flow turns out not to be for this client.

        Raises:
            AuthorityRefused: the human said no, nobody answered, or the authority refuses.
            ServerUnreachable: the authority does not answer.
        """
        if way.kind == "browser":
            return self._by_browser(scopes, way)
        try:
            return self._by_device(scopes, way)
        except GrantNotAllowed as refused:
            other = self._agent.login_instead(refused)
            if other is None:
                raise
            if way.named:
                refused.do = "demo login --browser"
                raise
        self._stage.note(f"{other.kind} flow: {other.why}")
        return self._by_browser(scopes, other)

    def _by_device(self, scopes: tuple[str, ...], way: LoginWay) -> Granted:
        """The device flow (RFC 8628)."""
        pending = self._agent.start_login(scopes, resources=self._resources, spending=self._spending)
        if self._shown:
            self._stage.show("device", panels.device(pending.code, time.time(), self._held()))
        if self._human is None and not self._stage.person:
            sys.stderr.write(f"open {pending.code.verification_uri} and enter {pending.code.user_code}\n")
        human, ask = self._stage.answered_by(self._human, ask=self._ask)
        shown = self._shown and not self._stage.quiet
        prompt = DevicePrompt(self._stage, pending.code, human, approve=self._approve, ask=ask, shown=shown)
        with prompt:
            token = self._agent.finish_login(pending, on_wait=prompt.tick, give_up=prompt.failed, timeout=LOGIN_SECONDS)
        return self._granted(token, way, prompt, pending.code.user_code)

    def _by_browser(self, scopes: tuple[str, ...], way: LoginWay) -> Granted:
        """The browser flow: authorization code with PKCE and a loopback redirect (RFC 8252)."""
        pending = self._agent.start_browser_login(scopes, resources=self._resources, spending=self._spending)
        try:
            if self._shown:
                now = time.time()
                asked = replace(pending.request, expires_at=min(pending.request.expires_at, now + LOGIN_SECONDS))
                self._stage.show("browser", panels.browser(asked, now, self._held()))
            human, ask = self._stage.answered_by(self._human, ask=self._ask)
            prompt = BrowserPrompt(self._stage, pending, human, approve=self._approve, ask=ask)
            with prompt:
                token = self._agent.finish_browser_login(
                    pending,
                    on_wait=prompt.tick,
                    give_up=prompt.failed,
                    pasted=prompt.pasted,
                    timeout=LOGIN_SECONDS,
                )
            return self._granted(token, way, prompt, "")
        finally:
            pending.close()

    def _granted(self, token: StoredToken, way: LoginWay, prompt: LoginPrompt, code: str) -> Granted:
        page, human = prompt.answer.page, prompt.human
        if page is None or human is None:
            return Granted(token, way)
        matches = consent_matches(page, token, name=self._agent.name, code=code, account=human.account)
        return Granted(token, way, matches)

    def _held(self) -> tuple[str, ...]:
        """The scopes that the agent has at this moment."""
        held = self._agent.stored()
        return held.scope if held is not None else ()
