"""A login of an agent, in whichever flow: what is shown, who answers, how long is waited; for talk and command line."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from demo import panels
from demo.client.mcp.reading import read_purchase
from demo.evidence.shop import Purchase
from deputize.evidence import Money
from deputize.http.bounded import TICK
from deputize.http.errors import GrantNotAllowed
from talk.stage.prompts import BrowserPrompt, DevicePrompt

if TYPE_CHECKING:
    from demo.client.agent import Agent
    from deputize.oauth.flows import ChosenFlow
    from deputize.oauth.login_flow import Login
    from deputize.tokens.stored import StoredToken
    from talk.stage.prompts import Human, LoginPrompt
    from talk.stage.screen import Stage

LOGIN_SECONDS = 300.0
"""How long a login waits for the human, at most; the authorization server's own expiry may come first."""


@dataclass(frozen=True)
class Granted:
    """What a login ended with, and by which flow.

    `matches`: what the consent page said that the sample human read is what the token grants (`consent_matches`). True
    where a person read it, who compared them.
    """

    token: StoredToken
    chosen: ChosenFlow
    matches: bool = True


def consent_matches(page: Any, token: StoredToken, *, name: str, code: str, account: str) -> bool:
    """Whether a consent page said what was then granted: to whom, by whom, which scopes, up to which amount.

    Args:
        page: as `demo.client.human.sample_human.ConsentPage`.
        name: the agent's name.
        code: the code on the terminal, empty in the browser flow.
        account: whose page it was.
    """
    if (approved := read_purchase(token.authorization_details)) is not None:
        who = (page.client_name, page.user_code, page.account, set(page.scopes))
        return bool(who == (name, code, account, set(token.scope))) and _reads(page.purchase, approved)
    limit = str(token.spending_limit) if token.spending_limit is not None else None
    shown = (page.client_name, page.user_code, page.account, set(page.scopes), page.limit)
    return bool(shown == (name, code, account, set(token.scope), limit))


def _reads(shown: Any, approved: Purchase) -> bool:
    """Whether a page showed just the purchase that the token is for."""
    if shown is None:
        return False
    seen = (shown.price, shown.item, shown.size, shown.company, shown.address, shown.agent)
    price, item, size = str(approved.price), approved.item, approved.size
    return bool(seen == (price, item, size, approved.company, approved.address, approved.agent))


