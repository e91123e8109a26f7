"""Admission: one request, decided and served in one transaction.

The gates of the policy in their order, then the tool, then the entry of the audit log: all of it is committed before
anything is answered, or nothing of it happened.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from demo import tracing
from demo.evidence.shop import Decision, LimitUse
from demo.shop import audit_log, jsonrpc, ledger, outbox, refusal
from demo.shop.catalog import BUY, say
from demo.shop.facts import Case, Standing, TokenFacts, Usage
from demo.shop.gatehouse import Gatehouse, Kept, limits_of
from demo.shop.jsonrpc import Call
from demo.shop.policy import Ruling, deny

logger = logging.getLogger(__name__)


class Failed(Exception):
    """A tool could not do it, in words that a model can act on; nothing was changed."""


class Stopped(Failed):
    """A guard of the ledger refused what the gates had let through; the ruling goes on record in place of theirs."""

    def __init__(self, ruling: Ruling) -> None:
        super().__init__(ruling.reason)
        self.ruling = ruling


@dataclass(frozen=True)
class Acting:
    """For whom a tool runs, inside the transaction that admitted it."""

    connection: sqlite3.Connection
    house: Gatehouse
    case: Case
    door: Literal["open", "protected"]
    audit_id: str
    usage: Usage | None = None
    """As the limits were asked with; None where they were not."""

    @property
    def token(self) -> TokenFacts:
        """What the token says; nothing at the open door."""
        return self.case.token

    @property
    def standing(self) -> Standing:
        """Who is calling, as introspection says; not known at the open door."""
        return self.case.standing or Standing(False)


Work = Callable[[Acting], dict[str, Any]]
"""What a tool does: its structured result. Raises Failed."""


@dataclass(frozen=True)
class Outcome:
    """What came of one call: the decision that is on record, and what the tool gave where it ran."""

    decision: Decision
    limits: tuple[LimitUse, ...] = ()
    content: dict[str, Any] | None = None
    failure: str | None = None
    """What the tool said that could not do it."""


@dataclass
class Admission:
    """One request between its door and the MCP server. `outcome` is None until it was decided; `instead` is what is
    answered in place of whatever the MCP server says."""

    house: Gatehouse
    door: Literal["open", "protected"]
    case: Case
    call: Call
    host: str
    """As the request names it, for the challenge."""
    bearer: str | None = field(default=None, repr=False)
    """The token as it came, with which the authorization server can be asked."""
    address: str = "nowhere"
    outcome: Outcome | None = None
    instead: refusal.Answer | None = None
    _kept: Kept | None = field(default=None, repr=False)
    """What is awaited before anybody is told of the outcome."""

    async def act(self, work: Work | None = None) -> Outcome | None:
        """Decide this request, run `work` where it is admitted, and record both, in one transaction.

        The outcome is not on the disk yet: what is answered can be made ready, and is held back until `keep`.

        Returns None where there is no decision to tell of: nothing could be written, or the grant changed too often
        while it was being served. Nothing was done then, and `instead` says so.
        """
        with self._answering(), tracing.gates() as span:
            if self.door == "open":
                outcome, committed = await self.house.database.begin(self._at_the_open_door, work)
                self._kept = lambda: committed
            else:
                outcome, self._kept = await self.house.settle(
                    self.case,
                    self.bearer,
                    self._at_the_gates(work),
                    self._undo,
                    afresh=self.house.needs_approval(self.case, self.call),
                )
            self.outcome = outcome
            if tracing.on():
                span.add(tracing.about(outcome.decision))
            if outcome.decision.verdict == "deny" and outcome.failure is None:
                self.instead = self._refusal(outcome)
        return self.outcome

    async def keep(self) -> None:
        """Wait until the outcome is on the disk. Where it will never be, `instead` says so."""
        kept, self._kept = self._kept, None
        if kept is not None:
            with self._answering():
                await kept()
                self._tell()

    def _tell(self) -> None:
        """Have the warehouse told of what is ordered, and of what was before and waits; nobody waits for that."""
        dispatch, token, outcome = self.house.dispatch, self.case.token, self.outcome
        if dispatch is None or self.door != "protected" or outcome is None or outcome.decision.verdict != "allow":
            return
        # A token that was narrowed to other scopes is exchanged for none: the order waits for one that may buy.
        buys = self.house.policy.current().scope_of(BUY) in (None, *token.scopes)
        if token.session is not None and self.bearer is not None and buys:
            order = (outcome.content or {}).get("order")
            dispatch.go(
                outbox.whose(token.session, token.agent),
                self.bearer,
                ordered=order is not None and not order["replayed"],
            )

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error:
            self.outcome, self.instead = None, refusal.unwritable(self.call.id)
        except jsonrpc.Unacceptable as unacceptable:
            self.outcome, self.instead = None, refusal.unacceptable(unacceptable)

    def _at_the_gates(self, work: Work | None) -> Callable[[sqlite3.Connection, Case], Outcome]:
        def act(connection: sqlite3.Connection, case: Case) -> Outcome:
            house, call = self.house, self.call
            ruling, usage = house.admit(case), None
            if ruling.verdict == "allow" and call.is_tool_call:
                ruling, usage = house.within_limits(connection, case, call)
            elif ruling.gate == "scope":
                usage = house.usage(connection, case.token)
            return self._done(connection, case, ruling, () if usage is None else limits_of(usage), work, usage)

        return act

    def _at_the_open_door(self, connection: sqlite3.Connection, work: Work | None) -> Outcome:
        case, ruling, limits = self.house.pass_open(connection, self.call, self.address)
        return self._done(connection, case, ruling, limits, work)

    def _done(
        self,
        connection: sqlite3.Connection,
        case: Case,
        ruling: Ruling,
        limits: tuple[LimitUse, ...],
        work: Work | None,
        usage: Usage | None = None,
    ) -> Outcome:
        audit_id, content, failure = audit_log.new_audit_id(), None, None
        if ruling.verdict == "allow" and work is not None:
            connection.execute("SAVEPOINT tool")
            try:
                content = work(Acting(connection, self.house, case, self.door, audit_id, usage))
            except Failed as failed:
                connection.execute("ROLLBACK TO tool")
                failure = str(failed)
                ruling = failed.ruling if isinstance(failed, Stopped) else ruling
            except (jsonrpc.Unacceptable, sqlite3.Error):
                raise  # Nothing of this call is to be kept.
            except Exception:
                connection.execute("ROLLBACK TO tool")
                logger.exception("tool %r failed", self.call.tool)
                failure = say("failed")
            connection.execute("RELEASE tool")
            if self.door == "protected" and self.call.tool == BUY:
                limits = limits_of(self.house.usage(connection, case.token))
        order = (content or {}).get("order")
        decision = self.house.decision(
            case, ruling, self.call, door=self.door, audit_id=audit_id, order_id=order["id"] if order else None
        )
        if self.on_record:
            audit_log.record(connection, decision)
        if order and not order["replayed"] and self.house.dispatch is not None and decision.session and decision.user:
            whose = outbox.whose(decision.session, decision.agent)
            outbox.add(connection, order["id"], whose, decision.user, decision.at)
        return Outcome(decision, limits, content, failure)

    def _undo(self, connection: sqlite3.Connection, outcome: Outcome) -> None:
        """Take an order back that was placed on an answer which was good no more when it was committed."""
        order = (outcome.content or {}).get("order")
        if order is not None and not order["replayed"]:
            outbox.remove(connection, order["id"])
            ledger.void(connection, order["id"])
            ruling = deny("standing.unknown", "outlived")
            decision = replace(outcome.decision, **vars(ruling), audit_id=audit_log.new_audit_id())
            audit_log.record(connection, replace(decision, at=self.house.config.clock()))

    @property
    def on_record(self) -> bool:
        """Whether what is decided goes on record: every message to the protected door, tool calls at the open one."""
        return self.door == "protected" or self.call.is_tool_call

    def _refusal(self, outcome: Outcome) -> refusal.Answer:
        if self.door == "open":
            # No token would change it, so there is no challenge.
            now = self.house.config.clock()
            return refusal.refuse(
                outcome.decision, call_id=self.call.id, limits=outcome.limits, metadata_url="", scope="", now=now
            )
        return self.house.refuse(
            self.case,
            outcome.decision,
            self.call.id,
            outcome.limits,
            host=self.host,
            details=self.house.remediation(self.case, outcome.decision, self.call),
        )
