"""What can be observed of one call, and whether decision and order say what was on the wire."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from demo import panels
from talk.playing.kind import NO_TABLE
from talk.playing.scene import Played, Scene

if TYPE_CHECKING:
    from demo.client.agent import Agent
    from demo.client.mcp.outcome import CallOutcome
    from demo.evidence.shop import Decision, Order
    from deputize.tokens.stored import StoredToken

LEFT: Mapping[str, str] = {"rate": "rate_left", "purchases": "purchases_left", "spending": "money_left"}
"""What is left of each limit, as `expect` calls it; money in cents."""

SAYS_NOT = "this server does not say what its gates decided (no demo/decision in its answer)"

CLOCK_SECONDS = 2.0
"""By how much a decision's date may miss the exchange that brought it, clocks that are known to differ aside."""

UNREAD = ("token.missing", "token.malformed", "token.signature")
"""Rules that refuse before anything in the token may be believed: such a decision names nobody."""

_CLAIMS: Mapping[str, tuple[str, ...]] = {
    "user": ("sub",),
    "agent": ("act", "sub"),
    "client": ("client_id",),
    "session": ("sid",),
    "consent": ("consent_id",),
    "token_id": ("jti",),
}
"""A decision's parts, each with the claim that it was read from (docs/wire.md; RFC 9068 section 2.2, RFC 8693 section
4.1)."""


def played_call(outcome: CallOutcome, scene: Scene, agent: Agent, decisions: list[Decision]) -> Played:
    """What a step gives that is about one call: everything observed of it, and each panel that it has evidence for."""
    played = Played(observe(outcome), status=outcome.status, decision=outcome.decision, decisions=decisions)
    if (other := scene.cast.other) is not None:
        played.unobservable = unobservable(outcome, played.observed, tells=other.seen.reports_decisions)
    if outcome.exchanges:
        played.panels["exchange"] = lambda: panels.exchange(outcome.exchanges[-1])
    if (challenged := outcome.challenge) is not None:
        played.panels["challenge"] = lambda: panels.challenge(challenged)
    if (decision := outcome.decision) is not None:
        played.panels["decision"] = lambda: panels.decision(decision, scene.names())
    if (order := outcome.order) is not None:
        played.panels["order"] = lambda: panels.order(order, scene.names())
        if order.user is not None:
            action = f"bought {order.item}, {order.price}"
            played.panels["chain"] = lambda: panels.chain(
                replace(agent.chain(agent.token(), action), names=scene.names())
            )
    if (orders := outcome.orders) is not None:
        played.panels["orders"] = lambda: panels.orders(orders, scene.names())
    if outcome.limits:
        # As of the decision: a step may have waited since.
        at = outcome.decision.at if outcome.decision else time.time()
        status = outcome.status if outcome.status == 429 else None
        played.panels["limits"] = lambda: panels.limits(outcome.limits, at, status)
    return played


def hold_against_the_wire(
    played: Played,
    outcome: CallOutcome,
    scene: Scene,
    *,
    sent: StoredToken | None,
    door: str = "protected",
    arguments: Mapping[str, Any] = NO_TABLE,
) -> None:
    """Note in which parts the call's decision and order say something else than the wire did."""
    if outcome.decision is not None:
        skew = scene.cast.agent().skew or 0.0
        played.observed["differs"] = differences(
            outcome, sent=sent, door=door, arguments=arguments, ours=scene.cast.server.ours, skew=skew
        )


def observe(outcome: CallOutcome) -> dict[str, Any]:
    """Everything that can be observed of one call; what the wire did not say is left out, never made up."""
    seen: dict[str, Any] = {"is_error": outcome.is_error, "order": outcome.order is not None}
    if outcome.status is not None:
        seen["status"] = outcome.status
    if (decision := outcome.decision) is not None:
        seen |= {"verdict": decision.verdict, "gate": decision.gate, "rule": decision.rule}
        seen["attributed"] = decision.user is not None
        header = outcome.exchanges[-1].header("Demo-Audit-Id") if outcome.exchanges else None
        seen["audited"] = header is not None and header == decision.audit_id
        seen["remedy"] = decision.remedy or ""
    if outcome.status is not None and outcome.status >= 400:
        seen["challenged"] = outcome.challenge is not None
    if (challenge := outcome.challenge) is not None:
        seen["resource_metadata"] = challenge.get("resource_metadata") is not None
        seen["names_error"] = challenge.get("error") is not None
        seen |= {name: value for name in ("error", "scope") if (value := challenge.get(name)) is not None}
    if (order := outcome.order) is not None:
        seen |= {"replayed": order.replayed, "price": order.price.amount}
        if order.balance is not None:
            seen["balance"] = order.balance.amount
    seen |= {LEFT[limit.name]: limit.left for limit in outcome.limits}
    return seen | _observe_answer(outcome.structured or {})


