"""Who the human behind a token is, and what a token of another authorization server does not say of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deputize.errors import AuthorizationRefused, ServerUnreachable

if TYPE_CHECKING:
    from demo.client.agent import Agent
    from deputize.evidence import TokenView
    from deputize.tokens.stored import StoredToken

NO_NAME = "the consent has no openid, or no offline_access to ask with later: nothing here may read the human's name"


def has_name(token: StoredToken) -> bool:
    """Whether the bundled authorization server may be asked who the human is.

    It says so where `openid` was granted (OpenID Connect Core section 5.3), to a token made for its userinfo endpoint,
    which a refresh gets (RFC 8707 section 2.2).
    """
    return "openid" in token.scope and token.refresh_token is not None


def person_of(agent: Agent, token: StoredToken) -> dict[str, Any] | None:
    """Who the human is by the authorization server's word, None where it does not say."""
    try:
        return agent.userinfo(token)
    except (AuthorizationRefused, ServerUnreachable):
        return None


def username(info: dict[str, Any]) -> str:
    """A human's readable name."""
    return str(info.get("email") or info.get("preferred_username") or info.get("sub") or "")


def unreadable(view: TokenView) -> dict[str, str]:
    """What a token of another authorization server does not say of itself."""
    missing: dict[str, str] = {}
    if view.kind == "opaque":
        why = "the token is opaque: only its issuer can read it (RFC 7662)"
        missing = dict.fromkeys(("verified", "problems", "agrees"), why)
    if view.claim("act.sub") is None:
        missing["delegated"] = "its tokens name no agent beside the human (no act claim, RFC 8693)"
    if view.claim("client_id") is None:
        missing["consent_matches"] = "its tokens name no client (no client_id claim, RFC 9068)"
    return missing
