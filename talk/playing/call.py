"""Steps in which somebody lists or calls a door's tools: tools, call."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from demo import panels
from deputize.errors import UsageError
from talk.playing.kind import DOOR, NO_TABLE, PURCHASE, TOOL, WHO, Contradiction, Kind, Option, Past, Step
from talk.playing.observing import hold_against_the_wire, played_call
from talk.playing.other_server import IDEMPOTENCY, NotHere, OtherServer
from talk.playing.scene import Played, Scene

if TYPE_CHECKING:
    from demo.client.agent import Agent
    from demo.client.mcp.calling import Bearer
    from demo.client.mcp.outcome import CallOutcome, ToolsOutcome
    from deputize.tokens.stored import StoredToken

LONGEST_DEATH = 30.0
"""Seconds for which the room can wait for a token to expire."""

DEAD_MARGIN = 1.5
"""Seconds past `exp` after which no shop with a sane leeway still accepts a token."""

STOLEN = ("stolen", "stolen-with-own-key")
"""Another machine presents a copy of the token: as a bearer token, or by the scheme DPoP with a key of its own."""

APPROVAL = "limits.approval"
"""The rule that a beat has its own shop follow, by its policy (`policy`)."""

TOKENS = ("stored", "other-audience", "expired", "forged", "approved", *STOLEN)

APPROVED = "approved"
"""The slot of the token that a human's approval of one purchase gave."""

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
    if scene.cast.other is not None and not scene.cast.other.seen.reports_decisions:
        own = "the seven tools are the talk's shop's; these are its own"
        played.unobservable = dict.fromkeys(("count", "names", "scopes"), own)
        played.unobservable["revision"] = "which revision of MCP is spoken is what this server knows"
    played.panels["tools"] = lambda: panels.tools(outcome.tools)
    if outcome.exchanges:
        played.panels["exchange"] = lambda: panels.exchange(outcome.exchanges[-1])
    return played


def _last_headers(outcome: ToolsOutcome) -> tuple[tuple[str, str], ...]:
    return outcome.exchanges[-1].request_headers if outcome.exchanges else ()


def call(step: Step, scene: Scene) -> Played:
    """Call a tool, with the token that the step names."""
    agent, token = _caller(step, scene)
    tool, arguments = _in_its_words(step, scene)
    door = scene.cast.door(step.options["door"])

    def made() -> CallOutcome:
        return agent.call(tool, arguments, door=door, token=token)

    outcomes = [made()] if step.expect.get("status") == 429 else scene.with_retries(made)
    decisions = [one.decision for one in outcomes if one.decision is not None]
    played = played_call(outcomes[-1], scene, agent, decisions)
    hold_against_the_wire(played, outcomes[-1], scene, sent=_sent(agent, token), door=door, arguments=arguments)
    order, first = outcomes[-1].order, step.options.get("same_as")
    if order is not None and first is not None:
        earlier = first.rpartition("/")[2]
        found = [(one.decision or {}).get("order_id") for one in scene.seen() if one.id == earlier]
        played.observed["same_order"] = order.id in found
    return played


def _sent(agent: Agent, token: Bearer) -> StoredToken | None:
    """Which token went along with the last call; one that was renewed on the way is the stored one now."""
    if token == "stored":
        return agent.stored()
    from deputize.tokens.stored import StoredToken

    return token if isinstance(token, StoredToken) else None


def _in_its_words(step: Step, scene: Scene) -> tuple[str, dict[str, Any]]:
    """The tool and its arguments as this server calls them, with an idempotency key where it takes one."""
    verb, arguments = step.options["tool"], dict(step.options.get("args", {}))
    door, other = step.options["door"], scene.cast.other
    stored = door == "protected" and step.options["who"] != "nobody"
    if "but" in step.options:
        arguments |= step.options["but"]
    if verb == PURCHASE and (other is None or other.takes_key(verb, door, stored=stored)):
        arguments[IDEMPOTENCY] = scene.key(step.options.get("same_as", step.id))
    return scene.cast.tools.call(verb, arguments)


