"""The two doors: ASGI wrappers that stand before the MCP server.

What does not pass the gates is answered here, whatever the MCP server behind would say. A tool call reaches it with a
token that was verified and nothing more: whether it is admitted is decided in the transaction in which its tool runs
(`Admission.act`), and a refusal takes the place of the server's answer. Every other message is decided before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import replace
from typing import Any, Final, Literal

from demo.shop import bearer, correlation, jsonrpc, refusal
from demo.shop.admission import Acting, Admission
from demo.shop.gatehouse import Gatehouse
from demo.shop.jsonrpc import Call

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

ADMISSION: Final = "demo.shop.admission"
"""Where in the ASGI scope the tools find whom they run for."""

_BODY_HEADERS: Final = frozenset({b"content-length", b"transfer-encoding", b"content-encoding"})


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
        await house.policy.refresh(house.database)
        fault: jsonrpc.Unacceptable | None = None
        body = await jsonrpc.read_body(scope["headers"], receive)
        if scope["method"] == "POST":
            try:
                call = jsonrpc.parse(body)
            except jsonrpc.Unacceptable as unreadable:
                fault = unreadable
        call = replace(call, known=correlation.of(scope["headers"], call.meta))
        host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
        token = None
        if self._which == "open":
            case = house.open_door_case(call)
        else:
            sent = bearer.presented(scope["headers"], method=scope["method"], path=scope["path"], config=house.config)
            token, needed = sent.token, house.policy.current().scope_of(call.tool)
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
        await admission.keep()
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
            await admission.keep()
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
        if message["type"] == "http.response.start":
            if admission.outcome is None and admission.instead is None:
                # The MCP server answers without its tool: who calls may know that, or is refused, like anybody.
                await admission.act()
            await admission.keep()
        if admission.instead is None:
            await answering(message)

    try:
        await inner({**scope, "headers": headers, ADMISSION: admission}, jsonrpc.replay(body, receive), send_decided)
    finally:
        await admission.keep()
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
