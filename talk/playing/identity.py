"""Steps about identity: login, whoami, rival."""

from __future__ import annotations

import time
from typing import Any

from demo import panels
from demo.errors import AuthorityRefused
from demo.evidence import Money
from talk.cast import NotHere
from talk.playing.scene import Played, Scene
from talk.script import Step

LOGIN_SECONDS = 300.0
"""How long a login waits for the human, at most; the authority's own expiry may come first."""
SHORT_LIVED_SECONDS = 15 * 60


def login(step: Step, scene: Scene) -> Played:
    """Ask the human for authority, and let whoever answers decide on the authority's pages."""
    who, account = step.options["who"], step.options["account"]
    agent = scene.cast.agent(who)
    human = scene.cast.human(account) if scene.cast.is_local else None
    spending = Money(step.options["spending"]) if step.options["spending"] else None
    if human is None and not (step.options["ask"] and scene.stage.person):
        raise NotHere("nobody can decide this login", why="no sample human signs in at this server's authority")
    asked = tuple(step.options["scopes"])
    pending = agent.start_login(asked, spending=spending)
    scene.stage.show("device", panels.device(pending.code, time.time())) if "device" in step.show else None
    approve = step.options["decide"] == "approve"
    before = agent.stored()
    decider = scene.stage.decider(
        pending.code, human, approve=approve, ask=step.options["ask"], shown="device" in step.show
    )
    try:
        with decider:
            token = agent.finish_login(pending, on_wait=decider.tick, give_up=decider.failed, timeout=LOGIN_SECONDS)
    except AuthorityRefused as refused:
        if decider.answer.error is not None:
            raise decider.answer.error from refused
        error = getattr(refused, "oauth_error", None)
        if error is None:
            raise
        scene.stage.note(f"{refused.what}: {error}")
        return Played({"granted": False, "error": error})
    if before is not None:
        # The new consent replaces the old one: what is not needed any more is given back (RFC 7009).
        agent.give_back(before)
    view = agent.view(token)
    chain = agent.chain(token)
    granted = sorted(view.scopes)
    observed: dict[str, Any] = {
        "granted": True,
        "scopes": granted,
        "left_out": sorted(set(asked) - set(granted)),
        "spending": chain.spending_limit.amount if chain.spending_limit else 0,
        "human": _username(agent.userinfo(token)),
        "verified": view.signature is not None and not view.problems,
        "delegated": view.claim("act.sub") is not None,
        "consent_matches": _consent_matches(view.claim("client_id") == agent.client_id, pending.code, decider, agent),
    }
    return Played(
        observed,
        {"token": lambda: panels.token(view, time.time()), "chain": lambda: panels.chain(chain)},
    )


def whoami(step: Step, scene: Scene) -> Played:
    """What the token says, checked, and whether the authority agrees."""
    agent = scene.cast.agent(step.options["who"])
    token = agent.token()
    view = agent.view(token)
    info = agent.userinfo(token)
    observed: dict[str, Any] = {
        "verified": view.signature is not None and not view.problems,
        "problems": len(view.problems),
        "human": _username(info),
        "delegated": view.claim("act.sub") is not None,
        "agrees": info.get("sub") is not None and info.get("sub") == view.claim("sub"),
        "scopes": sorted(view.scopes),
        "short_lived": view.expires_at is not None and 0 < view.expires_at - time.time() <= SHORT_LIVED_SECONDS,
    }
    return Played(
        observed,
        {
            "token": lambda: panels.token(view, time.time()),
            "chain": lambda: panels.chain(agent.chain(token)),
        },
    )


def rival(_: Step, scene: Scene) -> Played:
    """Another agent presents this agent's refresh token; nothing may come of it, and nothing may break."""
    agent = scene.cast.agent()
    stored = agent.token()
    agent.recorder.take()
    status, error = agent.redeem(stored, client_id="demo-rival")
    exchanges = agent.recorder.take()
    observed: dict[str, Any] = {"status": status, "error": error}
    try:
        agent.refresh()
        observed["unharmed"] = True
    except AuthorityRefused:
        observed["unharmed"] = False
    played = Played(observed, status=status)
    if exchanges:
        played.panels["exchange"] = lambda: panels.exchange(exchanges[-1])
    return played


def _username(info: dict[str, Any]) -> str:
    return str(info.get("email") or info.get("preferred_username") or info.get("sub") or "")


def _consent_matches(ours: bool, code: Any, decider: Any, agent: Any) -> bool:
    page = decider.answer.page
    if page is None:  # a person compared the code in a browser; the token's client is what can be checked here
        return ours
    return bool(ours and page.client_name == agent.name and page.user_code == code.user_code)
