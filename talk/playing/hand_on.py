"""The step in which an agent hands a part of what it has on to a sub-agent, by token exchange (RFC 8693)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from demo import panels
from demo.evidence.screen import Comparison
from deputize.evidence import Money
from deputize.http.errors import OAuthRefused
from deputize.tokens import claims
from talk.playing.kind import AGENTS, SUB_AGENTS, Contradiction, Kind, Option, Step
from talk.playing.scene import Played, Scene

if TYPE_CHECKING:
    from deputize.tokens.stored import StoredToken


def hand_on(step: Step, scene: Scene) -> Played:
    """Exchange the agent's token for one of the sub-agent's, and read what came."""
    agent, to = scene.cast.agent(step.options["by"]), scene.cast.agent(step.options["who"])
    spending = Money(step.options["spending"]) if step.options["spending"] else None
    try:
        agent.hand_on(to.name, scopes=tuple(step.options["scopes"]), spending=spending, slot=to.slot)
    except OAuthRefused as refused:
        scene.stage.note(f"{refused.what}: {refused.oauth_error}")
        return Played({"granted": False, "error": refused.oauth_error})
    token, above = to.token(), agent.token()
    seen = to.view(token)
    said, had = _claims(token), _claims(above)
    observed: dict[str, Any] = {
        "granted": True,
        "scopes": sorted(token.scope),
        "kept_back": sorted(set(above.scope) - set(token.scope)),
        "spending": token.spending_limit.amount if token.spending_limit else 0,
        "verified": seen.signature is not None and not seen.problems,
        "same_human": said.get("sub") == had.get("sub"),
        "same_consent": said.get("consent_id") == had.get("consent_id"),
        "act_in_act": _of(said.get("act"), "act") == had.get("act") and _of(said.get("act"), "sub") is not None,
        "own_key": token.dpop_key is not None and token.dpop_key != above.dpop_key,
        "renews": token.refresh_token is not None,
        "outlives": token.expires_at > above.expires_at + 1.0,
    }
    less = _less(agent.name, to.name, above, token)
    played = Played(observed)
    root = _of(had.get("act"), "sub")
    human = token.human_address
    names = tuple(
        {**dict(scene.names()), str(root): agent.name, **({str(said.get("sub")): human} if human else {})}.items()
    )
    played.panels["chain"] = lambda: panels.chain(replace(to.chain(token, seen=seen), names=names))
    played.panels["handed"] = lambda: panels.comparison(less)
    return played


def _claims(token: StoredToken) -> Mapping[str, Any]:
    jwt = claims.take_apart(token.access_token)
    return jwt.claims if jwt is not None else {}


def _of(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _less(agent: str, to: str, above: StoredToken, below: StoredToken) -> Comparison:
    """What the agent has, and what of it the sub-agent has."""
    from demo.panels.values import clock  # it loads what draws, and a script is read without

    def end(token: StoredToken) -> str:
        return "can be renewed" if token.refresh_token else f"ends at {clock(token.expires_at)}"

    rows = [(scope, "yes", "yes" if scope in below.scope else "no") for scope in above.scope]
    rows.append(("may spend", str(above.spending_limit or "nothing"), str(below.spending_limit or "nothing")))
    rows.append(("life", end(above), end(below)))
    return Comparison(f"What {agent} has, and what it handed on to {to}", tuple(rows), "")


def _contradictions(given: Mapping[str, Any], step: Step) -> Iterator[Contradiction]:
    options = step.options
    if options["who"] == options["by"]:
        yield Contradiction(("by",), "what is handed on by who gets it", "name another agent, or leave by out")
    buys = "shop:buy" in options["scopes"]
    if buys is not bool(options["spending"]) and step.expect.get("granted") is not False:
        what = "shop:buy without spending" if buys else "spending without shop:buy"
        yield Contradiction(("scopes",), what, "hand on both, or none of the two")


HAND_ON = Kind(
    "hand-on",
    "An agent hands a part of what it has on to a sub-agent (RFC 8693); `spending` in cents, with `shop:buy`.",
    hand_on,
    {
        "who": Option(required=True, choices=SUB_AGENTS),
        "by": AGENTS,
        "scopes": Option(list, required=True),
        "spending": Option(int, default=0),
    },
    {
        "granted": bool,
        "error": str,
        "scopes": list,
        "kept_back": list,
        "spending": int,
        "verified": bool,
        "same_human": bool,
        "same_consent": bool,
        "act_in_act": bool,
        "own_key": bool,
        "renews": bool,
        "outlives": bool,
    },
    ("chain", "handed"),
    names={"scopes": "scope", "kept_back": "scope"},
    contradictions=_contradictions,
)
