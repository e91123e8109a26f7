"""`POST /account/door`: an admin restocks a door, or switches the open one off and on (docs/wire.md).

It stands beside the authorization server's routes for the human in control, and takes the same token: the human's own
console's, which no agent has.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from demo.shop import bearer, jsonrpc, ledger, refusal
from demo.shop.catalog import ADMIN_ROLE, LIMITS, MANAGE_SCOPE, say
from demo.shop.gatehouse import Gatehouse
from demo.shop.jsonrpc import Call
from demo.shop.policy import Ruling, deny, short


def routes(house: Gatehouse) -> list[BaseRoute]:
    """The one route."""

    async def door(request: Request) -> Response:
        try:
            return await _set(house, request)
        except jsonrpc.Gone:
            return Response(status_code=400)  # nobody reads it
        except jsonrpc.Unacceptable as unacceptable:
            return refusal.response(refusal.unacceptable(unacceptable))
        except sqlite3.Error:
            return refusal.response(refusal.unwritable(None))

    return [Route("/account/door", door, methods=["POST"])]


async def _set(house: Gatehouse, request: Request) -> Response:
    token = bearer.from_headers(request.headers.raw)
    case = await house.open_case(token, method=None, tool=None, scope=MANAGE_SCOPE, path="account")
    case, ruling = await house.admit(case, token)
    console = case.token.agent is None and case.token.client in house.config.console_clients
    if ruling.verdict == "allow" and not console:
        ruling = deny("allowlist.client", client=short(case.token.client or "This client"))
    if ruling.verdict == "deny":
        decision, host = house.decision(case, ruling, Call()), request.headers.get("host", "")
        await house.record(decision)
        return refusal.response(house.refuse(case, decision, None, host=host, path="account"))
    if case.standing is None or ADMIN_ROLE not in case.standing.roles:
        return _error(403, "access_denied", say("no_admin"))
    try:
        given = json.loads(await jsonrpc.read_body(request.headers.raw, request.receive))
    except (ValueError, RecursionError):
        return _error(400, "invalid_request", say("body_not_json"))
    if (why := _objection(given)) is not None:
        return _error(400, "invalid_request", why)
    state = await house.database.write(
        ledger.set_door, given["door"], stock=given.get("stock"), opened=given.get("open")
    )
    state["open"] = state["open"] and (given["door"] == "protected" or house.config.open_door)
    who = (case.standing.username or case.token.user) or "an admin"
    reason = say("door_set" if state["open"] else "door_closed", user=who, door=state["door"], stock=state["stock"])
    await house.record(house.decision(case, Ruling("allow", "scope", "allowed", reason), Call()))
    return JSONResponse(state, headers={"cache-control": "no-store"})


def _objection(given: Any) -> str | None:
    """Why a body says nothing that can be done; None where it does."""
    stock, opened = (given.get("stock"), given.get("open")) if isinstance(given, dict) else (None, None)
    counted = isinstance(stock, int) and not isinstance(stock, bool) and 0 <= stock <= LIMITS.most_stock
    wanted = (stock is None or counted) and (opened is None or isinstance(opened, bool))
    if not isinstance(given, dict) or given.get("door") not in ("open", "protected") or not wanted:
        return say("door_shape", most=LIMITS.most_stock)
    if stock is None and opened is None:
        return say("door_shape", most=LIMITS.most_stock)
    if given["door"] == "protected" and opened is not None:
        return say("door_gates")
    return None


def _error(status: int, error: str, description: str) -> Response:
    return JSONResponse(
        {"error": error, "error_description": description}, status, headers={"cache-control": "no-store"}
    )
