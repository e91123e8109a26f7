"""Security events: the authorization server pushes what was revoked (RFC 8417, RFC 8935), and the shop goes by that.

A request acts on what the authorization server said before: of its grant, or by verifying the stream of these events
(`standing.py`, `stream.py`). An event makes void what was said before it: what acts checks here, in the transaction in
which it acts, whether an event about the same session, agent or user has come since. And nothing that was said is acted
on for longer than a lease, so that the authorization server, which waits that long, need not wait for ever for a shop
that does not answer.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from demo.evidence.shop import Decision
from demo.shop import audit_log, settling, standing
from demo.shop.bearer import ALGORITHMS
from demo.shop.bounded_http import AuthServerUnavailable
from demo.shop.catalog import LIMITS, say
from demo.shop.config import ShopConfig
from demo.shop.database import Database
from demo.shop.discovery import AuthServer
from demo.shop.facts import Reliance, TokenFacts
from demo.shop.policy import short

PATH: Final = "/events"
TYPE: Final = "secevent+jwt"
SESSION_REVOKED: Final = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
TOKEN_CLAIMS_CHANGE: Final = "https://schemas.openid.net/secevent/caep/event-type/token-claims-change"
"""OpenID Continuous Access Evaluation Profile 1.0, sections 3.1 and 3.2. Of either, what was said is asked again."""
VERIFICATION: Final = "https://schemas.openid.net/secevent/ssf/event-type/verification"
"""OpenID Shared Signals Framework 1.0, section 8.1.4."""
KEPT_SECONDS: Final = 3600.0
"""An event makes void what was answered before it, for which nobody waits an hour."""


class StandingChanged(Exception):
    """What was answered before may not be acted on any more: ask again. The transaction must be rolled back."""


def rely(connection: sqlite3.Connection) -> Reliance:
    """To be called before the authorization server is asked."""
    row = connection.execute("SELECT coalesce(max(seq), 0) AS seq FROM shop_revocations").fetchone()
    return Reliance(int(row["seq"]), standing.steady())


def over(reliance: Reliance, *, lease: float) -> bool:
    """Whether the lease of an answer is over."""
    return standing.steady() - reliance.asked_at > lease


def check(connection: sqlite3.Connection, reliance: Reliance, token: TokenFacts, *, lease: float) -> None:
    """See that an answer about this token may be acted on now, in the transaction that acts.

    Raises:
        StandingChanged: an event about its session, user or an agent of it has come since, or the lease is over.
    """
    if over(reliance, lease=lease):
        raise StandingChanged
    about = [("session", token.session), ("user", token.user), *(("agent", agent) for agent in token.chain)]
    found = connection.execute(
        "SELECT 1 FROM shop_revocations WHERE seq > ?"
        f" AND (kind, subject) IN (VALUES {', '.join(['(?, ?)'] * len(about))})",
        (reliance.heard, *(value for one in about for value in one)),
    ).fetchone()
    if found is not None:
        raise StandingChanged


class InvalidEvent(Exception):
    """An event that is none, or none for here; `err` is RFC 8935's code (section 2.4)."""

    def __init__(self, err: str, description: str) -> None:
        super().__init__(description)
        self.err = err


@dataclass(frozen=True)
class Event:
    """What an event says: that something about `subject` (session, agent or user) changed, or that the stream is
    verified, which was asked for by `state`."""

    jti: str
    subject: tuple[str, str] | None = None
    state: str | None = None
    user: str | None = None
    """Whose sessions they are, where it says so."""
    revoked: bool = False
    """Whether something was revoked, and did not only change."""
    why: str | None = None
    """By whom and why, in its own words (CAEP 1.0 section 2: `initiating_entity`, `reason_admin`)."""


