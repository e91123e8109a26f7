"""`POST /account/door`: an admin restocks a door, or switches the open one off and on (docs/wire.md).

It stands beside the authorization server's routes for the human in control, and takes the same token: the human's own
console's, which no agent has.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from demo.shop import bearer, jsonrpc, ledger, refusal
from demo.shop.catalog import ADMIN_ROLE, MANAGE_SCOPE
from demo.shop.gatehouse import Gatehouse
from demo.shop.jsonrpc import Call
from demo.shop.policy import Ruling, deny, short

MOST_STOCK: Final = 1_000_000
_SHAPE: Final = f'{{"door": "open" or "protected", "stock": 0 to {MOST_STOCK}, "open": true or false}}'


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
        reason = f"{short(case.token.client or 'This client')} is not a human's own console."
        ruling = deny("allowlist", "client", reason, "Use the console.")
    if ruling.verdict == "deny":
        decision, host = house.decision(case, ruling, Call()), request.headers.get("host", "")
        await house.record(decision)
        return refusal.response(house.refuse(case, decision, None, host=host, path="account"))
    if case.standing is None or ADMIN_ROLE not in case.standing.roles:
        return _error(403, "access_denied", "only an admin of this shop may set its doors")
    try:
        given = json.loads(await jsonrpc.read_body(request.headers.raw, request.receive))
    except (ValueError, RecursionError):
        return _error(400, "invalid_request", "the body is not JSON")
    if (why := _objection(given)) is not None:
        return _error(400, "invalid_request", why)
    state = await house.database.write(
        ledger.set_door, given["door"], stock=given.get("stock"), opened=given.get("open")
    )
    state["open"] = state["open"] and (given["door"] == "protected" or house.config.open_door)
    how = f"{state['stock']} in stock" if state["open"] else f"closed, {state['stock']} in stock"
    who = (case.standing.username or case.token.user) or "an admin"
    reason = f"{who} set the {state['door']} door: {how}."
    await house.record(house.decision(case, Ruling("allow", "scope", "allowed", reason), Call()))
    return JSONResponse(state, headers={"cache-control": "no-store"})


def _objection(given: Any) -> str | None:
    """Why a body says nothing that can be done; None where it does."""
    stock, opened = (given.get("stock"), given.get("open")) if isinstance(given, dict) else (None, None)
    counted = isinstance(stock, int) and not isinstance(stock, bool) and 0 <= stock <= MOST_STOCK
    wanted = (stock is None or counted) and (opened is None or isinstance(opened, bool))
    if not isinstance(given, dict) or given.get("door") not in ("open", "protected") or not wanted:
        return f"the body is {_SHAPE}, with stock or open or both"
    if stock is None and opened is None:
        return f"the body is {_SHAPE}, with stock or open or both"
    if given["door"] == "protected" and opened is not None:
        return "the protected door cannot be switched; its gates decide"
    return None


def _error(status: int, error: str, description: str) -> Response:
    return JSONResponse(
        {"error": error, "error_description": description}, status, headers={"cache-control": "no-store"}
    )
