"""The shop's HTTP routes beside its two doors: metadata, the audit log, and what an admin changes at a door."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from demo.shop import audit_log, bearer, jsonrpc, ledger, refusal
from demo.shop.catalog import (
    ADMIN_ROLE,
    AUDIT_SCOPE,
    LIMITS,
    MANAGE_SCOPE,
    SCOPES,
    SERVER_TITLE,
    SPENDING_TYPE,
    say,
)
from demo.shop.config import ShopConfig
from demo.shop.gatehouse import Gatehouse
from demo.shop.jsonrpc import Call
from demo.shop.policy import Case, Ruling, deny, short

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"


def routes(house: Gatehouse) -> list[BaseRoute]:
    """The routes, all but the two doors and `POST /events`."""

    def answered(what: Callable[[Gatehouse, Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
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

    return [
        # Also without the resource's path in it (RFC 9728 section 3.1), for agents that look at the root only.
        *(Route(path, answered(_metadata), methods=["GET"]) for path in (f"{WELL_KNOWN}/mcp", WELL_KNOWN)),
        Route(f"{WELL_KNOWN}/account", answered(_account_metadata), methods=["GET"]),
        Route("/audit", answered(_read_audit), methods=["GET"]),
        Route("/account/door", answered(_set_door), methods=["POST"]),
    ]


async def _metadata(house: Gatehouse, request: Request) -> Response:
    """The protected door's metadata (RFC 9728 section 2): how who was refused finds the authorization server."""
    told = _document(house.config, request, "mcp", SCOPES, SERVER_TITLE)
    return _json({**told, "authorization_details_types_supported": [SPENDING_TYPE]})


async def _account_metadata(house: Gatehouse, request: Request) -> Response:
    """The same of the human's own routes."""
    return _json(_document(house.config, request, "account", (MANAGE_SCOPE,), f"{SERVER_TITLE}: the human in control"))


def _document(config: ShopConfig, request: Request, path: str, scopes: tuple[str, ...], name: str) -> dict[str, Any]:
    return {
        "resource": f"{config.origin(request.headers.get('host', ''))}/{path}",
        "authorization_servers": [config.issuer],
        "scopes_supported": list(scopes),
        "bearer_methods_supported": ["header"],
        "resource_name": name,
    }


async def _read_audit(house: Gatehouse, request: Request) -> Response:
    """The audit log for those it is about: passes the gates token, standing, allowlist and scope. A refused read is on
    record; an allowed one is not, since following the log would then feed it."""
    case, refused = await _admit(house, request, AUDIT_SCOPE, "mcp")
    if refused is not None:
        return refused
    try:
        limit = int(request.query_params.get("limit", LIMITS.audit_entries))
        if not 1 <= limit <= LIMITS.most_audit_entries:
            raise ValueError
    except ValueError:
        return _error(400, "invalid_request", say("audit_limit", most=LIMITS.most_audit_entries))
    try:
        found = await house.database.read(
            audit_log.entries,
            reader=case.token.user,
            everybody=case.standing is not None and ADMIN_ROLE in case.standing.roles,
            after=request.query_params.get("after") or None,
            limit=limit,
        )
    except audit_log.UnknownEntry:
        return _error(400, "invalid_request", say("audit_after"))
    return _json({"entries": [decision.to_dict() for decision in found]})


async def _set_door(house: Gatehouse, request: Request) -> Response:
    """An admin restocks a door, or switches the open one off and on (docs/wire.md). It takes the token of the
    authorization server's own routes for the human in control: a console's, which no agent has."""
    case, refused = await _admit(house, request, MANAGE_SCOPE, "account", _only_the_console)
    if refused is not None:
        return refused
    if case.standing is None or ADMIN_ROLE not in case.standing.roles:
        return _error(403, "access_denied", say("no_admin"))
    try:
        given = json.loads(await jsonrpc.read_body(request.headers.raw, request.receive))
    except (ValueError, RecursionError):
        return _error(400, "invalid_request", say("body_not_json"))
    if (why := _objection(given)) is not None:
        return _error(400, "invalid_request", why)

    def change(connection: sqlite3.Connection, case: Case) -> dict[str, Any]:
        state = ledger.set_door(connection, given["door"], stock=given.get("stock"), opened=given.get("open"))
        state["open"] = state["open"] and (given["door"] == "protected" or house.config.open_door)
        who = (case.standing.username if case.standing else None) or case.token.user or "an admin"
        reason = say("door_set" if state["open"] else "door_closed", user=who, door=state["door"], stock=state["stock"])
        audit_log.record(connection, house.decision(case, Ruling("allow", "scope", "allowed", reason), Call()))
        return state

    return _json(await house.database.write(change, case))


def _only_the_console(house: Gatehouse, case: Case) -> Ruling | None:
    if case.token.agent is None and case.token.client in house.config.console_clients:
        return None
    return deny("allowlist.client", client=short(case.token.client or "This client"))


def _objection(given: Any) -> str | None:
    """Why a body says nothing that can be done; None where it does."""
    stock, opened = (given.get("stock"), given.get("open")) if isinstance(given, dict) else (None, None)
    counted = isinstance(stock, int) and not isinstance(stock, bool) and 0 <= stock <= LIMITS.most_stock
    fits = (
        (counted or stock is None) and (isinstance(opened, bool) or opened is None) and (stock, opened) != (None, None)
    )
    if not isinstance(given, dict) or given.get("door") not in ("open", "protected") or not fits:
        return say("door_shape", most=LIMITS.most_stock)
    return say("door_gates") if given["door"] == "protected" and opened is not None else None


async def _admit(
    house: Gatehouse,
    request: Request,
    scope: str,
    path: str,
    beside: Callable[[Gatehouse, Case], Ruling | None] = lambda *_: None,
) -> tuple[Case, Response | None]:
    """The request as the gates know it, and the answer to send where one of them refuses it; `beside` is one more."""
    token = bearer.from_headers(request.headers.raw)
    host = request.headers.get("host", "")

    def act(connection: sqlite3.Connection, case: Case) -> tuple[Case, Response | None]:
        ruling = house.admit(connection, case)
        if ruling.verdict == "allow":
            ruling = beside(house, case) or ruling
        if ruling.verdict == "allow":
            return case, None
        decision = house.decision(case, ruling, Call())
        audit_log.record(connection, decision)
        return case, refusal.response(house.refuse(case, decision, None, host=host, path=path))

    case = await house.open_case(token, method=None, tool=None, scope=scope, path=path)
    return await house.settle(case, token, act)


def _error(status: int, error: str, description: str) -> Response:
    return _json({"error": error, "error_description": description}, status)


def _json(body: dict[str, Any], status: int = 200) -> Response:
    """JSON that no cache may keep."""
    return JSONResponse(body, status, headers={"cache-control": "no-store"})