class LoggingIn:
    """One agent's logins at one server.

    Args:
        stage: where the code, or the page to open, is shown; its person is asked, if it has one.
        human: the sample human who answers where no person does; None at another server, which knows none.
        approve: what the sample human says.
        ask: whether the stage's person is asked at all.
        spending: the limit to ask for (RFC 9396), None for none.
        details: what is asked for instead of a grant: the approval of one request, whose token is not kept (RFC 9396).
        resources: what the token is for (RFC 8707); the server by default.
        bound: whether a key is proved, where the servers take part in that (RFC 9449).
        expected: whose yes is taken, by email address or `sub`; None for anybody's.
        shown: whether the panel is drawn.
        clicker: whether a clicker's key must be pressed twice to approve (`talk.stage.prompts`).
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
        details: tuple[dict[str, Any], ...] = (),
        resources: tuple[str, ...] | None = None,
        bound: bool = True,
        expected: str | None = None,
        shown: bool = True,
        clicker: bool = False,
    ) -> None:
        self.answered_by: str | None = None
        """Which sample human has answered the latest login; None where a person did, in a browser, or nobody."""
        self._agent = agent
        self._stage = stage
        self._human = human
        self._approve = approve
        self._ask = ask
        self._spending = spending
        self._details = details
        self.purchase = read_purchase(details)
        """The one purchase that is asked for; None where a grant is."""
        self._resources = resources
        self._bound = bound
        self._expected = expected
        self._shown = shown
        self._clicker = clicker

    def choose(self, name: str | None = None) -> ChosenFlow:
        """The flow of this name, else the one that the authorization server's metadata offers, and why.

        Raises:
            AuthorizationRefused: it offers none that this agent knows.
            ServerUnreachable: the server or its authorization server does not answer.
        """
        from deputize.oauth.flows import ChosenFlow, human_flow

        if name is not None:
            return ChosenFlow(human_flow(name), f"--{name} was given", named=True)
        chosen = self._agent.choose_flow()
        self._stage.note(f"{chosen.flow.name} flow: {chosen.why}")
        return chosen

    def by(self, chosen: ChosenFlow, scopes: tuple[str, ...]) -> Granted:
        """Log in, and keep the token; by another flow where the chosen one turns out not to be for this client.

        Raises:
            AuthorizationRefused: the human said no, nobody answered, or the authorization server refuses.
            ServerUnreachable: it does not answer.
        """
        try:
            return self._log_in(chosen, scopes)
        except GrantNotAllowed as refused:
            other = None if chosen.named else self._agent.choose_other(chosen.flow, refused)
            if other is None:
                raise
        self._stage.note(f"{other.flow.name} flow: {other.why}")
        return self._log_in(other, scopes)

    def _log_in(self, chosen: ChosenFlow, scopes: tuple[str, ...]) -> Granted:
        from deputize.oauth.device_flow import DeviceLogin

        pending = self._agent.start_login(
            scopes,
            chosen.flow,
            resources=self._resources,
            spending=self._spending,
            details=self._details,
            bound=self._bound,
        )
        try:
            prompt, code = self._prompt(pending)
            try:
                with prompt:
                    if prompt.unasked and prompt.decide() and isinstance(pending, DeviceLogin):
                        # Nobody need wait the interval out for an answer that is there (RFC 8628 section 3.5).
                        pending = replace(pending, code=replace(pending.code, interval=TICK))
                    token = self._agent.finish_login(
                        pending,
                        on_wait=prompt.tick,
                        give_up=prompt.failed,
                        pasted=prompt.pasted,
                        expected=self._expected,
                        keep=not self._details,
                        timeout=LOGIN_SECONDS,
                    )
            finally:
                self.answered_by = prompt.human.account if prompt.answer.page is not None and prompt.human else None
            return self._granted(token, chosen, prompt, code)
        finally:
            pending.close()

    def _prompt(self, pending: Login) -> tuple[LoginPrompt, str]:
        """Show a login that was begun: who answers it, and the code on the terminal, empty where there is none."""
        from deputize.oauth.browser_flow import BrowserLogin
        from deputize.oauth.device_flow import DeviceLogin

        human, ask = self._stage.answered_by(self._human, ask=self._ask)
        if ask or self._shown:
            money = self.purchase.price if self.purchase is not None else self._spending
            amount = str(money) if money is not None else ""
            asked = human.account if human is not None else ""
            self._stage.consent("asked", human=asked, agent=self._agent.name, amount=amount)
        if isinstance(pending, BrowserLogin):
            now = time.time()
            if self._shown:
                request = replace(pending.request, expires_at=min(pending.request.expires_at, now + LOGIN_SECONDS))
                self._stage.show("browser", panels.browser(request, now, self._held(), self.purchase))
            return BrowserPrompt(self._stage, pending, human, approve=self._approve, ask=ask, clicker=self._clicker), ""
        assert isinstance(pending, DeviceLogin)
        code = pending.code
        if self._shown:
            self._stage.show("device", panels.device(code, time.time(), self._held(), self.purchase))
        if self._human is None and not self._stage.person:
            sys.stderr.write(f"open {code.verification_uri} and enter {code.user_code}\n")
        shown = self._shown and not self._stage.quiet
        return DevicePrompt(
            self._stage, code, human, approve=self._approve, ask=ask, shown=shown, clicker=self._clicker
        ), code.user_code

    def _granted(self, token: StoredToken, chosen: ChosenFlow, prompt: LoginPrompt, code: str) -> Granted:
        page, human = prompt.answer.page, prompt.human
        if page is None or human is None:
            return Granted(token, chosen)
        matches = consent_matches(page, token, name=self._agent.name, code=code, account=human.account)
        return Granted(token, chosen, matches)

    def _held(self) -> tuple[str, ...]:
        """The scopes that the agent has at this moment."""
        held = self._agent.stored()
        return held.scope if held is not None else ()
