"""The authorization server's own protected resources (RFC 6750, RFC 9449): userinfo (OpenID Connect Core section 5.3),
and the account API, by which a human sees the sessions that their consents opened, revokes, and reinstates."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable
from typing import Any, cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from demo import proofs
from demo.proofs import ProofRefused, Received

from ..clients.client import find_client
from ..context import Context
from ..grants.bound import WORDS, remember
from ..grants.tokens import actors, bound_to, read_access_token
from ..requests import FormUnreadable, read_body
from ..state.accounts import Account
from ..state.answers import HumanAnswer, answers_of
from ..state.sessions import (
    Kind,
    Session,
    UnknownSession,
    find_session,
    lasts_until,
    owner_of_agent,
    reinstate_agent_or_user,
    revoke_agent_or_user,
    revoke_session,
    session_revocation,
    sessions_of,
)
from ..state.sub_agents import describe as describe_sub_agents
from .security_events import SecurityEvents

SCOPE = "sessions:manage"
LONGEST_BODY = 4096
"""Bytes."""
PAGE, MOST_OF_A_PAGE = 100, 200
"""Sessions."""
NO_STORE = {"Cache-Control": "no-store"}


class TokenRefused(Exception):
    """A refusal with its challenges (RFC 6750 section 3, RFC 9449 section 7.1). Without `error` there was no token at
    all (RFC 6750 section 3.1).

    Args:
        bound: whether a token that is bound to a key was wanted or sent, so that the error belongs to that scheme.
    """

    def __init__(
        self,
        status: int,
        error: str = "",
        description: str = "",
        scope: str = "",
        *,
        bound: bool = False,
        nonce: str | None = None,
    ) -> None:
        super().__init__(description)
        self.status = status
        self.error = error
        self.description = description
        self.scope = scope
        self.bound = bound
        self.nonce = nonce

    def response(self) -> Response:
        """The refusal, in headers and body."""
        told = {"error": self.error, "error_description": self.description, "scope": self.scope}
        bearer = _challenge("Bearer", {} if self.bound else told)
        bound = _challenge("DPoP", {**(told if self.bound else {}), "algs": " ".join(proofs.ALGORITHMS)})
        body = {
            "error": self.error or "invalid_token",
            "error_description": self.description or "an access token is needed",
        }
        answer = JSONResponse(body, self.status, NO_STORE)
        for challenge in (bound, bearer) if self.bound else (bearer, bound):
            answer.headers.append("WWW-Authenticate", challenge)
        if self.nonce is not None:
            answer.headers["DPoP-Nonce"] = self.nonce
        return answer


def _challenge(scheme: str, parameters: dict[str, str]) -> str:
    given = {"realm": "account", **parameters}
    return f"{scheme} " + ", ".join(f'{name}="{value}"' for name, value in given.items() if value)


def authenticate(context: Context, request: Request, *, audience: str, scope: str) -> Account:
    """The human for whom this request is made; blocking, call it in a thread.

    Raises:
        TokenRefused: 401 without a token or with one that does not hold here, 403 when its scope is too small.
    """
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    kind, token = kind.lower(), token.strip()
    if kind not in ("bearer", "dpop") or not token:
        raise TokenRefused(401, scope=scope)
    claims = read_access_token(context, token)
    if claims is None:
        raise TokenRefused(401, "invalid_token", "this is not an access token of this server")
    if not isinstance(claims["aud"], str) or context.canonical(claims["aud"]) != audience:
        raise TokenRefused(401, "invalid_token", f"this token is for another audience, not for {audience}")
    if context.now() >= claims["exp"]:
        raise TokenRefused(401, "invalid_token", "this token has expired")
    _check_possession(context, request, kind, token, bound_to(claims))
    with context.store.transaction(write=False) as connection:
        session = find_session(connection, claims["sid"])
        revoked = None if session is None else session_revocation(connection, session, actors(claims))
    account = context.account(claims["sub"])
    if session is None or account is None:
        raise TokenRefused(401, "invalid_token", "this server does not know the session")
    if revoked is not None:
        raise TokenRefused(401, "invalid_token", f"this {revoked.kind} was revoked")
    if scope not in claims["scope"].split():
        raise TokenRefused(403, "insufficient_scope", f"this needs the scope {scope}", scope)
    return account


def _check_possession(context: Context, request: Request, kind: str, token: str, key: str | None) -> None:
    """See that a token which is bound to a key comes with a proof of it, and only then by the scheme DPoP (RFC 9449
    sections 7.1 and 7.2).

    Raises:
        TokenRefused: it does not.
    """
    if key is None and kind == "dpop":
        raise TokenRefused(401, "invalid_token", "this token is bound to no key: send it as a bearer token", bound=True)
    if key is None:
        return
    if kind == "bearer":
        raise TokenRefused(401, "invalid_token", "this token is bound to a key: send it with a proof, by DPoP")
    origins = {context.issuer, context.origin(request.headers.get("host", ""))}
    given = proofs.sent(request.headers.getlist("dpop"))
    received = Received(given, request.method, [origin + request.url.path for origin in origins])
    now = context.now()
    try:
        proof = proofs.check(received, now=now, nonces=context.nonces, token=token)
    except ProofRefused as refused:
        nonce = context.nonces.issue(now) if refused.wants_nonce else None
        error = "use_dpop_nonce" if refused.wants_nonce else "invalid_dpop_proof"
        raise TokenRefused(401, error, WORDS[refused.fault], bound=True, nonce=nonce) from None
    if proof.key != key:
        raise TokenRefused(401, "invalid_dpop_proof", WORDS["key"], bound=True)
    with context.store.transaction() as connection:
        if not remember(connection, proof, now):
            raise TokenRefused(401, "invalid_dpop_proof", WORDS["replayed"], bound=True)


def userinfo_routes(context: Context) -> list[Route]:
    """The route, by GET and POST (section 5.3.1)."""

    def answer(request: Request) -> Response:
        try:
            account = authenticate(context, request, audience=context.userinfo_resource, scope="openid")
        except TokenRefused as refusal:
            return refusal.response()
        claims = {"sub": account.sub, "name": account.name, "email": account.email, "roles": list(account.roles)}
        return JSONResponse(claims, headers=NO_STORE)

    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(answer, request)

    return [Route("/oauth2/userinfo", endpoint, methods=["GET", "POST"])]


class AccountRefused(Exception):
    """A request that cannot be followed, as JSON with an RFC 6749 style `error`."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.error = error
        self.description = description