def routes(
    config: ShopConfig,
    database: Database,
    auth_server: AuthServer,
    verified: Callable[[str | None], Awaitable[bool]],
) -> list[BaseRoute]:
    """`POST /events`. Who may push is said by the signature alone: it is the authorization server's own.

    Args:
        verified: told of a verification's state; whether that was asked for.
    """

    async def receive(request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != f"application/{TYPE}":
            return _refused(InvalidEvent("invalid_request", f"the body must be application/{TYPE}"))
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > LIMITS.token_characters:
                return _refused(InvalidEvent("invalid_request", "the event is too long"))
        try:
            event = await read(bytes(body), auth_server, issuer=config.issuer, audience=config.resource)
        except AuthServerUnavailable as unknown:
            return JSONResponse({"err": "invalid_key", "description": f"the keys cannot be read: {unknown}"}, 503)
        except InvalidEvent as invalid:
            return _refused(invalid)
        if event.subject is not None:
            await database.write(_keep, event, config.clock())
        elif not await verified(event.state):
            return _refused(InvalidEvent("invalid_state", "no verification with this state was asked for"))
        return Response(status_code=202)  # RFC 8935 section 2.2: it is kept, and so it holds

    return [Route(PATH, receive, methods=["POST"])]


async def read(token: bytes, auth_server: AuthServer, *, issuer: str, audience: str) -> Event:
    """What an event says.

    Raises:
        InvalidEvent: its signature, issuer, audience or content is not as it must be.
        AuthServerUnavailable: the keys cannot be read.
    """
    try:
        header = jws.extract_compact(token).headers()
    except (JoseError, ValueError, RecursionError):
        raise InvalidEvent("invalid_request", "the body is not a signed JWT") from None
    kid = header.get("kid")
    if str(header.get("typ", "")).lower().removeprefix("application/") != TYPE or header.get("alg") not in ALGORITHMS:
        raise InvalidEvent(
            "invalid_request", f"the body is not a JWT of type {TYPE}, signed by {' or '.join(ALGORITHMS)}"
        )
    key = await auth_server.key(kid) if isinstance(kid, str) else None
    if key is None:
        raise InvalidEvent("invalid_key", "it is not signed with a key of the authorization server")
    try:
        claims = json.loads(jws.deserialize_compact(token, key, algorithms=list(ALGORITHMS)).payload or b"")
    except (JoseError, ValueError, RecursionError):
        raise InvalidEvent("invalid_key", "its signature does not fit") from None
    if not isinstance(claims, dict) or claims.get("iss") != issuer:
        raise InvalidEvent("invalid_issuer", f"its issuer is not {issuer}")
    named = claims.get("aud")
    if audience not in (named if isinstance(named, list) else [named]):
        raise InvalidEvent("invalid_audience", f"it is not for {audience}")
    about, jti = claims.get("events"), claims.get("jti")
    if isinstance(jti, str) and jti and isinstance(about, dict):
        if SESSION_REVOKED in about or TOKEN_CLAIMS_CHANGE in about:
            return Event(
                jti,
                subject=_subject(claims.get("sub_id")),
                user=_user(claims.get("sub_id")),
                revoked=SESSION_REVOKED in about,
                why=_cause(about.get(SESSION_REVOKED)),
            )
        if isinstance(about.get(VERIFICATION), dict):
            state = about[VERIFICATION].get("state")
            return Event(jti, state=state if isinstance(state, str) else None)
    raise InvalidEvent("invalid_request", "it has no jti, or no event that this shop understands")


def _subject(given: Any) -> tuple[str, str]:
    """What a complex subject names (OpenID Shared Signals Framework 1.0, section 3): the narrowest that is there."""
    members = given if isinstance(given, dict) else {}
    for name, kind, member in (("session", "session", "id"), ("application", "agent", "id"), ("user", "user", "sub")):
        found = members.get(name)
        if isinstance(found, dict) and isinstance(found.get(member), str) and found[member]:
            return kind, found[member]
    raise InvalidEvent("invalid_request", "its sub_id names no session, application or user")


def _user(given: Any) -> str | None:
    found = given.get("user") if isinstance(given, dict) else None
    sub = found.get("sub") if isinstance(found, dict) else None
    return sub if isinstance(sub, str) and sub else None


def _cause(given: Any) -> str | None:
    """Who did it, and why, as far as the event says so."""
    told = given if isinstance(given, dict) else {}
    reason = told.get("reason_admin")
    if isinstance(reason, dict):  # by language
        reason = reason.get("en") or next(iter(reason.values()), None)
    parts = [one for one in (told.get("initiating_entity"), reason) if isinstance(one, str) and one]
    return short(": ".join(parts), 200) if parts else None


def _keep(connection: sqlite3.Connection, event: Event, now: float) -> None:
    """Note an event, and put on record what it revoked: once, however often it is told."""
    assert event.subject is not None
    kind, subject = event.subject
    if note(connection, event.jti, kind, subject) and event.revoked:
        entry = Decision(
            audit_id=audit_log.new_audit_id(),
            at=now,
            verdict="deny",
            gate="event",
            rule=f"revoked.{kind}",
            reason=say("event_revoked", kind=kind, id=short(subject, 80), why=event.why or "no reason is given"),
            user=event.user,
            agent=subject if kind == "agent" else None,
            session=subject if kind == "session" else None,
            correlation=event.jti,
        )
        audit_log.record(connection, entry)
        settling.revoked(connection, kind, subject, event.user, now)


def note(connection: sqlite3.Connection, jti: str, kind: str, subject: str) -> bool:
    """Note what was revoked, and forget what was kept of it; whether it is news. Told twice it is noted once."""
    now = standing.steady()
    # Those of before a restart of the machine have times that are still to come.
    connection.execute("DELETE FROM shop_revocations WHERE at < ? OR at > ?", (now - KEPT_SECONDS, now))
    noted = connection.execute(
        "INSERT INTO shop_revocations (jti, kind, subject, at) VALUES (?, ?, ?, ?) ON CONFLICT (jti) DO NOTHING",
        (jti, kind, subject, now),
    )
    standing.void(connection, kind, subject)
    return noted.rowcount > 0


def _refused(invalid: InvalidEvent) -> Response:
    return JSONResponse({"err": invalid.err, "description": str(invalid)}, 400)
