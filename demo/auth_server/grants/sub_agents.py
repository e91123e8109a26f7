"""An agent hands on less than it has: an access token for a sub-agent, by token exchange (RFC 8693).

The agent presents its own token (`subject_token`), and says for whom: `actor_token` is a JWT that the sub-agent signs
with a key of its own. The new token is bound to that key (RFC 9449) and names both, `act` in `act`. It has no more
scopes, no more money and no longer life than the one that it was made from, and is for the same audience.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError, InvalidScopeError

from demo.proofs import ProofRefused, self_signed

from ..clients.metadata import clean_name
from ..context import Context
from ..requests import FormRequest
from ..state.accounts import ordered
from ..state.sessions import revocation_of
from ..state.sub_agents import MOST_AT_ONCE, TooManySubAgents, find_by_key
from ..state.sub_agents import hand_on as write_down
from .authorization_details import spending_details
from .money import BUY, InvalidAuthorizationDetailsError
from .purchases import SHOP_PURCHASE
from .resources import InvalidTargetError, shops
from .server import OAuthServer, lifetime
from .subject_token import ACCESS_TOKEN, SubjectToken
from .tokens import sign_access_token

JWT: Final = "urn:ietf:params:oauth:token-type:jwt"
"""The type of an actor token (section 3)."""
ACTOR_TYPE: Final = "actor+jwt"
"""Its `typ`: so that nothing else that this key signs, such as a proof, is taken for one (RFC 8725 section 3.11)."""
NOT_HANDED_ON: Final = frozenset({"openid", "offline_access"})
"""Who the human is, is told to whom they consented to; and nothing that was handed on outlives the token it was made
from."""


class TooFast(OAuth2Error):  # type: ignore[misc]  # Authlib ships no types
    """Too many exchanges in one session."""

    error = "temporarily_unavailable"
    status_code = 429

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many exchanges in this session: wait {seconds} seconds")
        self._seconds = seconds

    def get_headers(self) -> list[tuple[str, str]]:
        """Authlib's headers, and when to come again."""
        return [*super().get_headers(), ("Retry-After", str(self._seconds))]


@dataclass(frozen=True)
class Actor:
    """A sub-agent as it makes itself known: by the thumbprint of its key, and a name that nobody verified."""

    key: str
    name: str


def hand_on(server: OAuthServer, request: FormRequest, subject: SubjectToken) -> dict[str, Any]:
    """The token response for a sub-agent.

    Raises:
        InvalidRequestError: the subject token is not this client's, or nobody acts by it; it was handed on as often as
            may be; the actor token is missing or unfit; the sub-agent was revoked; or too many act already.
        InvalidScopeError: no scope is asked for, or one that the subject token does not have.
        InvalidTargetError: another audience than the subject token's (RFC 8707).
        InvalidAuthorizationDetailsError: more money than the subject token has, or none for who is to buy (RFC 9396).
        TooFast: too many exchanges.
    """
    context = server.context
    _check_subject(context, request, subject)
    if (wait := server.exchanges.hit(subject.session.id)) is not None:
        raise TooFast(wait)
    actor = read_actor(context, request)
    if actor.key == subject.key:
        raise InvalidRequestError("actor_token is signed with the key of subject_token: a sub-agent has its own")
    audience = _audience(context, request, subject)
    scope = _scope(server, request, subject)
    limit = _limit(context, request, subject, buys=BUY in scope)
    now, parent = context.now(), subject.through[0]
    seconds = min(int(subject.claims["exp"] - now), lifetime(context, request))
    if seconds < 1:
        raise InvalidRequestError("subject_token has expired")
    with context.store.transaction() as connection:
        known = find_by_key(connection, parent, actor.key)
        if known is not None and revocation_of(connection, "agent", known) is not None:
            raise InvalidRequestError("this sub-agent was revoked; have it reinstated, or use another key")
        try:
            id = write_down(
                connection,
                subject.session,
                parent=parent,
                key=actor.key,
                name=actor.name,
                scope=scope,
                spending_limit=None if limit is None else limit["limit"],
                expires_at=now + seconds,
                now=now,
            )
        except TooManySubAgents:
            raise InvalidRequestError(f"{MOST_AT_ONCE} sub-agents act in this session: wait, or revoke one") from None
    details = [] if limit is None else [{**limit, "spent_by": id}, *subject.limits]
    answer = {
        "access_token": sign_access_token(
            context,
            subject.session,
            audience=audience,
            scope=scope,
            seconds=seconds,
            key=actor.key,
            through=(id, *subject.through),
            details=details,
        ),
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "DPoP",
        "expires_in": seconds,
        "scope": " ".join(scope),
    }
    return answer | ({"authorization_details": details} if details else {})