def _observe_answer(answer: Mapping[str, Any]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for name in ("items", "orders"):
        if isinstance(answer.get(name), list):
            seen["count"] = len(answer[name])
    if isinstance(answer.get("mode"), str):
        seen["mode"] = answer["mode"]
    return seen


def unobservable(outcome: CallOutcome, observed: dict[str, Any], *, tells: bool) -> dict[str, str]:
    """What of a call at another server cannot be observed; the verdict is then read from HTTP alone.

    What another server does not say is no failure; what it says, and says wrong, still is.

    Args:
        tells: whether the server has shown that it says what its gates decide: then it has to say it each time.
    """
    if tells:
        return {}
    missing: dict[str, str] = {}
    if outcome.decision is None:
        missing = dict.fromkeys(("gate", "rule", "attributed", "audited", "differs", "remedy"), SAYS_NOT)
        if outcome.status in (401, 403, 429):
            observed["verdict"] = "deny"
        elif outcome.allowed:
            observed["verdict"] = "allow"
    if outcome.challenge is not None and outcome.challenge.get("resource_metadata") is None:
        missing["resource_metadata"] = "its challenge names no resource_metadata (RFC 9728 section 5.1)"
    missing |= {
        name: "it does not say how much of its limits is left" for name in LEFT.values() if name not in observed
    }
    # RFC 6750 section 3.1 has no error code where no token came, as a recommendation only.
    missing["names_error"] = "whether a challenge names an error where no token came is each server's choice"
    if outcome.status != 401:  # there a challenge is a must (RFC 9110 section 15.5.2)
        missing["challenged"] = "whether it challenges where another token would help is its own choice"
    missing["price"] = "what it sells has a price of its own"
    if outcome.allowed:
        # An `order` or a `mode` of another form is that server's own, and no broken one of the shop's.
        for name, part in (("count", "items"), ("mode", "mode"), ("order", "order"), ("replayed", "order")):
            if name not in observed or (name == "order" and not observed[name]):
                missing[name] = f"its answer has no {part} in the shop's form"
        if "balance" not in observed:
            missing["balance"] = "no spending limit was agreed on here (RFC 9396)"
    return missing


def differences(
    outcome: CallOutcome,
    *,
    sent: StoredToken | None,
    door: str,
    arguments: Mapping[str, Any],
    ours: bool,
    skew: float = 0.0,
) -> list[str]:
    """In which parts the decision about a call, and the order it placed, say something else than the wire did.

    Args:
        sent: the token that went along, None where none did.
        door: which door was called.
        arguments: what was asked for.
        ours: whether the shop has the bundled authorization server, whose tokens name everything; elsewhere only what
            both the token and the decision name is compared.
        skew: the server's clock minus ours, in seconds.

    Returns:
        The names of the parts; `order.` before those of the order. Empty where there is no decision to compare.
    """
    decision = outcome.decision
    if decision is None:
        return []
    found = [] if _in_time(decision.at, outcome, skew) else ["at"]
    found += [] if decision.tool == outcome.tool else ["tool"]
    found += [] if decision.door == door else ["door"]
    claims = _claims(sent) if decision.rule not in UNREAD else {}
    for part in (*_CLAIMS, "handed_on_by"):
        claimed, said = claims.get(part), getattr(decision, part)
        if claimed != said and (ours or (claimed is not None and said is not None)):
            found.append(part)
    return found + (_order(outcome.order, decision, arguments) if outcome.order is not None else [])


def _in_time(at: float, outcome: CallOutcome, skew: float) -> bool:
    if not outcome.exchanges:
        return True
    exchange, room = outcome.exchanges[-1], CLOCK_SECONDS + abs(skew)
    return exchange.started_at - room <= at <= exchange.started_at + exchange.seconds + room


def _claims(sent: StoredToken | None) -> dict[str, str]:
    from deputize.tokens import claims
    from deputize.tokens.claim_meanings import above

    jwt = claims.take_apart(sent.access_token) if sent is not None else None
    found: dict[str, str] = {}
    for part, path in _CLAIMS.items():
        value: Any = jwt.claims if jwt is not None else None
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        if isinstance(value, str):
            found[part] = value
    if jwt is not None and (names := above(jwt.claims)):
        found["handed_on_by"] = " ".join(names)
    return found


def _order(order: Order, decision: Decision, arguments: Mapping[str, Any]) -> list[str]:
    pairs: list[tuple[str, object, object]] = [
        ("id", order.id, decision.order_id),
        ("user", order.user, decision.user),
        ("agent", order.agent, decision.agent),
    ]
    if not order.replayed:  # an order found again was placed earlier, and may be under an earlier consent
        pairs.append(("consent", order.consent, decision.consent))
        if abs(order.at - decision.at) > CLOCK_SECONDS:
            pairs.append(("at", order.at, decision.at))
    for name, asked in (("size", arguments.get("tshirtSize")), ("company", arguments.get("company"))):
        if asked is not None:
            pairs.append((name, getattr(order, name), asked))
    return [f"order.{name}" for name, said, wanted in pairs if said != wanted]
