"""The gatehouse: gathers the facts of a request, has the policy decide, and puts the decision on record.

Both doors and the routes beside them share one.
"""

from __future__ import annotations

import asyncio
import sqlite3
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio

from demo import access_tokens
from demo.evidence import Decision, LimitUse
from demo.shop import audit_log, bearer, events, introspection, jsonrpc, ledger, policy, refusal
from demo.shop.bounded_http import AuthServerUnavailable
from demo.shop.catalog import BUY, DEFAULT_SCOPE, LIMITS, say
from demo.shop.config import ShopConfig
from demo.shop.database import Database
from demo.shop.discovery import AuthServer
from demo.shop.jsonrpc import Call
from demo.shop.policy import Case, Ruling, Standing, TokenFacts, Usage
from demo.shop.rates import Rates


class Gatehouse:
    """Gathers the facts of a request, has the policy decide, and puts the decision on record."""

    def __init__(self, config: ShopConfig, database: Database, auth_server: AuthServer) -> None:
        self.config = config
        self.database = database
        self._auth_server = auth_server
        self._rates = Rates(database, calls=config.rate_calls, seconds=config.rate_seconds, clock=config.clock)
        self._open_rates = Rates(
            database, calls=config.open_rate_calls, seconds=config.rate_seconds, clock=config.clock
        )
        allowlist = frozenset(username.lower() for username in config.allowlist)
        types = frozenset(map(access_tokens.normal, config.token_types))
        self._rules = policy.Rules(
            config.resource,
            config.issuer,
            allowlist,
            config.leeway_seconds,
            config.resource_aliases,
            types,
            config.organization,
        )
        self._turns: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    async def open_case(
        self, token: str | None, *, method: str | None, tool: str | None, scope: str | None, path: str = "mcp"
    ) -> Case:
        """Read the token. Where the authorization server's keys cannot be had, the case says so and cannot pass.

        Args:
            path: of the resource that the token must be for, the protected door by default.
        """
        standing_unknown = None
        try:
            facts = await bearer.read(
                token,
                self._auth_server,
                resource=self.config.resource,
                currency=self.config.price.currency,
                aliases=self.config.resource_aliases,
            )
        except AuthServerUnavailable as unknown:
            facts = TokenFacts(fault="signature", detail="unchecked")
            standing_unknown = Standing(known=False, detail=str(unknown), lasting=unknown.lasting)
        skew = self._auth_server.skew
        rules = replace(self._rules, resource=f"{self.config.base_url}/{path}", aliases=self.config.named(path))
        return Case(facts, self.config.clock(), rules, method, tool, scope, standing_unknown, skew)

    async def admit(self, case: Case, token: str | None) -> tuple[Case, Ruling]:
        """Gates 1 to 4; the authorization server is only asked about a token that passed the first."""
        if case.standing is not None:
            return case, policy.check_standing(case) or policy.admit(case)
        ruling = policy.check_token(case)
        if ruling is None:
            # Before the question, since what comes meanwhile makes the answer void.
            reliance = await self.database.read(events.rely)
            asked = await introspection.ask(self._auth_server, self.config.introspection, token or "", case.token)
            banned = await self.database.read(ledger.is_banned, case.token.user)
            asked = replace(asked, banned=banned)
            now, skew = self.config.clock(), self._auth_server.skew
            case = replace(case, standing=asked, reliance=reliance, now=now, skew=skew)
            ruling = policy.admit(case)
        return case, ruling

    async def admit_again(self, case: Case, token: str | None) -> tuple[Case, Ruling]:
        """Gates 1 to 4 once more, where what was answered may not be acted on any more."""
        return await self.admit(replace(case, standing=None, reliance=None), token)

    def rely(self, connection: sqlite3.Connection, case: Case) -> None:
        """See, in the transaction that acts, that what admitted this case may be acted on now.

        Raises:
            StandingChanged: ask again.
        """
        if case.reliance is not None:
            events.check(connection, case.reliance, case.token, lease=self.config.lease_seconds)

    def outlived(self, case: Case) -> bool:
        """Whether more time has gone by since the authorization server was asked than its answer is good for."""
        return case.reliance is not None and events.over(case.reliance, lease=self.config.lease_seconds)

    async def limit(self, case: Case, call: Call) -> tuple[Ruling, Usage]:
        """Gate 5, for a tool call: counts it, then asks."""
        rate_ok = await self.database.run(self._rates.hit, case.token.caller)
        usage = await self.usage(case.token, rate_ok=rate_ok, key=call.idempotency_key)
        return policy.within_limits(case, usage), usage

    async def usage(self, token: TokenFacts, *, rate_ok: bool, key: str | None = None) -> Usage:
        """How much of its limits a caller has used."""
        rate = await self.database.run(self._rates.use, token.caller)
        used = await self.database.read(ledger.spent, token.account)
        replay = await self.database.read(ledger.find_replay, token.caller, key) is not None
        limit = token.spending_limit
        return Usage(
            rate_ok=rate_ok,
            rate=rate,
            purchases=LimitUse("purchases", used.orders, self.config.purchases_per_consent, "purchases"),
            spending=None if limit is None else LimitUse("spending", used.amount, limit.amount, limit.currency),
            price=self.config.price,
            replay=replay,
        )

    async def pass_open(self, call: Call, address: str) -> tuple[Case, Decision, tuple[LimitUse, ...]]:
        """The open door asks nobody, and only counts: whether it is open, and how often one address calls.

        Args:
            address: where the request came from, which is all that tells two callers apart here.
        """
        now, key = self.config.clock(), f"open:{address}"
        limits: tuple[LimitUse, ...] = ()
        ruling: Ruling | None = None
        if not self.config.open_door or await self.database.read(ledger.is_closed):
            ruling = policy.deny("open.closed", resource=self.config.resource)
        elif call.is_tool_call and not await self.database.run(self._open_rates.hit, key):
            limits = (await self.database.run(self._open_rates.use, key),)
            ruling = policy.too_often(limits[0], now)
        case = Case(TokenFacts(), now, self._rules, call.method, call.tool)
        decision = replace(self.decision(case, ruling or policy.allow("open.anonymous"), call), door="open")
        if call.is_tool_call:
            await self.record(decision)
        return case, decision, limits

    async def record(self, decision: Decision, case: Case | None = None) -> None:
        """Commit a decision to the audit log; of a `case` that was admitted, if that still holds.

        Raises:
            StandingChanged: it does not; nothing is on record. Ask again.
            sqlite3.Error: it is not there; then nothing may be done or answered on its strength.
        """

        def write(connection: sqlite3.Connection) -> None:
            if case is not None and decision.verdict == "allow":
                self.rely(connection, case)
            audit_log.record(connection, decision)

        await self.database.write(write)

    @asynccontextmanager
    async def turn(self, case: Case) -> AsyncIterator[None]:
        """One purchase at a time on one consent, from its gates to its answer, so that the gate which counts and
        the tool which buys see the same numbers. The ledger's own guard holds without this; then the second of
        two would be refused by the ledger, and not by the gate that can say why in HTTP.

        Raises:
            Unacceptable: the purchases before it took too long (503).
        """
        if case.tool != BUY or case.token.fault is not None:
            yield
            return
        lock = self._turns.setdefault(case.token.account, asyncio.Lock())
        try:
            with anyio.fail_after(LIMITS.turn_seconds):
                await lock.acquire()
        except TimeoutError:
            raise jsonrpc.Unacceptable(503, jsonrpc.INTERNAL_ERROR, say("busy")) from None
        try:
            yield
        finally:
            lock.release()

    def decision(self, case: Case, ruling: Ruling, call: Call) -> Decision:
        """A ruling with who, through whom, what, when and by which token."""
        token, asked = case.token, case.standing
        return Decision(
            audit_id=audit_log.new_audit_id(),
            at=self.config.clock(),
            **vars(ruling),
            door="protected",
            tool=None if case.tool is None else policy.short(case.tool, 60),
            arguments=call.digest,
            user=token.user,
            username=asked.username if asked else None,
            agent=token.agent,
            client=token.client,
            session=token.session,
            consent=token.consent,
            token_id=token.token_id,
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
    ) -> refusal.Answer:
        """The answer that a refused request gets which came by this `Host`, for the resource at this path."""
        return refusal.refuse(
            decision,
            call_id=call_id,
            limits=limits,
            metadata_url=self.config.metadata_url(host, path),
            scope=case.scope or DEFAULT_SCOPE,
            now=self.config.clock(),
        )


def limits_of(usage: Usage) -> tuple[LimitUse, ...]:
    """A caller's limits as evidence; no spending limit where the human consented to none."""
    return (usage.rate, usage.purchases) + ((usage.spending,) if usage.spending else ())
