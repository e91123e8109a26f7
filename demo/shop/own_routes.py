"""What the routes beside the doors have in common: the gates in front of each, and answers that no cache keeps."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from demo import tracing
from demo.evidence.shop import Decision
from demo.shop import audit_log, bearer, correlation, jsonrpc, refusal
from demo.shop.facts import Case
from demo.shop.gatehouse import Gatehouse
from demo.shop.jsonrpc import Call
from demo.shop.policy import Ruling, check_scope, deny, short


def answered(
    house: Gatehouse, what: Callable[[Gatehouse, Request], Awaitable[Response]]
) -> Callable[[Request], Awaitable[Response]]:
    """A route's function, which answers a request that cannot be served as the doors do."""

    async def answer(request: Request) -> Response:
        try:
            return await what(house, request)
        except jsonrpc.Gone:
            return Response(status_code=400)  # nobody reads it
        except jsonrpc.Unacceptable as unacceptable:
            return refusal.response(refusal.unacceptable(unacceptable))
        except sqlite3.Error:
            return refusal.response(refusal.unwritable(None))

    return answer


async def admit(
    house: Gatehouse,
    request: Request,
    scope: str,
    path: str,
    beside: Callable[[Gatehouse, Case], Ruling | None] = lambda *_: None,
    *,
    then: Callable[[sqlite3.Connection, Case], Response | None] = lambda *_: None,
    unlisted: bool = False,
) -> tuple[Case, Response | None]:
    """The request as the gates know it, and the answer to send where one of them refuses it; `beside` is one more.

    Whoever may take time, the client with its body, is to be waited for before: what is admitted acts now.

    Args:
        then: what is done where none of them does, in their transaction, and its answer.
        unlisted: whether somebody may go on who is not on the allowlist.
    """
    await house.policy.refresh(house.database)
    presented = bearer.presented(request.headers.raw, method=request.method, path=request.url.path, config=house.config)
    host = request.headers.get("host", "")

    def act(connection: sqlite3.Connection, case: Case) -> tuple[Case, Response | None]:
        ruling = house.admit(case)
        objection = ruling if ruling.verdict == "deny" else None
        if unlisted and ruling.gate == "allowlist":
            objection = check_scope(case)
        if (objection := objection or beside(house, case)) is None:
            return case, then(connection, case)
        decision = house.decision(case, objection, Call(known=correlation.of(request.headers.raw)))
        audit_log.record(connection, decision)
        refused.append(decision)
        return case, refusal.response(house.refuse(case, decision, None, host=host, path=path))

    refused: list[Decision] = []
    with tracing.gates() as span:
        case = await house.open_case(presented, method=None, tool=None, scope=scope, path=path)
        result, kept = await house.settle(case, presented.token, act)
        await kept()
        if tracing.on() and refused and result[1] is not None:
            span.add(tracing.about(refused[-1]))
    return result


def only_the_console(house: Gatehouse, case: Case) -> Ruling | None:
    """One more gate, for a route of the human in control: no agent has a token of theirs, and no other client."""
    if case.token.agent is None and case.token.client in house.config.console_clients:
        return None
    return deny("allowlist.client", client=short(case.token.client or "This client"))


def error(status: int, error: str, description: str) -> Response:
    return answer({"error": error, "error_description": description}, status)


def answer(body: dict[str, Any], status: int = 200) -> Response:
    """JSON that no cache may keep."""
    return JSONResponse(body, status, headers={"cache-control": "no-store"})
