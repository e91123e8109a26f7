"""Steps in which the agent calls the shop: tools, call, challenge, burst."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from demo import panels
from demo.errors import UsageError
from demo.evidence import AuthorityMetadata, Decision, ResourceMetadata
from talk.beat import PURCHASE
from talk.cast import NotHere
from talk.house import IDEMPOTENCY
from talk.playing.scene import RETRY_SECONDS, Played, Scene, observe, untold
from talk.script import Step

if TYPE_CHECKING:
    from demo.client.agent import Agent
    from demo.client.outcome import CallOutcome
    from demo.client.tokens import StoredToken

LONGEST_DEATH = 30.0
"""Seconds for which the room can wait for a token to expire."""
DEAD_MARGIN = 1.5
"""Seconds past `exp` after which no shop with a sane leeway still takes a token."""

FORGED = "audit:read"
"""The scope that a forger writes into a token."""


def tools(step: Step, scene: Scene) -> Played:
    """List a door's tools."""
    agent, token = _caller(step, scene)
    outcome = agent.tools(door=scene.cast.door(step.options["door"]), token=token)
    names = [tool.name for tool in outcome.tools]
    played = Played({"count": len(names), "names": names}, status=outcome.status)
    if outcome.status is not None:
        played.observed["status"] = outcome.status
    if scene.cast.house is not None and not scene.cast.house.seen.tells_decisions:
        played.untold = dict.fromkeys(("count", "names"), "the seven tools are the talk's shop's; these are its own")
    played.panels["tools"] = lambda: panels.tools(outcome.tools)
    if outcome.exchanges:
        played.panels["exchange"] = lambda: panels.exchange(outcome.exchanges[-1])
    return played


def call(step: Step, scene: Scene) -> Played:
    """Call a tool, with the token that the step names."""
    agent, token = _caller(step, scene)
    tool, arguments = _in_its_words(step, scene)
    door = scene.cast.door(step.options["door"])

    def made() -> CallOutcome:
        return agent.call(tool, arguments, door=door, token=token)

    outcomes = [made()] if step.expect.get("status") == 429 else scene.patiently(made)
    return _played(outcomes[-1], scene, agent, [one.decision for one in outcomes if one.decision is not None])


def _in_its_words(step: Step, scene: Scene) -> tuple[str, dict[str, Any]]:
    """The tool and its arguments as this server calls them, with an idempotency key where it takes one."""
    verb, arguments = step.options["tool"], dict(step.options.get("args", {}))
    door, house = step.options["door"], scene.cast.house
    stored = door == "protected" and step.options["who"] != "nobody"
    if verb == PURCHASE and (house is None or house.takes_key(verb, door, stored=stored)):
        arguments[IDEMPOTENCY] = scene.key(step.options.get("same_as", step.id))
    return scene.cast.tools.call(verb, arguments)


def challenge(step: Step, scene: Scene) -> Played:
    """Call without a token and follow the refusal to the authority."""
    agent = scene.cast.agent()
    tool = scene.cast.tools.name(step.options.get("tool", "listMcpShopInventory"))
    outcome = agent.call(tool, {}, token="none")
    found = outcome.challenge
    played = _played(outcome, scene, agent, [outcome.decision] if outcome.decision else [])
    if found is None:
        played.observed = {"status": outcome.status} if outcome.status is not None else {}
        return played
    found = agent.discover(found)
    resource, authority = found.resource, found.authority
    observed = {"scheme": found.scheme, "status": found.status}
    observed |= {name: value for name in ("error", "scope") if (value := found.get(name)) is not None}
    if resource is not None:
        observed["resource"] = resource.resource
    if authority is not None:
        observed["authority"] = authority.issuer
    trusted = resource is not None and authority is not None and resource.problem is None and authority.problem is None
    played.observed = observed | {
        "trusted": trusted,
        "device_flow": authority is not None and authority.device_authorization_endpoint is not None,
    }
    if scene.cast.house is not None and not scene.cast.house.seen.tells_decisions:
        played.untold = _undiscovered(resource, authority)
    played.panels["challenge"] = lambda: panels.challenge(found)
    return played


def _undiscovered(resource: ResourceMetadata | None, authority: AuthorityMetadata | None) -> dict[str, str]:
    """What a stranger's server publishes nothing of; what it publishes must hold."""
    missing: dict[str, str] = {}
    problem = (resource and resource.problem) or (authority and authority.problem)
    if resource is None and not problem:
        missing["trusted"] = missing["resource"] = "it publishes no protected resource metadata (RFC 9728)"
    if authority is None and not problem:
        missing["trusted"] = missing["authority"] = "no authorization server metadata can be found (RFC 8414)"
    if authority is None or authority.device_authorization_endpoint is None:
        other = authority.authorization_endpoint if authority is not None else None
        missing["device_flow"] = f"its authority offers a login in the browser: {other}" if other else "it offers none"
    return missing