def read_actor(context: Context, request: FormRequest) -> Actor:
    """Who is to act (section 2.1): a key, and what it says of itself. It needs no time: who it is gets not old, and
    an actor token that is found is of no use without the key.

    Raises:
        InvalidRequestError: there is none, or it is not signed with the key in its own header, for this server.
    """
    form = request.form
    if "actor_token" not in form or form.get("actor_token_type") != JWT:
        raise InvalidRequestError(f"actor_token, of actor_token_type {JWT}, is needed: it says who is to act")
    try:
        key, claims = self_signed(form["actor_token"], ACTOR_TYPE)
    except ProofRefused as refused:
        raise InvalidRequestError(f"actor_token is no {ACTOR_TYPE} signed with its own key ({refused})") from None
    if claims.get("aud") != context.issuer:
        raise InvalidRequestError(f"actor_token is not for this server: its aud is {context.issuer}")
    name = claims.get("name")
    return Actor(key, clean_name(name if isinstance(name, str) else ""))


def _check_subject(context: Context, request: FormRequest, subject: SubjectToken) -> None:
    """See that what this token grants may be handed on, and by who asks."""
    if subject.claims["client_id"] != request.client.client_id:
        raise InvalidRequestError("subject_token was issued to another client")
    if not subject.through:
        raise InvalidRequestError("subject_token is the human's own: no agent acts by it")
    if any(detail.get("type") == SHOP_PURCHASE for detail in subject.details):
        # It is for one purchase: one that was made from it would be for all that the consent allows.
        raise InvalidRequestError("subject_token is for one purchase that a human approved: that is not handed on")
    if len(subject.through) > context.config.delegation_depth:
        times = context.config.delegation_depth
        raise InvalidRequestError(
            f"subject_token cannot be handed on: that goes {times} deep, from who was consented to"
        )


def _audience(context: Context, request: FormRequest, subject: SubjectToken) -> str:
    audience = str(subject.claims["aud"])
    named = [*request.payload.datalist.get("resource", []), *request.payload.datalist.get("audience", [])]
    if context.canonical(audience) not in shops(context) or any(
        context.canonical(one) != context.canonical(audience) for one in named
    ):
        raise InvalidTargetError("what is handed on is for the resource of subject_token alone")
    return audience


def _scope(server: OAuthServer, request: FormRequest, subject: SubjectToken) -> tuple[str, ...]:
    asked = request.form.get("scope")
    if asked is None:
        raise InvalidScopeError("name the scopes that the sub-agent needs")
    server.validate_requested_scope(asked)
    wanted = set(asked.split())
    if not wanted or not wanted <= subject.scope - NOT_HANDED_ON:
        raise InvalidScopeError("only scopes of subject_token are handed on, and neither openid nor offline_access")
    return ordered(wanted)


def _limit(context: Context, request: FormRequest, subject: SubjectToken, *, buys: bool) -> dict[str, Any] | None:
    """What the sub-agent may spend, of what the agent above it may."""
    asked = spending_details(context, request.client, request.form.get("authorization_details"))
    if bool(asked) is not buys:
        raise InvalidAuthorizationDetailsError(f"{BUY} goes with a spending limit, and a limit with {BUY}")
    if not asked:
        return None
    (limit,) = asked
    above = subject.limits
    if not above or limit["limit"]["amount"] > min(one["limit"]["amount"] for one in above):
        raise InvalidAuthorizationDetailsError("the limit is above what subject_token may spend")
    if any(limit["locations"][0] not in map(context.canonical, one["locations"]) for one in above):
        raise InvalidAuthorizationDetailsError("locations is not one of those at which subject_token may spend")
    return limit
