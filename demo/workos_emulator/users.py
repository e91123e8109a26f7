"""`user_management`: the accounts as users, their active sessions, and the end of one."""

from __future__ import annotations

import sqlite3
from typing import Any

from starlette.routing import Route

from demo.auth_server.state.accounts import ACCOUNTS, Account, account_by_sub
from demo.auth_server.state.standing import revoke_session

from .api import Api, Call
from .paging import page
from .refused import malformed, not_found, unprocessable
from .shapes import ORGANIZATION, stamp
from .user_sessions import sessions

REVOKED_BY = "workos_api"
"""Who took a session back, as the authority keeps it: the holder of the API key, not the human."""


def user_routes(api: Api) -> list[Route]:
    """List and get users, list a user's sessions, revoke one."""
    authority = api.authority

    def list_users(call: Call) -> dict[str, Any]:
        wanted = call.query.get("email")
        if wanted is not None and "@" not in wanted:
            raise unprocessable("email", "email must be an email address")
        elsewhere = {call.query.get("organization_id"), call.query.get("organization")} - {None, ORGANIZATION}
        with authority.store.transaction(write=False) as connection:
            found = [
                user_shown(connection, account)
                for account in ACCOUNTS
                if not elsewhere and wanted in (None, account.email)
            ]
        return page(found, call.query)

    def get_user(call: Call) -> dict[str, Any]:
        account = _known(call.path["id"])
        with authority.store.transaction(write=False) as connection:
            return user_shown(connection, account)

    def list_sessions(call: Call) -> dict[str, Any]:
        account = _known(call.path["id"])
        with authority.store.transaction(write=False) as connection:
            found = sessions(authority, connection, account.sub)
        return page([one.shown() for one in found if one.status == "active"], call.query)

    def revoke(call: Call) -> dict[str, Any]:
        id = call.body.get("session_id")
        if not isinstance(id, str) or not id:
            raise malformed("session_id", "session_id is required")
        with authority.store.transaction() as connection:
            known = connection.execute("SELECT 1 FROM authority_sessions WHERE id = ?", (id,)).fetchone()
            if known is None:
                raise not_found("Session", id)
            revoke_session(connection, id, kind="session", by=REVOKED_BY, now=authority.now())
        return {"success": True}

    return [
        api.route("GET", "/user_management/users", list_users),
        api.route("GET", "/user_management/users/{id}", get_user),
        api.route("GET", "/user_management/users/{id}/sessions", list_sessions),
        api.route("POST", "/user_management/sessions/revoke", revoke),
    ]


def _known(id: str) -> Account:
    account = account_by_sub(id)
    if account is None:
        raise not_found("User", id)
    return account


def user_shown(connection: sqlite3.Connection, account: Account) -> dict[str, Any]:
    """An account as a user. Sample accounts are part of the program, which has no date: POSIX time 0 says so."""
    signed_in = connection.execute(
        "SELECT max(s.auth_time) AS at FROM authority_sessions s JOIN authority_consents c ON c.id = s.consent_id"
        " WHERE c.sub = ?",
        (account.sub,),
    ).fetchone()["at"]
    first, _, last = account.name.partition(" ")
    return {
        "object": "user",
        "id": account.sub,
        "email": account.email,
        "email_verified": True,
        "first_name": first,
        "last_name": last or None,
        "name": account.name,
        "profile_picture_url": None,
        "external_id": None,
        "metadata": {},
        "locale": None,
        "last_sign_in_at": None if signed_in is None else stamp(signed_in),
        "created_at": stamp(0),
        "updated_at": stamp(0),
    }
