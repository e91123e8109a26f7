"""The gatehouse: gathers the facts of a request and has the policy decide; `admission.py` puts that on record.

Both doors and the routes beside them share one.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final, Literal, TypeVar

from demo.evidence.shop import Decision, LimitUse
from demo.policy_file import Policy
from demo.proofs import Nonces
from demo.shop import (
    approval,
    arguments,
    audit_log,
    bearer,
    events,
    introspection,
    jsonrpc,
    ledger,
    policy,
    proofs,
    refusal,
    standing,
)
from demo.shop.bearer import Presented
from demo.shop.bounded_http import AuthServerUnavailable
from demo.shop.catalog import BUY, DEFAULT_SCOPE, TOOLS, say
from demo.shop.config import ShopConfig
from demo.shop.database import Database
from demo.shop.discovery import AuthServer
from demo.shop.dispatch import Dispatch
from demo.shop.facts import Case, Rules, Standing, TokenFacts, Usage
from demo.shop.jsonrpc import Call
from demo.shop.policy import Ruling
from demo.shop.policy_in_force import PolicyInForce
from demo.shop.rates import Rates
from deputize import access_tokens

R = TypeVar("R")
Kept = Callable[[], Awaitable[None]]
"""Waits until something is on the disk. Raises where it will never be."""
TRIES: Final = 5
"""How often a request asks again whose grant changes, or whose lease ends, while it is being served."""


class Gatehouse:
    """Gathers the facts of a request, and has the policy decide."""

    def __init__(self, config: ShopConfig, database: Database, auth_server: AuthServer) -> None:
        self.config = config
        self.database = database
        self._auth_server = auth_server
        self.policy = PolicyInForce(config.policy, config.policy_folder, clock=config.clock)
        self._rates = Rates(self._rate, clock=config.clock)
        self._open_rates = Rates(self._open_rate, clock=config.clock)
        self._token_types = frozenset(map(access_tokens.normal, config.token_types))
        self._rules: tuple[Policy, Rules] | None = None
        self._nonces = Nonces()
        self.waiting: Counter[str] = Counter()
        """By caller: calls that wait for a human to answer."""
        self.dispatch: Dispatch | None = None
        """Tells the warehouse of orders, where there is one."""

    def rules(self) -> Rules:
        """The shop's settings for deciding, by the policy in force."""
        config, now = self.config, self.policy.current()
        if self._rules is None or self._rules[0] is not now:
            rules = Rules(
                config.resource,
                config.issuer,
                frozenset(map(policy.spelled, now.allowlist)),
                config.leeway_seconds,
                config.resource_aliases,
                self._token_types,
                config.organization,
            )
            self._rules = now, rules
        return self._rules[1]

    def _rate(self) -> tuple[int, int]:
        rate = self.policy.current().rate
        return rate.calls, rate.seconds

    def _open_rate(self) -> tuple[int, int]:
        rate = self.policy.current().rate
        return rate.open_calls, rate.seconds

    async def open_case(
        self, presented: Presented, *, method: str | None, tool: str | None, scope: str | None, path: str = "mcp"
    ) -> Case:
        """Read the token. Where the authorization server's keys cannot be had, the case says so and cannot pass.

        Args:
            path: of the resource that the token must be for, the protected door by default.
        """
        standing_unknown = None
        try:
            facts = await bearer.read(
                presented.token,
                self._auth_server,
                resource=self.config.resource,
                currency=self.config.price.currency,
                aliases=self.config.resource_aliases,
            )
        except AuthServerUnavailable as unknown:
            facts = TokenFacts(fault="signature", detail="unchecked")
            standing_unknown = Standing(known=False, detail=str(unknown), lasting=unknown.lasting)
        skew = self._auth_server.skew
        rules = self.rules()
        if path != "mcp":
            rules = replace(rules, resource=f"{self.config.base_url}/{path}", aliases=self.config.named(path))
        case = Case(facts, self.config.clock(), rules, method, tool, scope, standing_unknown, skew)
        return proofs.read(case, presented, self._nonces)

    async def settle(
        self,
        case: Case,
        token: str | None,
        act: Callable[[sqlite3.Connection, Case], R],
        undo: Callable[[sqlite3.Connection, R], None] | None = None,
        *,
        afresh: bool = False,
    ) -> tuple[R, Kept]:
        """Run `act(connection, case)` in one transaction, in which what the authorization server said of the case is
        known to hold. It is asked where nothing was kept of it, and again where that changed.

        It is not committed yet: an answer can be made ready meanwhile. What is returned beside the result is to be
        called and awaited before anything is done or answered on its strength, and raises the same.

        Args:
            undo: takes back what `act` did, where more time went by until it was committed than the answer that it
                relied on was good for: a revocation may have been answered meanwhile. Nobody has seen it yet.
            afresh: whether the authorization server is asked in any case.

        Raises:
            Unacceptable: it changed too often, or too late (503).
            sqlite3.Error: nothing is written.
        """
        if afresh and case.standing is None and policy.check_token(case) is None:
            case = await self.ask(case, token)
        for _ in range(TRIES):
            try:
                (used, result), committed = await self.database.begin(self._on_standing, case, act)
            except events.StandingChanged:
                case = await self.ask(case, token)
                continue
            return result, partial(self._kept, used, result, committed, undo)
        raise _unsettled()

    async def _kept(
        self, used: Case, result: R, committed: Awaitable[None], undo: Callable[[sqlite3.Connection, R], None] | None
    ) -> None:
        await committed
        if used.reliance is not None and events.over(used.reliance, lease=self.config.lease_seconds):
            if undo is not None:
                await self.database.write(undo, result)
            raise _unsettled()

    def _on_standing(
        self, connection: sqlite3.Connection, case: Case, act: Callable[[sqlite3.Connection, Case], R]
    ) -> tuple[Case, R]:
        case = proofs.spend(connection, case)
        if case.standing is None and policy.check_token(case) is None:
            found = standing.kept(connection, case.token)
            if found is None or case.now + (case.skew or 0.0) >= case.token.expires_at:
                # One that has expired by the authorization server's own clock is that server's to judge.
                raise events.StandingChanged
            if len(case.token.chain) > 1:
                # An event about an agent above this one takes nothing away that is kept of this one.
                events.check(connection, found.reliance, case.token, lease=self.config.lease_seconds)
            case = replace(case, standing=found.standing, reliance=found.reliance)
        elif case.reliance is not None and case.standing is not None:
            events.check(connection, case.reliance, case.token, lease=self.config.lease_seconds)
            if case.standing.active:
                standing.keep(connection, case.token, case.standing, case.reliance)
        if case.standing is not None:
            banned = any(ledger.is_banned(connection, caller) for caller in case.token.callers)
            case = replace(case, standing=replace(case.standing, banned=banned))
        return case, act(connection, case)

    async def ask(self, case: Case, token: str | None) -> Case:
        """The case with what the authorization server says of its token now."""
        # Before the question, since what comes meanwhile makes the answer void.
        reliance = await self.database.read(events.rely)
        asked = await introspection.ask(self._auth_server, self.config.introspection, token or "", case.token)
        now, skew = self.config.clock(), self._auth_server.skew
        return replace(case, standing=asked, reliance=reliance if asked.known else None, now=now, skew=skew)

    def admit(self, case: Case) -> Ruling:
        """Gates 1 to 4; in the transaction that acts, by way of `settle`."""
        unknown = case.standing is not None and not case.standing.known
        return (policy.check_standing(case) if unknown else None) or policy.admit(case)

    def within_limits(self, connection: sqlite3.Connection, case: Case, call: Call) -> tuple[Ruling, Usage]:
        """Gate 5, for a tool call: counts it, then asks."""
        rate_ok = self._rates.hit(connection, case.token.callers[-1])
        usage = self.usage(connection, case.token, rate_ok=rate_ok, key=call.idempotency_key)
        if call.tool == BUY:
            usage = self.with_approvals(connection, case, usage, self.wanted(call))
        return policy.within_limits(case, usage), usage

    def needs_approval(self, case: Case, call: Call) -> bool:
        """Whether this call buys something that a human must have approved, or did: they may have stopped it since."""
        rule = self.policy.current().approval
        expensive = rule is not None and self.config.price.amount > rule.above
        return (expensive or case.token.approval is not None) and call.is_tool_call and call.tool == BUY

    def wanted(self, call: Call) -> approval.Wanted | None:
        """What a call would buy; None where its arguments do not fit, which its tool will say."""
        try:
            given = arguments.read(TOOLS[BUY], call.arguments)
        except arguments.BadArguments:
            return None
        size, company, address = (given[name] or "" for name in ("tshirtSize", "company", "mailingAddress"))
        return approval.Wanted(size, company, address, self.config.price)

    def with_approvals(
        self, connection: sqlite3.Connection, case: Case, usage: Usage, wanted: approval.Wanted | None
    ) -> Usage:
        """The usage with what a purchase needs of approvals, and which of them were used."""
        rule, own = self.policy.current().approval, case.token.approval
        told = (own,) if own is not None else case.standing.approvals if case.standing else ()
        used = ledger.used_approvals(connection, [one.id for one in told])
        return replace(usage, wanted=wanted, approve_above=None if rule is None else rule.above, used_approvals=used)

    def remediation(self, case: Case, decision: Decision, call: Call) -> tuple[dict[str, Any], ...]:
        """The authorization details with which a call that was refused would pass (draft-ietf-oauth-rar-metadata-
        remediation section 4); none where it takes no approval."""
        wanted = self.wanted(call) if decision.rule == "limits.approval" else None
        if wanted is None:
            return ()
        token, shop = case.token, self.config.resource
        return (approval.asked_for(wanted, resource=shop, session=token.session, agent=token.agent),)

    async def ask_to_approve(
        self, case: Case, wanted: approval.Wanted, token: str, known: str | None = None
    ) -> dict[str, Any] | None:
        """Have the authorization server ask the human for one purchase; what it says of the question, None where it
        asks nobody (docs/wire.md).

        Args:
            known: the question of which the answer is wanted; None to ask.

        Raises:
            AuthServerUnavailable: it does not answer.
        """
        url = (await self._auth_server.metadata()).purchases
        if url is None:
            return None
        facts, credentials = case.token, self.config.introspection
        detail = approval.asked_for(wanted, resource=self.config.resource, session=facts.session, agent=facts.agent)
        body = {"token": token, "scope": case.scope, "detail": detail, "purchase": known}
        headers = {"authorization": introspection.basic(*credentials)}
        status, answer = await self._auth_server.ask("POST", url, json=body, headers=headers)
        return answer if status == 200 and isinstance(answer, dict) else None

    def usage(
        self, connection: sqlite3.Connection, token: TokenFacts, *, rate_ok: bool = True, key: str | None = None
    ) -> Usage:
        """How much of its limits a caller has used."""
        used = ledger.spent(connection, token.account)
        quota = self.policy.current().quota.purchases_per_consent
        limits = []
        for by, limit in token.spending_limits:
            amount = (used if by is None else ledger.spent(connection, token.account, by)).amount
            own = by is not None and by == token.agent
            limits.append((LimitUse("spending", amount, limit.amount, limit.currency), own))
        spending, own_limit = min(limits, key=lambda one: one[0].left, default=(None, False))
        return Usage(
            rate_ok=rate_ok,
            rate=self._rates.use(connection, token.callers[-1]),
            purchases=LimitUse("purchases", used.orders, quota, "purchases"),
            spending=spending,
            own_limit=own_limit,
            price=self.config.price,
            replay=ledger.find_replay(connection, token.caller, key) is not None,
        )

    def open_door_case(self, call: Call) -> Case:
        """A request at the open door, of which nothing is known but what it asks for."""
        return Case(TokenFacts(), self.config.clock(), self.rules(), call.method, call.tool)

    def pass_open(
        self, connection: sqlite3.Connection, call: Call, address: str
    ) -> tuple[Case, Ruling, tuple[LimitUse, ...]]:
        """The open door asks nobody, and only counts: whether it is open, and how often one address calls.

        Args:
            address: where the request came from, which is all that tells two callers apart here.
        """
        case, key = self.open_door_case(call), f"open:{address}"
        limits: tuple[LimitUse, ...] = ()
        ruling: Ruling | None = None
        if not self.config.open_door or ledger.is_closed(connection):
            ruling = policy.deny("open.closed", resource=self.config.resource)
        elif call.is_tool_call and not self._open_rates.hit(connection, key):
            limits = (self._open_rates.use(connection, key),)
            ruling = policy.too_often(limits[0], case.now)
        return case, ruling or policy.allow("open.anonymous"), limits

    def decision(
        self,
        case: Case,
        ruling: Ruling,
        call: Call,
        *,
        door: Literal["open", "protected"] = "protected",
        audit_id: str | None = None,
        order_id: str | None = None,
    ) -> Decision:
        """A ruling with who, through whom, what, when and by which token."""
        token, asked = case.token, case.standing
        return Decision(
            audit_id=audit_id or audit_log.new_audit_id(),
            at=self.config.clock(),
            **vars(ruling),
            door=door,
            order_id=order_id,
            tool=None if case.tool is None else policy.short(case.tool, 60),
            arguments=call.digest,
            user=token.user,
            username=asked.username if asked else None,
            agent=token.agent,
            handed_on_by=" ".join(token.chain[1:]) or None,
            client=token.client,
            session=token.session,
            consent=token.consent,
            token_id=token.token_id,
            correlation=call.known.correlation if call.known else None,
            trace_id=call.known.trace_id if call.known else None,
        )

    def refuse(
        self,
        case: Case,
        decision: Decision,
        call_id: str | int | None,
        limits: tuple[LimitUse, ...] = (),
        *,
        host: str,
        path: str = "mcp",
        details: tuple[dict[str, Any], ...] = (),
    ) -> refusal.Answer:
        """The answer that a refused request gets which came by this `Host`, for the resource at this path.

        Args:
            details: the authorization details that would have it pass.
        """
        return refusal.refuse(
            decision,
            call_id=call_id,
            limits=limits,
            metadata_url=self.config.metadata_url(host, path),
            scope=case.scope or DEFAULT_SCOPE,
            now=self.config.clock(),
            scheme=case.scheme,
            nonce=self._nonces.issue(self.config.clock()),
            details=details,
        )


def _unsettled() -> jsonrpc.Unacceptable:
    return jsonrpc.Unacceptable(503, jsonrpc.INTERNAL_ERROR, say("unsettled"))


def limits_of(usage: Usage) -> tuple[LimitUse, ...]:
    """A caller's limits as evidence; no spending limit where the human consented to none."""
    return (usage.rate, usage.purchases) + ((usage.spending,) if usage.spending else ())