def _caller(step: Step, scene: Scene) -> tuple[Agent, Bearer]:
    who = step.options["who"]
    agent = scene.cast.agent(who)
    kind = step.options.get("token", "stored")
    if who == "nobody" or step.options.get("door") == "open":
        return agent, "none"
    if kind == "stored":
        return agent, "stored"
    if kind == "approved":
        return agent, approved_token(scene)
    if kind == "forged":
        held = agent.token()
        return agent, replace(held, access_token=_forged(held.access_token))
    if kind in STOLEN:
        return scene.cast.agent("thief"), _copied(agent.token(), key=kind == "stolen-with-own-key")
    before = agent.stored()
    if before is not None and before.refresh_token is None:
        why = "it is made by a refresh, and the consent has no offline_access"
        raise NotHere(f"no {kind} token can be had", why=why)
    if before is not None:
        scene.cast.spent[who] = (before, time.monotonic())
    if kind == "other-audience":
        userinfo = agent.authorization_server().userinfo_endpoint
        if userinfo is None:
            raise UsageError(
                "this authorization server has no userinfo endpoint to ask a token for", do="leave this step out"
            )
        other = agent.refresh(resource=userinfo, keep=False)
        _differs(agent, other, scene)
        return agent, other
    short = agent.refresh(requested_expires_in=1, keep=False)
    left = short.expires_at - time.time()
    if scene.cast.other is not None and left > LONGEST_DEATH:
        raise NotHere("a token that has expired cannot be had", why=f"its issuer makes none for less than {left:.0f} s")
    left = min(max(0.0, short.expires_at - time.time()), LONGEST_DEATH)  # whatever a clock does meanwhile
    scene.wait("the token to expire", left + DEAD_MARGIN)
    return agent, short


def approved_token(scene: Scene) -> StoredToken:
    """The token that a human's approval of one purchase gave (`approve`).

    Raises:
        NotHere: nobody approved one in this run.
    """
    held = scene.cast.server.store.get(APPROVED)
    if held is None:
        raise NotHere("there is no token for one purchase", why="nobody approved one")
    return held


def _copied(token: StoredToken, *, key: bool) -> StoredToken:
    """What a thief has of a token that was copied to another machine: the token, and not the key that it is bound to.

    Args:
        key: whether the thief proves a key of their own with it.
    """
    from deputize.oauth.dpop import ProofKey

    return replace(token, refresh_token=None, dpop_key=ProofKey.generate().to_json() if key else None)


def _forged(token: str) -> str:
    """The same token with a claim that nobody signed: a server that verifies nothing grants more (RFC 7515)."""
    head, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    claims["scope"] = f"{claims.get('scope', '')} {FORGED}".strip()
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{head}.{body}.{signature}"


def _differs(agent: Agent, other: StoredToken, scene: Scene) -> None:
    """Another authorization server may issue a token for the same audience whatever it is asked for (RFC 8707)."""
    from deputize.tokens import claims

    jwt, home = claims.take_apart(other.access_token), agent.token().resource
    audience = jwt.claims.get("aud") if jwt else None
    if scene.cast.other is not None and home in (audience if isinstance(audience, list) else [audience]):
        why = f"asked for another resource, its issuer makes it out for {home} all the same (RFC 8707)"
        raise NotHere("a token for another audience cannot be had", why=why)


def _cannot_list(step: Step, other: OtherServer, _: Past) -> str | None:
    return other.no_caller(step.options["who"]) or other.no_door(step.options["door"])


def _cannot_call(step: Step, other: OtherServer, past: Past) -> str | None:
    options = step.options
    door, verb, nobody = options["door"], options["tool"], options["who"] == "nobody"
    why = other.no_caller(step.options["who"]) or other.no_door(door) or _no_rule(step, other)
    if why is None and door == "protected" and not nobody:
        why = other.no_token()
    if why is not None:
        return why
    stored = door == "protected" and not nobody
    arguments = dict(options.get("args", {}))
    if (why := other.no_tool(verb, arguments, door, stored=stored)) is not None:
        return why
    buys = verb == PURCHASE and step.expect.get("status", 200) == 200
    if buys and ("same_as" in options or past.attempted) and not other.takes_key(verb, door, stored=stored):
        return f"asking twice would buy twice: its tool {other.names.name(verb)} takes no {IDEMPOTENCY}"
    return _no_special_token(step, other)


