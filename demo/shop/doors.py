"""The two doors: ASGI wrappers that stand before the MCP server, and what they tell its tools.

What does not pass the gates never reaches the MCP server, and what does reaches it as the gates understood it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from demo.evidence import Decision, LimitUse
from demo.shop import bearer, events, jsonrpc, refusal
from demo.shop.catalog import say, scope_of
from demo.shop.gatehouse import Gatehouse, limits_of
from demo.shop.jsonrpc import Call
from demo.shop.policy import Case, Standing, TokenFacts

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

TRIES: Final = 5
"""How often a request asks again whose grant changes, or whose lease ends, while it is being served."""
ADMISSION: Final = "demo.shop.admission"
"""Where in the ASGI scope the tools find what was decided."""

_BODY_HEADERS: Final = frozenset({b"content-length", b"transfer-encoding", b"content-encoding"})


@dataclass
class Admission:
    """What a tool may know of the request that it runs for. `decision` grows with what the tool does."""

    decision: Decision
    case: Case
    """What the gates knew; at the open door nothing of who is calling."""
    gatehouse: Gatehouse
    bearer: str | None = field(default=None, repr=False)
    """The token as it came, with which the authorization server can be asked again."""

    @property
    def door(self) -> Literal["open", "protected"]:
        """Through which door it came."""
        return self.decision.door

    @property
    def token(self) -> TokenFacts:
        """What the token says; nothing at the open door."""
        return self.case.token

    @property
    def standing(self) -> Standing:
        """Who is calling, as introspection says; not known at the open door."""
        return self.case.standing or Standing(False)

    async def limits(self) -> tuple[LimitUse, ...]:
        """The caller's limits as they are now; none at the open door."""
        if self.door == "open":
            return ()
        return limits_of(await self.gatehouse.usage(self.token, rate_ok=True))


class ProtectedDoor:
    """The ASGI wrapper of `/mcp`: what does not pass the gates never reaches the MCP server behind."""

    def __init__(self, gatehouse: Gatehouse, inner: App) -> None:
        self._gatehouse = gatehouse
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        call = Call()
        fault: jsonrpc.Unacceptable | None = None
        try:
            body = await jsonrpc.read_body(scope["headers"], receive)
            if scope["method"] == "POST":
                try:
                    call = jsonrpc.parse(body)
                except jsonrpc.Unacceptable as unreadable:
                    fault = unreadable  # Said only to those who pass the gates.
            await self._serve(scope, receive, send, call, fault)
        except jsonrpc.Unacceptable as unacceptable:
            await respond(send, refusal.unacceptable(unacceptable))
        except jsonrpc.Gone:
            return
        except sqlite3.Error:
            await respond(send, refusal.unwritable(call.id))

    async def _serve(
        self, scope: Scope, receive: Receive, send: Send, call: Call, fault: jsonrpc.Unacceptable | None
    ) -> None:
        house = self._gatehouse
        token = bearer.from_headers(scope["headers"])
        needed = scope_of(call.tool)
        case = await house.open_case(token, method=call.method, tool=call.tool, scope=needed)
        async with house.turn(case):
            case, ruling = await house.admit(case, token)
            if ruling.verdict == "allow" and fault is not None:
                raise fault
            limits: tuple[LimitUse, ...] = ()
            if ruling.verdict == "allow" and call.is_tool_call:
                ruling, usage = await house.limit(case, call)
                limits = limits_of(usage)
            elif ruling.gate == "scope":
                limits = limits_of(await house.usage(case.token, rate_ok=True))
            decision = house.decision(case, ruling, call)
            for _ in range(TRIES):
                try:
                    await house.record(decision, case)
                    break
                except events.StandingChanged:
                    case, again = await house.admit_again(case, token)
                    ruling = again if again.verdict == "deny" else ruling
                    decision = house.decision(case, ruling, call)
            else:
                raise jsonrpc.Unacceptable(503, jsonrpc.INTERNAL_ERROR, say("unsettled"))
            if ruling.verdict == "deny":
                host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
                await respond(send, house.refuse(case, decision, call.id, limits, host=host))
                return
            await pass_on(self._inner, scope, receive, send, call, Admission(decision, case, house, token))


class OpenDoor:
    """The ASGI wrapper of `/open/mcp`: asks nobody who they are, and can record nothing but that somebody was there."""

    def __init__(self, gatehouse: Gatehouse, inner: App) -> None:
        self._gatehouse = gatehouse
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        house = self._gatehouse
        call = Call()
        try:
            body = await jsonrpc.read_body(scope["headers"], receive)
            if scope["method"] == "POST":
                call = jsonrpc.parse(body)
            case, decision, limits = await house.pass_open(call, (scope.get("client") or ("nowhere",))[0])
            if decision.verdict == "deny":
                now = house.config.clock()
                # No token would change it, so there is no challenge.
                refused = refusal.refuse(decision, call_id=call.id, limits=limits, metadata_url="", scope="", now=now)
                await respond(send, refused)
                return
            await pass_on(self._inner, scope, receive, send, call, Admission(decision, case, house))
        except jsonrpc.Unacceptable as unacceptable:
            await respond(send, refusal.unacceptable(unacceptable))
        except jsonrpc.Gone:
            return
        except sqlite3.Error:
            await respond(send, refusal.unwritable(call.id))


async def pass_on(inner: App, scope: Scope, receive: Receive, send: Send, call: Call, admission: Admission) -> None:
    """Hand a request to the MCP server, with the body as the gates read it; its answer bears the audit id.

    Only a POST goes there. The shop has no session to delete and nothing to say unasked, so a GET would open an event
    stream that stays empty, and stays open after its grant was revoked: 405 (MCP 2025-11-25,
    transports, listening for messages from the server; MCP 2026-07-28 has no such streams).
    """
    headers = [(name, value) for name, value in scope["headers"] if name.lower() not in _BODY_HEADERS]
    headers.append((b"content-length", str(len(call.body)).encode()))
    on_record = admission.door == "protected" or call.is_tool_call

    async def send_with_id(message: Message) -> None:
        if message["type"] == "http.response.start" and on_record:
            audit_id = (refusal.AUDIT_HEADER, admission.decision.audit_id.encode())
            message = {**message, "headers": [*message.get("headers", []), audit_id]}
        await send(message)

    if scope["method"] != "POST":
        await respond(send_with_id, refusal.post_only())
        return
    inner_scope = {**scope, "headers": headers, ADMISSION: admission}
    await inner(inner_scope, jsonrpc.replay(call.body, receive), send_with_id)


async def respond(send: Send, answer: refusal.Answer) -> None:
    """Send an answer of the shop's own."""
    await send({"type": "http.response.start", "status": answer.status, "headers": list(answer.headers)})
    await send({"type": "http.response.body", "body": answer.body})
