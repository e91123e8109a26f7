"""`GET /audit`: the trail for those it is about. Passes the gates token, standing, allowlist and scope."""

from __future__ import annotations

import sqlite3

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from demo.shop import bearer, refusal, trail
from demo.shop.catalog import ADMIN_ROLE, AUDIT_SCOPE, LIMITS, say
from demo.shop.gatehouse import Gatehouse
from demo.shop.jsonrpc import Call


def routes(house: Gatehouse) -> list[BaseRoute]:
    """The reader of the trail. A refused read is an entry of the trail itself; an allowed one is not, since
    following the trail would then feed it."""

    async def audit(request: Request) -> Response:
        try:
            return await _read(house, request)
        except sqlite3.Error:
            return refusal.response(refusal.unwritable(None))

    return [Route("/audit", audit, methods=["GET"])]


async def _read(house: Gatehouse, request: Request) -> Response:
    token = bearer.from_headers(request.headers.raw)
    case = await house.open_case(token, method=None, tool=None, scope=AUDIT_SCOPE)
    case, ruling = await house.admit(case, token)
    if ruling.verdict == "deny":
        decision = house.decision(case, ruling, Call())
        await house.record(decision)
        return refusal.response(house.refuse(case, decision, None, host=request.headers.get("host", "")))
    try:
        limit = int(request.query_params.get("limit", LIMITS.audit_entries))
        if not 1 <= limit <= LIMITS.most_audit_entries:
            raise ValueError
    except ValueError:
        return _invalid(say("audit_limit", most=LIMITS.most_audit_entries))
    try:
        found = await house.database.read(
            trail.entries,
            reader=case.token.user,
            everybody=case.standing is not None and ADMIN_ROLE in case.standing.roles,
            after=request.query_params.get("after") or None,
            limit=limit,
        )
    except trail.UnknownEntry:
        return _invalid(say("audit_after"))
    return JSONResponse({"entries": [decision.to_dict() for decision in found]}, headers={"cache-control": "no-store"})


def _invalid(description: str) -> Response:
    return JSONResponse({"error": "invalid_request", "error_description": description}, status_code=400)
