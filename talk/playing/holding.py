"""Whether what a shop decided and sold is what was on the wire: decision and order, held against token and call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from demo.evidence import Decision, Order

if TYPE_CHECKING:
    from demo.client.mcp.outcome import CallOutcome
    from demo.client.tokens.stored import StoredToken

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
    told = _claims(sent) if decision.rule not in UNREAD else {}
    for part in _CLAIMS:
        claimed, said = told.get(part), getattr(decision, part)
        if claimed != said and (ours or (claimed is not None and said is not None)):
            found.append(part)
    return found + (_order(outcome.order, decision, arguments) if outcome.order is not None else [])


def _in_time(at: float, outcome: CallOutcome, skew: float) -> bool:
    if not outcome.exchanges:
        return True
    exchange, room = outcome.exchanges[-1], CLOCK_SECONDS + abs(skew)
    return exchange.started_at - room <= at <= exchange.started_at + exchange.seconds + room


def _claims(sent: StoredToken | None) -> dict[str, str]:
    from demo.client.tokens import claims

    jwt = claims.take_apart(sent.access_token) if sent is not None else None
    found: dict[str, str] = {}
    for part, path in _CLAIMS.items():
        value: Any = jwt.claims if jwt is not None else None
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        if isinstance(value, str):
            found[part] = value
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
