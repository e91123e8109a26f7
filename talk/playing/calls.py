"""Steps in which the agent calls the shop: tools, call, challenge, burst, outage."""

from __future__ import annotations

import base64
import json
import math
import time
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from demo import panels
from demo.errors import UsageError
from demo.evidence import AuthorityMetadata, Decision, ResourceMetadata
from talk.beat import PURCHASE
from talk.cast import NotHere
from talk.house import IDEMPOTENCY
from talk.playing.holding import differences
from talk.playing.scene import RETRY_SECONDS, Played, Scene, observe, untold
from talk.script import Step

if TYPE_CHECKING:
    from demo.client.agent import Agent
    from demo.client.mcp.calling import Bearer
    from demo.client.mcp.outcome import CallOutcome, ToolsOutcome
    from demo.client.tokens.stored import StoredToken

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
    scopes = [f"{tool.name} {tool.scope}" for tool in outcome.tools if tool.scope is not None]
    played = Played({"count": len(names), "names": names, "scopes": scopes}, status=outcome.status)
    if outcome.status is not None:
        played.observed["status"] = outcome.status
    asked_in = next((value for key, value in _last_headers(outcome) if key.lower() == "mcp-protocol-version"), None)
    if asked_in is not None:
        played.observed["revision"] = asked_in
    if scene.cast.house is not None and not scene.cast.house.seen.tells_decisions:
        own = "the seven tools are the talk's shop's; these are its own"
        played.untold = dict.fromkeys(("count", "names", "scopes"), own)
        played.untold["revision"] = "which revision of MCP is spoken is what this server knows"
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
    decisions = [one.decision for one in outcomes if one.decision is not None]
    played = _played(outcomes[-1], scene, agent, decisions)
    _hold(played, outcomes[-1], scene, sent=_sent(agent, token), door=door, arguments=arguments)
    order, first = outcomes[-1].order, step.options.get("same_as")
    if order is not None and first is not None:
        earlier = first.rpartition("/")[2]
        found = [(one.decision or {}).get("order_id") for one in scene.seen() if one.id == earlier]
        played.observed["same_order"] = order.id in found
    return played


def _last_headers(outcome: ToolsOutcome) -> tuple[tuple[str, str], ...]:
    return outcome.exchanges[-1].request_headers if outcome.exchanges else ()


def _sent(agent: Agent, token: Bearer) -> StoredToken | None:
    """Which token went along with the last call; one that was renewed on the way is the stored one now."""
    if token == "stored":
        return agent.stored()
    from demo.client.tokens.stored import StoredToken

    return token if isinstance(token, StoredToken) else None


def _hold(
    played: Played,
    outcome: CallOutcome,
    scene: Scene,
    *,
    sent: StoredToken | None,
    door: str = "protected",
    arguments: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Note in which parts the call's decision and order say something else than the wire did."""
    if outcome.decision is not None:
        skew = scene.cast.agent().skew or 0.0
        played.observed["differs"] = differences(
            outcome, sent=sent, door=door, arguments=arguments, ours=scene.cast.ours, skew=skew
        )


def _in_its_words(step: Step, scene: Scene) -> tuple[str, dict[str, Any]]:
    """The tool and its arguments as this server calls them, with an idempotency key where it takes one."""
    verb, arguments = step.options["tool"], dict(step.options.get("args", {}))
    door, house = step.options["door"], scene.cast.house
    stored = door == "protected" and step.options["who"] != "nobody"
    if "but" in step.options:
        arguments |= step.options["but"]
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
    bursts, others = _until_refused(step, scene, agent, tool)
    outcomes = [outcome for one in bursts for outcome in one]
    last = outcomes[-1]
    played = _played(last, scene, agent, [outcome.decision for outcome in outcomes if outcome.decision is not None])
    played.observed["allowed"] = sum(1 for one in bursts[-1] if one.decision and one.decision.verdict == "allow")
    played.observed["retry_after"] = last.retry_after is not None and last.retry_after > 0
    if last.retry_after is not None:
        played.observed["wait"] = math.ceil(last.retry_after)
    for limit in last.limits:
        if limit.name == "rate":
            played.observed["limit"] = limit.limit
            if limit.window is not None:
                played.observed["window"] = round(limit.window)
    _hold(played, last, scene, sent=agent.stored())
    for option, observable in (("shares", "shared"), ("spares", "spared")):
        if (other := others.get(option)) is not None:
            refused = other.status == 429 and other.decision is not None and other.decision.rule == "limits.rate"
            played.observed[observable] = refused if option == "shares" else other.status == 200
    played.decisions += [other.decision for other in others.values() if other.decision is not None]
    if last.status == 429:
        scene.wait("the rate limit, as Retry-After says", min(last.retry_after or 1.0, RETRY_SECONDS))
        again = agent.call(tool, {})
        played.observed["recovered"] = again.status == 200
        if again.decision is not None:
            played.decisions.append(again.decision)
    return played


WINDOWS = 3
"""In so many windows of a rate limit a burst is tried: on a slow machine one may end before the others have called."""


def _until_refused(
    step: Step, scene: Scene, agent: Agent, tool: str
) -> tuple[list[tuple[CallOutcome, ...]], dict[str, CallOutcome]]:
    """Call until refused, and have the others of the step call within the same window: each burst, and theirs."""
    bursts: list[tuple[CallOutcome, ...]] = []
    others: dict[str, CallOutcome] = {}
    for _ in range(WINDOWS):
        bursts.append(agent.burst(tool, {}, at_most=step.options["at_most"]))
        last = bursts[-1][-1]
        ends = next((limit.resets_at for limit in last.limits if limit.name == "rate"), None)
        if last.status != 429:
            break
        for option in ("shares", "spares"):
            if option in step.options:
                others[option] = scene.cast.agent(step.options[option]).call(tool, {})
        if all(ends is None or one.decision is None or one.decision.at < ends for one in others.values()):
            break
    return bursts, others


def outage(step: Step, scene: Scene) -> Played:
    """Call while the authorization server gives the shop no answer, in each of two ways; then once more."""
    from demo.local_server.outage import drill

    scene.cast.only_beside_its_authorization_server()
    agent = scene.cast.agent()
    tool = scene.cast.tools.name(step.options["tool"])
    agent.token()  # what has to be renewed is renewed before: the agent's questions are not what is tried here
    outcomes: list[CallOutcome] = []
    for how in ("failing", "silent"):
        with drill(scene.cast.state, how):
            outcomes.append(agent.call(tool, {}, refresh=False))
    again = scene.patiently(lambda: agent.call(tool, {}))
    # Where only one of the two was refused, the other is what has to be seen.
    worst = next((one for one in outcomes if one.status != 503), outcomes[-1])
    decisions = [one.decision for one in (*outcomes, *again) if one.decision is not None]
    played = _played(worst, scene, agent, decisions)
    played.observed["retry_after"] = worst.retry_after is not None and worst.retry_after > 0
    played.observed["recovered"] = again[-1].status == 200
    _hold(played, worst, scene, sent=agent.stored())
    return played


def _caller(step: Step, scene: Scene) -> tuple[Agent, Bearer]:
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
    before = agent.stored()
    if before is not None and before.refresh_token is None:
        why = "it is made by a refresh, and the consent has no offline_access"
        raise NotHere(f"no {kind} token can be had", why=why)
    if before is not None:
        scene.cast.spent[who] = (before, time.time())
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
    from demo.client.tokens import claims

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
