"""What a shop decides, sells and can do: decisions, limits, tools, orders; and one purchase that a human approves."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self

from deputize.evidence import Money

Verdict = Literal["allow", "deny"]
"""What a gate says."""


PURCHASE = "buyMcpShopItem"
"""The tool that buys."""
GATES = ("token", "standing", "allowlist", "scope", "limits")
"""The gates of the protected door, in the order in which a request passes them."""


@dataclass(frozen=True)
class Decision:
    """What the shop decided about one request, as one gate wrote it; the same fields stand in the audit trail.

    `user` is the human's `sub`; `agent` the agent instance (`act.sub`); `client` the agent's software
    (`client_id`). `arguments` is a digest, never the arguments themselves (they hold a postal address).
    """

    audit_id: str
    at: float
    verdict: Verdict
    gate: str
    """One of `GATES`; `door` where a door without gates let it through. Of an entry that is about no request: `event`
    where something was revoked, `dispatch` where an order was sent or will not be, `policy` of the shop's own."""
    rule: str
    """Which rule of that gate spoke, e.g. `token.missing`, `scope.insufficient`, `limits.quota`, `allowed`."""
    reason: str
    """One sentence that a person and a model both understand."""
    remedy: str | None = None
    """What would make it pass; None for an allow."""
    door: Literal["open", "protected"] = "protected"
    tool: str | None = None
    arguments: str | None = None
    user: str | None = None
    username: str | None = None
    """The human's readable name (RFC 7662 `username`), an email address here."""
    agent: str | None = None
    handed_on_by: str | None = None
    """The agents above a sub-agent, the nearest first, with spaces between; the last is the one that the human
    consented to. None of that one itself."""
    client: str | None = None
    session: str | None = None
    consent: str | None = None
    token_id: str | None = None
    order_id: str | None = None
    """The order that this call placed or found again, for a purchase that was allowed."""
    correlation: str | None = None
    """What the client calls the request, or the shop where the client does not; of an event its own id."""
    trace_id: str | None = None
    """The trace that the request is part of (W3C Trace Context), where the client says so."""

    @property
    def bought_nothing(self) -> bool:
        """Whether the gates let a purchase through, and no order came of it: sold out, say, or arguments that do not
        fit. The verdict of the gates is one thing, and what came of the call another."""
        return self.verdict == "allow" and self.tool == PURCHASE and self.order_id is None

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict with these field names; fields that are None are kept."""
        return dict(vars(self))  # made for each call: `asdict` would take ten times as long to copy what is flat

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> Self:
        """Read one back; unknown names are ignored, so that a newer server does not break an older agent.

        Raises:
            KeyError, TypeError: a required field is missing.
        """
        known = {f.name for f in fields(cls)}
        return cls(**{name: value for name, value in given.items() if name in known})


@dataclass(frozen=True)
class LimitUse:
    """How much of one limit is used. `unit` is "calls", "purchases" or a currency (then minor units)."""

    name: Literal["rate", "purchases", "spending"]
    used: int
    limit: int
    unit: str
    window: float | None = None
    """Length of the window in seconds; None where the limit lasts as long as the consent."""
    resets_at: float | None = None

    @property
    def left(self) -> int:
        """What is left, never below zero."""
        return max(0, self.limit - self.used)


@dataclass(frozen=True)
class Order:
    """An order as the shop tells it. `replayed` is True when an idempotency key found an earlier order again."""

    id: str
    item: str
    size: str
    company: str
    price: Money
    at: float
    user: str | None
    agent: str | None
    consent: str | None
    replayed: bool = False
    balance: Money | None = None
    """What is left of the spending limit that the human granted; None at the open door, where nobody granted any."""
    spending_limit: Money | None = None
    cancelled: bool = False
    """Whether it was cancelled before it was sent: nothing comes of it, and its money is counted back."""

    def to_dict(self) -> dict[str, Any]:
        """The order on the wire, where the limit is called `spendingLimit` (docs/wire.md)."""
        told = asdict(self)
        told["spendingLimit"] = told.pop("spending_limit")
        return told


@dataclass(frozen=True)
class ListedOrder:
    """An order in a list of them, with where it goes; an address that the shop keeps back is what it says instead."""

    order: Order
    address: str | None


@dataclass(frozen=True)
class Purchase:
    """One purchase that a human is asked to approve, or has approved (RFC 9396, type `shop_purchase`)."""

    item: str
    size: str
    company: str
    address: str
    price: Money
    agent: str
    """Who may make it: the agent instance."""
    approval: str | None = None
    """The id of the yes; None of what is only asked for."""
    until: float | None = None


@dataclass(frozen=True)
class GateExplained:
    """What one gate would say, and the line of the policy that it goes by.

    `key` is None where the policy has no say: the authorization server has, or the human who consented.
    """

    gate: str
    said: Literal["passed", "refused", "not asked"]
    key: str | None = None
    line: int | None = None
    text: str | None = None


@dataclass(frozen=True)
class Explanation:
    """What the shop's gates would say of a call, asked of the shop; nobody made the call.

    `scopes` is None where there is no grant to call with.
    """

    verdict: Verdict
    gate: str
    rule: str
    reason: str
    remedy: str | None
    user: str
    username: str | None
    agent: str | None
    client: str | None
    tool: str
    needs: str | None
    """The scope that the tool needs; None where there is no such tool."""
    scopes: tuple[str, ...] | None
    gates: tuple[GateExplained, ...]
    limits: tuple[LimitUse, ...]
    digest: str
    """Of the policy in force."""
    source: str
    """Where that was read: "shipped" or the name of a file in the state folder."""

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict with these field names."""
        return asdict(self)


@dataclass(frozen=True)
class Tool:
    """A tool as the server lists it; `scope` is what the shop's `_meta` says it needs, None where it does not say."""

    name: str
    description: str
    arguments: tuple[str, ...]
    scope: str | None = None


@dataclass(frozen=True)
class Capability:
    """One thing that a server or its authorization server can do, or cannot, and by which evidence.

    `request` and `response` are the telling exchange in short: method and URL; status and the header or field that
    settles it. Secrets are in neither.
    """

    standard: str
    """The document that defines it, e.g. "RFC 9728", "MCP 2026-07-28"."""
    what: str
    supported: bool | None
    """None where nothing that was asked settles it: unknown, never a guess."""
    request: str = ""
    response: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For `--json`: {standard, what, supported, evidence: {request, response}}."""
        return {
            "standard": self.standard,
            "what": self.what,
            "supported": self.supported,
            "evidence": {"request": self.request, "response": self.response},
        }