def burst(step: Step, scene: Scene) -> Played:
    """Call until refused, wait as long as the refusal says, call once more."""
    agent = scene.cast.agent()
    tool = scene.cast.tools.name(step.options["tool"])
    outcomes = agent.burst(tool, {}, at_most=step.options["at_most"])
    last = outcomes[-1]
    played = _played(last, scene, agent, [outcome.decision for outcome in outcomes if outcome.decision is not None])
    played.observed["allowed"] = sum(1 for one in outcomes if one.decision and one.decision.verdict == "allow")
    played.observed["retry_after"] = last.retry_after is not None and last.retry_after > 0
    for limit in last.limits:
        if limit.name == "rate":
            played.observed["limit"] = limit.limit
    if last.status == 429:
        scene.wait("the rate limit, as Retry-After says", min(last.retry_after or 1.0, RETRY_SECONDS))
        again = agent.call(tool, {})
        played.observed["recovered"] = again.status == 200
        if again.decision is not None:
            played.decisions.append(again.decision)
    return played


def _caller(step: Step, scene: Scene) -> tuple[Agent, str | StoredToken]:
    who = step.options["who"]
    agent = scene.cast.agent(who)
    kind = step.options.get("token", "stored")
    if who == "nobody" or step.options.get("door") == "open":
        return agent, "none"
    if kind == "stored":
        return agent, "stored"
    if kind == "forged":
        held = agent.token()
        return agent, replace(held, access_token=_forged(held.access_token))
    if kind == "other-audience":
        userinfo = agent.authority().userinfo_endpoint
        if userinfo is None:
            raise UsageError("this authority has no userinfo endpoint to ask a token for", do="leave this step out")
        other = agent.refresh(resource=userinfo, keep=False)
        _differs(agent, other, scene)
        return agent, other
    short = agent.refresh(requested_expires_in=1, keep=False)
    left = short.expires_at - time.time()
    if scene.cast.house is not None and left > LONGEST_DEATH:
        raise NotHere(
            "a token that has expired cannot be had", why=f"this authority makes none for less than {left:.0f} s"
        )
    scene.wait("the token to expire", max(0.0, short.expires_at - time.time()) + DEAD_MARGIN)
    return agent, short


def _forged(token: str) -> str:
    """The same token with a claim that nobody signed: whoever does not look at the signature grants more (RFC 7515)."""
    head, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    claims["scope"] = f"{claims.get('scope', '')} {FORGED}".strip()
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{head}.{body}.{signature}"


def _differs(agent: Agent, other: StoredToken, scene: Scene) -> None:
    """A stranger's authority may make out a token for the same audience whatever it is asked for (RFC 8707)."""
    from demo.client import claims

    jwt, home = claims.take_apart(other.access_token), agent.token().resource
    audience = jwt.claims.get("aud") if jwt else None
    if scene.cast.house is not None and home in (audience if isinstance(audience, list) else [audience]):
        why = f"asked for another resource, this authority makes it out for {home} all the same (RFC 8707)"
        raise NotHere("a token for another audience cannot be had", why=why)


def _played(outcome: CallOutcome, scene: Scene, agent: Agent, decisions: list[Decision]) -> Played:
    played = Played(observe(outcome), status=outcome.status, decision=outcome.decision, decisions=decisions)
    if (house := scene.cast.house) is not None:
        played.untold = untold(outcome, played.observed, tells=house.seen.tells_decisions)
    if outcome.exchanges:
        played.panels["exchange"] = lambda: panels.exchange(outcome.exchanges[-1])
    if (challenged := outcome.challenge) is not None:
        played.panels["challenge"] = lambda: panels.challenge(challenged)
    if (decision := outcome.decision) is not None:
        played.panels["decision"] = lambda: panels.decision(decision)
    if (order := outcome.order) is not None:
        played.panels["order"] = lambda: panels.order(order)
        if order.user is not None:
            action = f"bought {order.item}, {order.price}"
            played.panels["chain"] = lambda: panels.chain(agent.chain(agent.token(), action))
    if outcome.limits:
        # As of the decision: a step may have waited since.
        at = outcome.decision.at if outcome.decision else time.time()
        played.panels["limits"] = lambda: panels.limits(outcome.limits, at)
    return played
