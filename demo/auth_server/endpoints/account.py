"""The account API: a human sees the sessions that their consents opened, takes authority back, and lifts that again."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Any, cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..context import Authority
from ..state.accounts import Account, account_by_sub
from ..state.sessions import Session, find_session, lasts_until, sessions_of
from ..state.standing import Kind, reinstate_standing, revoke_session, revoke_standing, standing
from .bearer import NO_STORE, BearerRefused, authenticate

SCOPE = "sessions:manage"
LONGEST_BODY = 4096
"""Bytes."""


class AccountRefused(Exception):
    """A request that cannot be followed, as JSON with an RFC 6749 style `error`."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.error = error
        self.description = description


def account_routes(authority: Authority) -> list[Route]:
    """`/account/sessions`, `/account/revoke`, `/account/reinstate`."""

    def sessions(account: Account, _: bytes) -> dict[str, Any]:
        with authority.store.transaction(write=False) as connection:
            found = sessions_of(connection, account.sub)
            return {"sessions": [_describe(authority, connection, session) for session in found]}

    def revoke(account: Account, body: bytes) -> dict[str, Any]:
        kind, id = _target(body)
        now = authority.now()
        with authority.store.transaction() as connection:
            _check_theirs(connection, account, kind, id)
            if kind == "session":
                at = revoke_session(connection, id, kind="session", by=account.sub, now=now)
            else:
                at = revoke_standing(connection, kind, id, by=account.sub, now=now)
        return {"kind": kind, "id": id, "revoked_at": at}

    def reinstate(account: Account, body: bytes) -> dict[str, Any]:
        kind, id = _target(body)
        with authority.store.transaction() as connection:
            _check_theirs(connection, account, kind, id)
            if kind == "session":
                raise AccountRefused(409, "invalid_request", "a revoked session stays dead; log in again")
            lifted = reinstate_standing(connection, kind, id)
        return {"kind": kind, "id": id, "revoked_at": None, "lifted": lifted}

    def route(path: str, method: str, answer: Callable[[Account, bytes], dict[str, Any]]) -> Route:
        def respond(request: Request, body: bytes) -> Response:
            try:
                account = authenticate(authority, request, audience=authority.account_resource, scope=SCOPE)
                return JSONResponse(answer(account, body), headers=NO_STORE)
            except BearerRefused as refusal:
                return refusal.response()
            except AccountRefused as refusal:
                told = {"error": refusal.error, "error_description": refusal.description}
                return JSONResponse(told, refusal.status, NO_STORE)

        async def endpoint(request: Request) -> Response:
            body = bytearray()
            async for chunk in request.stream():
                body += chunk
                if len(body) > LONGEST_BODY:
                    return JSONResponse({"error": "invalid_request", "error_description": "too long"}, 413, NO_STORE)
            return await run_in_threadpool(respond, request, bytes(body))

        return Route(path, endpoint, methods=[method])

    return [
        route("/account/sessions", "GET", sessions),
        route("/account/revoke", "POST", revoke),
        route("/account/reinstate", "POST", reinstate),
    ]


def _describe(authority: Authority, connection: sqlite3.Connection, session: Session) -> dict[str, Any]:
    revoked = standing(connection, session)
    client = authority.client(session.client_id)
    return {
        "id": session.id,
        "consent": session.consent_id,
        "agent": session.agent_id,
        "client": session.client_id,
        "client_name": session.client_id if client is None else client.name,
        "scopes": list(session.scope),
        "created_at": session.created_at,
        "expires_at": lasts_until(connection, session, access_token_seconds=authority.config.access_token_seconds),
        "revoked_at": None if revoked is None else revoked.at,
        "revoked_by_kind": None if revoked is None else revoked.kind,
        "spending_limit": session.spending_limit,
    }


def _target(body: bytes) -> tuple[Kind, str]:
    """The `kind` and `id` of a request's JSON."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise AccountRefused(400, "invalid_request", "the body is not JSON") from error
    if not isinstance(given, dict) or not isinstance(given.get("id"), str) or not given["id"]:
        raise AccountRefused(400, "invalid_request", 'the body is {"kind": ..., "id": ...}')
    if given.get("kind") not in ("session", "agent", "user"):
        raise AccountRefused(400, "invalid_request", "kind is session, agent or user")
    return cast(Kind, given["kind"]), given["id"]


def _check_theirs(connection: sqlite3.Connection, account: Account, kind: Kind, id: str) -> None:
    """Refuse what does not exist and what is somebody else's in the same words: neither is theirs to know of."""
    owner: str | None
    if kind == "session":
        session = find_session(connection, id)
        owner = None if session is None else session.sub
    elif kind == "agent":
        row = connection.execute("SELECT sub FROM authority_agents WHERE id = ?", (id,)).fetchone()
        owner = None if row is None else row["sub"]
    else:
        user = account_by_sub(id)
        owner = None if user is None else user.sub
    if owner is None or (owner != account.sub and not account.is_admin):
        raise AccountRefused(404, "not_found", f"you have no such {kind}")
