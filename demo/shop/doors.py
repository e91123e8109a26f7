"""The two doors: ASGI wrappers that stand before the MCP server, and what they tell its tools.

What does not pass the gates is answered here, whatever the MCP server behind would say. A tool call reaches it with a
token that was verified and nothing more: whether it is admitted is decided in the transaction in which its tool runs
(`Admission.act`), and a refusal takes the place of the server's answer. Every other message is decided before.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from demo.evidence import Decision, LimitUse
from demo.shop import audit_log, bearer, jsonrpc, ledger, refusal
from demo.shop.catalog import BUY, say, scope_of
from demo.shop.gatehouse import Gatehouse, limits_of
from demo.shop.jsonrpc import Call
from demo.shop.policy import Case, Ruling, Standing, TokenFacts, deny

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

ADMISSION: Final = "demo.shop.admission"
"""Where in the ASGI scope the tools find whom they run for."""

_BODY_HEADERS: Final = frozenset({b"content-length", b"transfer-encoding", b"content-encoding"})


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

    async def act(self, work: Work | None = None) -> Outcome | None:
        """Decide this request, run `work` where it is admitted, and record both, in one transaction.

        Returns None where there is no decision to tell of: nothing could be written, or the grant changed too often
        while it was being served. Nothing was done then, and `instead` says so.
        """
        try:
            if self.door == "open":
                self.outcome = await self.house.database.write(self._at_the_open_door, work)
            else:
                self.outcome = await self.house.settle(self.case, self.bearer, self._at_the_gates(work), self._undo)
        except sqlite3.Error:
            self.instead = refusal.unwritable(self.call.id)
            return None
        except jsonrpc.Unacceptable as unacceptable:
            self.instead = refusal.unacceptable(unacceptable)
            return None
        if self.outcome.decision.verdict == "deny" and self.outcome.failure is None:
            self.instead = self._refusal(self.outcome)
        return self.outcome

    def _at_the_gates(self, work: Work | None) -> Callable[[sqlite3.Connection, Case], Outcome]:
        def act(connection: sqlite3.Connection, case: Case) -> Outcome:
            house, call = self.house, self.call
            ruling, usage = house.admit(connection, case), None
            if ruling.verdict == "allow" and call.is_tool_call:
                ruling, usage = house.within_limits(connection, case, call.idempotency_key)
            elif ruling.gate == "scope":
                usage = house.usage(connection, case.token)
            return self._done(connection, case, ruling, () if usage is None else limits_of(usage), work)

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
    ) -> Outcome:
        audit_id, content, failure = audit_log.new_audit_id(), None, None
        if ruling.verdict == "allow" and work is not None:
            connection.execute("SAVEPOINT tool")
            try:
                content = work(Acting(connection, self.house, case, self.door, audit_id))
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
        return Outcome(decision, limits, content, failure)

    def _undo(self, connection: sqlite3.Connection, outcome: Outcome) -> None:
        """Take an order back that was placed on an answer which was good no more when it was committed."""
        order = (outcome.content or {}).get("order")
        if order is not None and not order["replayed"]:
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
        return self.house.refuse(self.case, outcome.decision, self.call.id, outcome.limits, host=self.host)


class Door:
    """The ASGI wrapper of one door, with the MCP server behind it."""

    def __init__(self, gatehouse: Gatehouse, inner: App, which: Literal["open", "protected"]) -> None:
        self._gatehouse = gatehouse
        self._inner = inner
        self._which = which

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            await self._serve(scope, receive, send)
        except jsonrpc.Unacceptable as unacceptable:
            await respond(send, refusal.unacceptable(unacceptable))
        except jsonrpc.Gone:
            return

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        house, call = self._gatehouse, Call()
        fault: jsonrpc.Unacceptable | None = None
        body = await jsonrpc.read_body(scope["headers"], receive)
        if scope["method"] == "POST":
            try:
                call = jsonrpc.parse(body)
            except jsonrpc.Unacceptable as unreadable:
                fault = unreadable
        host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
        token = None
        if self._which == "open":
            case = house.open_door_case(call)
        else:
            sent = bearer.presented(scope["headers"], method=scope["method"], path=scope["path"], config=house.config)
            token, needed = sent.token, scope_of(call.tool)
            case = await house.open_case(sent, method=call.method, tool=call.tool, scope=needed)
        address = (scope.get("client") or ("nowhere",))[0]
        admission = Admission(house, self._which, case, call, host, token, address)
        if fault is not None:
            # Said only to those who pass the gates; what is no message is not on record where it passes.
            await self._say_unreadable(admission, fault, send)
            return
        if call.is_tool_call and scope["method"] == "POST":
            await pass_on(self._inner, scope, receive, send, admission)
            return
        await admission.act()
        if admission.instead is not None:
            await respond(send, admission.instead)
        elif scope["method"] != "POST":
            await respond(with_id(send, admission), refusal.post_only())
        else:
            await pass_on(self._inner, scope, receive, send, admission)

    async def _say_unreadable(self, admission: Admission, fault: jsonrpc.Unacceptable, send: Send) -> None:
        if self._which == "protected":

            def refuse(_: Acting) -> dict[str, Any]:
                raise fault

            await admission.act(refuse)
            if admission.instead is not None:
                await respond(send, admission.instead)
        else:
            await respond(send, refusal.unacceptable(fault))


async def pass_on(inner: App, scope: Scope, receive: Receive, send: Send, admission: Admission) -> None:
    """Hand a request to the MCP server, with the body as the gates read it; its answer bears the audit id, or gives way
    to the refusal.

    Only a POST goes there. The shop has no session to delete and nothing to say unasked, so a GET would open an event
    stream that stays empty, and stays open after its grant was revoked: 405 (MCP 2025-11-25,
    transports, listening for messages from the server; MCP 2026-07-28 has no such streams).
    """
    body = admission.call.body
    headers = [(name, value) for name, value in scope["headers"] if name not in _BODY_HEADERS]
    headers.append((b"content-length", str(len(body)).encode()))
    answering = with_id(send, admission)

    async def send_decided(message: Message) -> None:
        if message["type"] == "http.response.start" and admission.outcome is None and admission.instead is None:
            # The MCP server answers without its tool: who calls may know that, or is refused, like anybody.
            await admission.act()
        if admission.instead is None:
            await answering(message)

    await inner({**scope, "headers": headers, ADMISSION: admission}, jsonrpc.replay(body, receive), send_decided)
    if admission.instead is not None:
        await respond(send, admission.instead)


def with_id(send: Send, admission: Admission) -> Send:
    """A `send` whose answer bears the audit id of what was decided."""

    async def send_with_id(message: Message) -> None:
        outcome = admission.outcome
        if message["type"] == "http.response.start" and outcome is not None and admission.on_record:
            audit_id = (refusal.AUDIT_HEADER, outcome.decision.audit_id.encode())
            message = {**message, "headers": [*message.get("headers", []), audit_id]}
        await send(message)

    return send_with_id


async def respond(send: Send, answer: refusal.Answer) -> None:
    """Send an answer of the shop's own."""
    await send({"type": "http.response.start", "status": answer.status, "headers": list(answer.headers)})
    await send({"type": "http.response.body", "body": answer.body})