def account_routes(context: Context, events: SecurityEvents) -> list[Route]:
    """`/account/sessions`, `/account/answers`, `/account/revoke`, `/account/reinstate`."""

    def sessions(account: Account, request: Request, _: bytes) -> dict[str, Any]:
        limit, before = _limit(request.query_params.get("limit")), request.query_params.get("before")
        try:
            with context.store.transaction(write=False) as connection:
                found = sessions_of(connection, account.sub, before=before, limit=limit + 1)
        except UnknownSession:
            raise AccountRefused(400, "invalid_request", "before names no session of yours") from None
        shown = []
        for session in found[-limit:]:
            # One at a time: a request that comes meanwhile waits for one of them, not for all.
            with context.store.transaction(write=False) as connection:
                shown.append(_describe(context, connection, session))
        return {"sessions": shown, "before": shown[0]["id"] if len(found) > limit else None}

    def answers(account: Account, _: Request, __: bytes) -> dict[str, Any]:
        with context.store.transaction(write=False) as connection:
            found = answers_of(connection, account.sub)
        return {"answers": [_describe_answer(one) for one in found]}

    def revoke(account: Account, _: Request, body: bytes) -> dict[str, Any]:
        kind, id = _target(body)
        now = context.now()
        with context.store.transaction() as connection:
            _check_theirs(context, connection, account, kind, id)
            if kind == "session":
                at = revoke_session(connection, id, kind="session", by=account.sub, now=now)
            else:
                at = revoke_agent_or_user(connection, kind, id, by=account.sub, now=now)
        return {"kind": kind, "id": id, "revoked_at": at}

    def reinstate(account: Account, _: Request, body: bytes) -> dict[str, Any]:
        kind, id = _target(body)
        with context.store.transaction() as connection:
            _check_theirs(context, connection, account, kind, id)
            if kind == "session":
                raise AccountRefused(409, "invalid_request", "a revoked session stays dead; log in again")
            lifted = reinstate_agent_or_user(connection, kind, id)
        return {"kind": kind, "id": id, "revoked_at": None, "lifted": lifted}

    def route(path: str, method: str, answer: Callable[[Account, Request, bytes], dict[str, Any]]) -> Route:
        def respond(request: Request, body: bytes) -> Response | dict[str, Any]:
            with _whole(context, method):
                return respond_to(request, body)

        def respond_to(request: Request, body: bytes) -> Response | dict[str, Any]:
            try:
                account = authenticate(context, request, audience=context.account_resource, scope=SCOPE)
                return answer(account, request, body)
            except TokenRefused as refusal:
                return refusal.response()
            except AccountRefused as refusal:
                content = {"error": refusal.error, "error_description": refusal.description}
                return JSONResponse(content, refusal.status, NO_STORE)

        async def endpoint(request: Request) -> Response:
            try:
                body = await read_body(request, LONGEST_BODY)
            except FormUnreadable:
                return JSONResponse({"error": "invalid_request", "error_description": "too long"}, 413, NO_STORE)
            answered = await run_in_threadpool(respond, request, body)
            if isinstance(answered, Response):
                return answered
            if answer is revoke:
                # It is answered when it holds everywhere; and how each resource server came to know is told.
                told = [one.to_dict() for one in await events.settle() if one.id == answered["id"]]
                answered["delivered"] = told
            return JSONResponse(answered, headers=NO_STORE)

        return Route(path, endpoint, methods=[method])

    return [
        route("/account/sessions", "GET", sessions),
        route("/account/answers", "GET", answers),
        route("/account/revoke", "POST", revoke),
        route("/account/reinstate", "POST", reinstate),
    ]