STANDARD = ("token.missing", "token.audience", "token.expired", "open.anonymous", "allowed")
"""Rules that any server behind OAuth, or without auth, may be expected to keep; the others are the shop's own."""


def _no_rule(step: Step, other: OtherServer) -> str | None:
    rule = step.expect.get("rule")
    if rule == APPROVAL:
        return "above which price a human is asked is for this server's operator to say"
    if rule == "scope.insufficient" and other.by_role:
        return "no scope can be missing here: what an agent may do is what its human's role permits"
    if rule is None or rule in STANDARD or other.seen.reports_decisions:
        return None
    return f"the rule {rule} is the shop's own, and this server does not say what its gates decide (no demo/decision)"


def _no_special_token(step: Step, other: OtherServer) -> str | None:
    kind = step.options["token"]
    if kind in ("stored", "approved"):
        return None
    from deputize.tokens import claims

    held = other.agent.stored()
    if kind == "forged":
        opaque = held is None or claims.take_apart(held.access_token) is None
        return "its tokens are opaque: there is no claim in them to forge" if opaque else None
    if kind in STOLEN:
        bound = held is not None and held.dpop_key is not None
        return None if bound else "its tokens are bound to no key (RFC 9449): a copy of one is as good as the token"
    if held is None or held.refresh_token is None:
        return "such a token is made by a refresh, and this authorization server gave no refresh token"
    if claims.take_apart(held.access_token) is None:
        return "its tokens are opaque: which audience and life another one has cannot be seen"
    auth_server = other.authorization_server()
    if kind == "other-audience" and not isinstance(auth_server, str) and auth_server.userinfo_endpoint is None:
        return f"there is no other resource to ask a token for: no userinfo_endpoint in {auth_server.url}"
    return None


def _contradictions(given: Mapping[str, Any], step: Step) -> Iterator[Contradiction]:
    token, door = step.options["token"], step.options["door"]
    if token != "stored" and (door == "open" or step.options["who"] == "nobody"):
        at = "at the open door" if door == "open" else "with who = 'nobody'"
        yield Contradiction(("token",), f"token = '{token}' {at}: no token goes along", "leave one of the two out")
    if "but" in given and "same_as" not in given:
        yield Contradiction(("but",), "but without same_as", "name the purchase that it departs from, or write args")


TOOLS = Kind(
    "tools",
    "List a door's tools.",
    tools,
    {"door": DOOR, "who": WHO},
    {"status": int, "count": int, "names": list, "scopes": list, "revision": str},
    ("tools", "exchange"),
    names={"names": "tool"},
    why_not=_cannot_list,
)
CALL = Kind(
    "call",
    "Call a tool. `same_as` names an earlier purchase step whose idempotency key and arguments it reuses, "
    "`but` the arguments in which it departs from it.",
    call,
    {
        "tool": TOOL,
        "args": Option(dict, default=NO_TABLE),
        "door": DOOR,
        "who": WHO,
        "token": Option(default="stored", choices=TOKENS),
        "same_as": Option(),
        "but": Option(dict),
    },
    {
        "status": int,
        "verdict": str,
        "gate": str,
        "rule": str,
        "error": str,
        "scope": str,
        "is_error": bool,
        "attributed": bool,
        "audited": bool,
        "order": bool,
        "replayed": bool,
        "same_order": bool,
        "price": int,
        "balance": int,
        "rate_left": int,
        "purchases_left": int,
        "money_left": int,
        "count": int,
        "mode": str,
        "remedy": str,
        "challenged": bool,
        "names_error": bool,
        "resource_metadata": bool,
        "differs": list,
    },
    ("exchange", "challenge", "decision", "order", "orders", "limits", "chain"),
    why_not=_cannot_call,
    contradictions=_contradictions,
)
"""`differs` lists the parts of the decision, and of the order, that say something else than the token and the call did
(`talk.playing.observing`); prices and what is left of a limit are in cents, calls or purchases."""
