"""The step in which a human deputizes an agent: by a code on any device, or in a browser on this machine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from demo import panels
from demo.errors import AuthorityRefused, ServerUnreachable
from demo.evidence import Comparison, Money
from talk.cast import NotHere
from talk.playing.scene import Played, Scene
from talk.script import Step
from talk.stage.login import Granted, LoggingIn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from demo.client.agent import Agent
    from demo.client.tokens.stored import StoredToken
    from demo.evidence import TokenView


def login(step: Step, scene: Scene) -> Played:
    """Ask the human for authority, and let whoever answers decide on the authority's pages."""
    from demo.client.oauth.authorizer import LoginWay  # not before it is needed

    agent, house = scene.cast.agent(step.options["who"]), scene.cast.house
    if house is not None and not (step.options["ask"] and scene.stage.person):
        # Whether a person is here to say yes or no: at a stranger's authority nobody else can.
        raise NotHere("nobody can decide this login", why="no sample human signs in at this server's authority")
    asked = tuple(step.options["scopes"]) if house is None else house.scopes(step.options["scopes"])
    before = agent.stored()
    try:
        granted = LoggingIn(
            agent,
            scene.stage,
            human=scene.cast.human(step.options["account"]) if house is None else None,
            approve=step.options["decide"] == "approve",
            ask=step.options["ask"],
            spending=_spending(step, scene),
            shown="device" in step.show,
        ).by(LoginWay("device", "it is the talk's") if house is None else agent.login_way(), asked)
    except AuthorityRefused as refused:
        error = getattr(refused, "oauth_error", None)
        if error is None:
            raise
        if error == "unsupported" and house is not None:
            raise NotHere(refused.what, why=refused.why) from refused
        scene.stage.note(f"{refused.what}: {error}")
        return Played({"granted": False, "error": error})
    if before is not None and house is None:
        # The new consent replaces the old one: what is not needed any more is given back (RFC 7009). At a stranger's
        # authority that might end the whole grant, and the new token with it (section 2.1).
        agent.revoke(before)
        replaced = _is_gone(agent, before)
    played = _granted(agent, granted, asked, scene, limited=_spending(step, scene) is not None)
    if before is not None and house is None:
        played.observed["replaced"] = replaced
    elif before is not None:
        played.untold["replaced"] = "what becomes of an earlier consent is its authorization server's choice"
    if before is not None:
        more = _more(before.scope, played.observed["scopes"])
        played.panels["scopes"] = lambda: panels.comparison(more)
    return played


def _is_gone(agent: Agent, token: StoredToken) -> bool:
    """Whether neither half of a login that was given back is taken any more."""
    renewed = token.refresh_token is not None and agent.redeem(token, client_id=token.client_id)[0] == 200
    return not renewed and agent.call("listMcpShopInventory", {}, token=token).status == 401


def _more(before: Sequence[str], after: Sequence[str]) -> Comparison:
    """What the agent had and what it has now, scope by scope; what is new comes first."""
    new = [scope for scope in after if scope not in before]
    lost = [scope for scope in before if scope not in after]
    titles = {0: "The same scopes as before", 1: "It asked for one thing more, and a human said yes"}
    title = titles.get(len(new), f"It asked for {len(new)} things more, and a human said yes")
    rows = [(scope, "no", "yes: new") for scope in new]
    rows += [(scope, "yes", "yes") for scope in after if scope in before]
    rows += [(scope, "yes", "no") for scope in lost]
    gone = f"The new consent leaves out what it had: {', '.join(lost)}."
    return Comparison(
        title,
        tuple(rows),
        gone if lost else "The new consent holds both: what it had, and what was added." if new else "",
    )


def _granted(agent: Agent, granted: Granted, asked: tuple[str, ...], scene: Scene, *, limited: bool) -> Played:
    token = granted.token
    view = agent.view(token)
    scopes = sorted(view.scopes)
    limit = token.spending_limit
    observed: dict[str, Any] = {
        "granted": True,
        "scopes": scopes,
        "left_out": sorted(set(asked) - set(scopes)),
        "spending": limit.amount if limit else 0,
        "verified": view.signature is not None and not view.problems,
        "delegated": view.claim("act.sub") is not None,
        "consent_matches": granted.matches and view.claim("client_id") == agent.client_id,
    }
    played = Played(observed, {"token": lambda: panels.token(view, time.time())})
    ours = scene.cast.house is None
    person = agent.userinfo(token) if ours and tells_human(token) else None
    if person is not None:
        observed["human"] = username(person)
    elif ours:
        played.untold = {"human": NO_NAME}
    else:
        played.untold = _untold(view, asked, limited=limited)
    if view.kind == "jwt":
        chain = agent.chain(token, seen=view, person=person or ({} if ours else None))
        played.panels["chain"] = lambda: panels.chain(chain)
    else:
        # Who is in it cannot be seen: what can be known of it, and what not, is shown instead of a chain.
        played.panels["chain"] = played.panels["token"]
    return played


def _untold(view: TokenView, asked: tuple[str, ...], *, limited: bool) -> dict[str, str]:
    """What of a grant by a stranger's authority cannot be held against the talk's own."""
    names = " ".join(asked) or "none in particular"
    missing = {
        "human": "a person decided here, not the talk's sample human",
        "scopes": f"this server has scopes of its own: {names} was asked for",
        "left_out": f"this server has scopes of its own: {names} was asked for",
    }
    if not limited:
        missing["spending"] = "no spending limit was asked for: the authority's metadata knows of none (RFC 9396)"
    return missing | unreadable(view)


def unreadable(view: TokenView) -> dict[str, str]:
    """What a token of a stranger's authority does not say of itself."""
    missing: dict[str, str] = {}
    if view.kind == "opaque":
        why = "the token is opaque: only its issuer can read it (RFC 7662)"
        missing = dict.fromkeys(("verified", "problems", "agrees"), why)
    if view.claim("act.sub") is None:
        missing["delegated"] = "its tokens name no agent beside the human (no act claim, RFC 8693)"
    if view.claim("client_id") is None:
        missing["consent_matches"] = "its tokens name no client (no client_id claim, RFC 9068)"
    return missing


NO_NAME = "the consent has no openid, or no offline_access to ask with later: the human's name is nobody's to tell"


def tells_human(token: StoredToken) -> bool:
    """Whether the bundled authorization server may be asked who the human is.

    It tells where `openid` was granted (OpenID Connect Core section 5.3), to a token made for its userinfo endpoint,
    which a refresh gets (RFC 8707 section 2.2).
    """
    return "openid" in token.scope and token.refresh_token is not None


def person_of(agent: Agent, token: StoredToken) -> dict[str, Any] | None:
    """Who the human is by the authority's word, None where it does not say."""
    try:
        return agent.userinfo(token)
    except (AuthorityRefused, ServerUnreachable):
        return None


def username(info: dict[str, Any]) -> str:
    """A human's readable name."""
    return str(info.get("email") or info.get("preferred_username") or info.get("sub") or "")


def _spending(step: Step, scene: Scene) -> Money | None:
    """The limit to ask for. An authority that does not know such a detail must refuse it (RFC 9396 section 5)."""
    limit = step.options["spending"]
    if not limit:
        return None
    known = scene.cast.house is None or scene.cast.agent(step.options["who"]).limits_spending()
    return Money(limit) if known else None