def _whole(context: Context, method: str) -> contextlib.AbstractContextManager[Any]:
    """What changes something does so in the transaction that has seen that its session holds. A reading does not keep
    everybody else waiting."""
    return context.store.transaction() if method == "POST" else contextlib.nullcontext()


def _describe(context: Context, connection: sqlite3.Connection, session: Session) -> dict[str, Any]:
    revoked = session_revocation(connection, session)
    client = find_client(context, session.client_id)
    return {
        "id": session.id,
        "consent": session.consent_id,
        "agent": session.agent_id,
        "client": session.client_id,
        "client_name": session.client_id if client is None else client.name,
        "scopes": list(session.scope),
        "created_at": session.created_at,
        "expires_at": lasts_until(connection, session, access_token_seconds=context.config.access_token_seconds),
        "revoked_at": None if revoked is None else revoked.at,
        "revoked_by_kind": None if revoked is None else revoked.kind,
        "spending_limit": session.spending_limit,
        "sub_agents": describe_sub_agents(connection, session),
    }


def _describe_answer(answer: HumanAnswer) -> dict[str, Any]:
    return {
        "said": answer.said,
        "client": answer.client_id,
        "client_name": answer.client_name,
        "agent": answer.agent_id,
        "scopes": list(answer.scope),
        "session": answer.session_id,
        "purchase": answer.purchase,
        "amount": answer.amount,
        "at": answer.at,
    }


def _limit(given: str | None) -> int:
    """How many sessions a page has."""
    if given is None:
        return PAGE
    if not (given.isascii() and given.isdigit() and 1 <= int(given[:9]) <= MOST_OF_A_PAGE):
        raise AccountRefused(400, "invalid_request", f"limit is a whole number from 1 to {MOST_OF_A_PAGE}")
    return int(given[:9])


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


def _check_theirs(context: Context, connection: sqlite3.Connection, account: Account, kind: Kind, id: str) -> None:
    """Refuse what does not exist and what is somebody else's in the same words: neither is theirs to know of."""
    owner: str | None
    if kind == "session":
        session = find_session(connection, id)
        owner = None if session is None else session.sub
    elif kind == "agent":
        owner = owner_of_agent(connection, id)
    else:
        user = context.account(id)
        owner = None if user is None else user.sub
    if owner is None or (owner != account.sub and not account.is_admin):
        raise AccountRefused(404, "not_found", f"you have no such {kind}")
