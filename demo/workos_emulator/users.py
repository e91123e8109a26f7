"""`user_management`: the accounts as users, their sessions, and the software that they let act for them.

A session is every login of theirs, to their own console and through agents alike; an authorized application is a
consent that holds.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from starlette.routing import Route

from demo.auth_server.administration import (
    ACCOUNTS,
    Account,
    Context,
    Session,
    account_by_sub,
    find_client,
    find_session,
    lasts_until,
    revoke_session,
    session_revocation,
    sessions_of,
    sessions_through,
)

from .api import Api, Call, malformed, not_found, unprocessable
from .shapes import ORGANIZATION, derived_id, page, stamp

REVOKED_BY = "workos_api"
"""Who revoked a session, as the authorization server keeps it: the holder of the API key, not the human."""
MOST_SESSIONS = 1000
"""That a list is made of: each is looked up by itself while others wait for the database."""
APPLICATIONS = "/user_management/users/{id}/authorized_applications"


@dataclass(frozen=True)
class UserSession:
    """A session with its end. `ended_at` is when it, its agent or its user was revoked; None while it holds."""

    session: Session
    expires_at: float
    ended_at: float | None
    now: float

    @property
    def status(self) -> str:
        """`active`, `revoked` or `expired`."""
        if self.ended_at is not None:
            return "revoked"
        return "active" if self.now < self.expires_at else "expired"

    def shown(self, *, status: str | None = None) -> dict[str, Any]:
        """WorkOS's object. No addresses and no user agents are kept here; a sample sign-in has no method.

        Args:
            status: what it was at the time of an event; None for what it is.
        """
        status = status or self.status
        ended_at = self.ended_at if status == "revoked" else None
        changed = self.session.created_at if ended_at is None else ended_at
        return {
            "object": "session",
            "id": self.session.id,
            "ip_address": None,
            "user_agent": None,
            "user_id": self.session.sub,
            "organization_id": ORGANIZATION,
            "auth_method": "unknown",
            "status": status,
            "expires_at": stamp(self.expires_at),
            "ended_at": None if ended_at is None else stamp(ended_at),
            "created_at": stamp(self.session.created_at),
            "updated_at": stamp(changed),
        }


def find_user_session(context: Context, connection: sqlite3.Connection, session_id: str) -> UserSession | None:
    """The session with this id, or None."""
    session = find_session(connection, session_id)
    return None if session is None else _with_end(context, connection, session)


def user_sessions(context: Context, connection: sqlite3.Connection, sub: str | None = None) -> list[UserSession]:
    """The newest sessions, of everybody or of one human, oldest first."""
    found = sessions_of(connection, sub, limit=MOST_SESSIONS)
    return [_with_end(context, connection, session) for session in found]


def _with_end(context: Context, connection: sqlite3.Connection, session: Session) -> UserSession:
    expires_at = lasts_until(connection, session, access_token_seconds=context.config.access_token_seconds)
    revoked = session_revocation(connection, session)
    return UserSession(session, expires_at, None if revoked is None else revoked.at, context.now())


def user_routes(api: Api) -> list[Route]:
    """Users, their active sessions, and the software that may act for them; the end of each of the latter two."""
    context = api.context

    def list_users(call: Call) -> dict[str, Any]:
        wanted = call.query.get("email")
        if wanted is not None and "@" not in wanted:
            raise unprocessable("email", "email must be an email address")
        elsewhere = {call.query.get("organization_id"), call.query.get("organization")} - {None, ORGANIZATION}
        with context.store.transaction(write=False) as connection:
            found = [
                user_shown(connection, account)
                for account in ACCOUNTS
                if not elsewhere and wanted in (None, account.email)
            ]
        return page(found, call.query)

    def get_user(call: Call) -> dict[str, Any]:
        account = _known(call.path["id"])
        with context.store.transaction(write=False) as connection:
            return user_shown(connection, account)

    def list_sessions(call: Call) -> dict[str, Any]:
        account = _known(call.path["id"])
        with context.store.transaction(write=False) as connection:
            found = user_sessions(context, connection, account.sub)
        return page([one.shown() for one in found if one.status == "active"], call.query)

    def revoke(call: Call) -> dict[str, Any]:
        id = call.body.get("session_id")
        if not isinstance(id, str) or not id:
            raise malformed("session_id", "session_id is required")
        with context.store.transaction() as connection:
            if find_session(connection, id) is None:
                raise not_found("Session", id)
            revoke_session(connection, id, kind="session", by=REVOKED_BY, now=context.now())
        return {"success": True}

    def list_applications(call: Call) -> dict[str, Any]:
        with context.store.transaction(write=False) as connection:
            found = [_authorized(context, one) for one in _consents(context, connection, call.path["id"])]
        return page(found, call.query)

    def delete_application(call: Call) -> None:
        named = call.path["application"]
        with context.store.transaction() as connection:
            client_id = next(
                (
                    one.session.client_id
                    for one in _consents(context, connection, call.path["id"])
                    if named in (one.session.client_id, _application_id(one.session.client_id))
                ),
                None,
            )
            if client_id is None:
                raise not_found("Authorized application", named)
            for id in sessions_through(connection, call.path["id"], client_id):
                revoke_session(connection, id, kind="session", by=REVOKED_BY, now=context.now())

    return [
        api.route("GET", "/user_management/users", list_users),
        api.route("GET", "/user_management/users/{id}", get_user),
        api.route("GET", "/user_management/users/{id}/sessions", list_sessions),
        api.route("POST", "/user_management/sessions/revoke", revoke),
        api.route("GET", APPLICATIONS, list_applications),
        # A client's id may be a URL (client ID metadata documents), slashes and all.
        api.route("DELETE", f"{APPLICATIONS}/{{application:path}}", delete_application),
    ]


def _known(id: str) -> Account:
    account = account_by_sub(id)
    if account is None:
        raise not_found("User", id)
    return account


def user_shown(connection: sqlite3.Connection, account: Account) -> dict[str, Any]:
    """An account as a user. Sample accounts are part of the program, which has no date: POSIX time 0 says so."""
    signed_in = max((session.auth_time for session in sessions_of(connection, account.sub, limit=20)), default=None)
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


def _consents(context: Context, connection: sqlite3.Connection, sub: str) -> list[UserSession]:
    """The active sessions in which an agent acts for this human, one for each consent; oldest first."""
    found = user_sessions(context, connection, _known(sub).sub)
    return [one for one in found if one.status == "active" and one.session.agent_id is not None]


def _authorized(context: Context, one: UserSession) -> dict[str, Any]:
    session = one.session
    return {
        "object": "authorized_connect_application",
        "id": session.consent_id,
        "granted_scopes": list(session.scope),
        "oauth_resource": session.resources[0] if session.resources else None,
        "application": _application(context, session.client_id, session.created_at),
    }


def _application(context: Context, client_id: str, seen_at: float) -> dict[str, Any]:
    client = find_client(context, client_id)
    uris = () if client is None else client.redirect_uris
    return {
        "object": "connect_application",
        "id": _application_id(client_id),
        "client_id": client_id,
        "name": client_id if client is None else client.name,
        "description": None,
        "application_type": "oauth",
        "scopes": [] if client is None else sorted(client.scopes),
        "redirect_uris": [{"uri": uri, "default": number == 0} for number, uri in enumerate(uris)],
        "cors_origins": [],
        "uses_pkce": True,
        "is_first_party": client is not None and client.source == "known",
        "was_dynamically_registered": client is not None and client.source == "registered",
        "organization_id": None,
        # When a client became known is not kept; when it was first let in by this consent is.
        "created_at": stamp(seen_at),
        "updated_at": stamp(seen_at),
    }


def _application_id(client_id: str) -> str:
    return derived_id("conn_app", client_id)
