"""The shop's HTTP routes beside its two doors: metadata, the audit log, and what an admin changes at a door."""

from __future__ import annotations

import json
import re
import sqlite3
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from demo.proofs import ALGORITHMS
from demo.shop import audit_log, audit_routes, jsonrpc, ledger
from demo.shop.catalog import (
    ADMIN_ROLE,
    LIMITS,
    MANAGE_SCOPE,
    PURCHASE_TYPE,
    SERVER_TITLE,
    SPENDING_TYPE,
    say,
    scopes_by,
)
from demo.shop.config import ShopConfig
from demo.shop.facts import Case
from demo.shop.gatehouse import Gatehouse
from demo.shop.jsonrpc import Call
from demo.shop.own_routes import admit, answer, answered, error, only_the_console
from demo.shop.policy import Ruling

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"


def routes(house: Gatehouse) -> list[BaseRoute]:
    """The routes, all but the two doors, the audit log's and `POST /events`."""

    return [
        # Also without the resource's path in it (RFC 9728 section 3.1), for agents that look at the root only.
        *(Route(path, answered(house, _metadata), methods=["GET"]) for path in (f"{WELL_KNOWN}/mcp", WELL_KNOWN)),
        Route(f"{WELL_KNOWN}/account", answered(house, _account_metadata), methods=["GET"]),
        Route("/account/door", answered(house, _set_door), methods=["POST"]),
    ]


async def _metadata(house: Gatehouse, request: Request) -> Response:
    """The protected door's metadata (RFC 9728 section 2): how who was refused finds the authorization server."""
    told = _document(house.config, request, "mcp", scopes_by(house.policy.current()), SERVER_TITLE)
    told["jwks_uri"] = house.config.origin(request.headers.get("host", "")) + audit_routes.KEYS
    return answer({**told, "authorization_details_types_supported": [SPENDING_TYPE, PURCHASE_TYPE]})


async def _account_metadata(house: Gatehouse, request: Request) -> Response:
    """The same of the human's own routes."""
    return answer(_document(house.config, request, "account", (MANAGE_SCOPE,), f"{SERVER_TITLE}: the human in control"))


def _document(config: ShopConfig, request: Request, path: str, scopes: tuple[str, ...], name: str) -> dict[str, Any]:
    return {
        "resource": f"{config.origin(request.headers.get('host', ''))}/{path}",
        "authorization_servers": [config.issuer],
        "scopes_supported": list(scopes),
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": list(ALGORITHMS),  # RFC 9449: bound tokens are taken, too
        "resource_name": name,
    }


async def _set_door(house: Gatehouse, request: Request) -> Response:
    """An admin restocks a door, or switches the open one off and on (docs/wire.md). It takes the token of the
    authorization server's own routes for the human in control: a console's, which no agent has."""
    given: Any = None
    try:
        given = json.loads(await jsonrpc.read_body(request.headers.raw, request.receive))
        why = _objection(given)
    except (ValueError, RecursionError):
        why = say("body_not_json")

    def change(connection: sqlite3.Connection, case: Case) -> Response:
        if case.standing is None or ADMIN_ROLE not in case.standing.roles:
            return error(403, "access_denied", say("no_admin"))
        if why is not None:
            return error(400, "invalid_request", why)
        door, text = given["door"], given.get("description")
        state = ledger.set_door(connection, door, stock=given.get("stock"), opened=given.get("open"), text=text)
        state["open"] = state["open"] and (given["door"] == "protected" or house.config.open_door)
        who = case.standing.username or case.token.user or "an admin"
        reasons = []
        if text is not None:  # its digest: what somebody else wrote is not for the trail's readers to obey
            told = jsonrpc.digest([state["description"]])
            reasons.append(say("door_described", user=who, door=door, digest=told))
        if text is None or (given.get("stock"), given.get("open")) != (None, None):
            reasons.append(
                say("door_set" if state["open"] else "door_closed", user=who, door=door, stock=state["stock"])
            )
        for reason in reasons:
            audit_log.record(connection, house.decision(case, Ruling("allow", "scope", "allowed", reason), Call()))
        return answer(state)

    _, answered_with = await admit(house, request, MANAGE_SCOPE, "account", only_the_console, then=change)
    assert answered_with is not None, "a refusal, or what was done"
    return answered_with


def _objection(given: Any) -> str | None:
    """Why a body says nothing that can be done; None where it does."""
    asked = given if isinstance(given, dict) else {}
    stock, opened, text = (asked.get(name) for name in ("stock", "open", "description"))
    counted = isinstance(stock, int) and not isinstance(stock, bool) and 0 <= stock <= LIMITS.most_stock
    written = isinstance(text, str) and len(text) <= LIMITS.description_characters and not _NO_TEXT.search(text)
    fits = (
        (counted or stock is None)
        and (isinstance(opened, bool) or opened is None)
        and (written or text is None)
        and (stock, opened, text) != (None, None, None)
    )
    if asked.get("door") not in ("open", "protected") or not fits:
        return say("door_shape", most=LIMITS.most_stock, longest=LIMITS.description_characters)
    return say("door_gates") if asked["door"] == "protected" and opened is not None else None


_NO_TEXT: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""What a terminal obeys, and half of a surrogate pair, which JSON can spell and is no character."""
