"""What is on record afterwards: the audit trail, verified or traced back, and the spans of a trace."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from demo.evidence.grants import SessionView
from demo.evidence.shop import Decision
from deputize.evidence import Money


@dataclass(frozen=True)
class TrailFinding:
    """One thing that is wrong with an audit log: what kind of thing, at which place, and what it is in words."""

    kind: Literal["edited", "missing", "moved", "inserted", "rewritten", "cut", "replaced", "unsigned", "key"]
    seq: int | None
    """The place in its log, from 1; None where it is about the log."""
    audit_id: str | None
    what: str


@dataclass(frozen=True)
class LogCheck:
    """One log of the audit trail, verified: each entry against its link, the links against signed checkpoints."""

    log: str
    user: str | None
    """Whose it is; None: of those whom nobody can be named for."""
    size: int
    entries: int
    """How many were read and hashed; less than `size` where old ones were pruned."""
    written_before: int
    """How many at its beginning were chained later than they were written."""
    link: str
    """The last link, in hexadecimal digits."""
    signed_at: float | None
    """Of the newest checkpoint whose signature is good; None: there is none."""
    key: str | None
    """The thumbprint of the key that signed it (RFC 7638)."""
    remembered: int | None
    """How long it was when this client verified it last; None: never."""
    findings: tuple[TrailFinding, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict with these field names."""
        return asdict(self)


@dataclass(frozen=True)
class ChangedByte:
    """One byte of a copy of an audit entry, changed, and what the same verification then says of the log."""

    seq: int
    audit_id: str
    name: str
    """The field in which it lies."""
    before: str
    after: str
    """The field's value before and after."""
    at: int
    of: int
    """Which byte of how many, from 1."""
    link: str
    """The link that the log has for the entry, in hexadecimal digits; and what its hash comes to now."""
    hashed: str
    findings: tuple[TrailFinding, ...]


@dataclass(frozen=True)
class Dispatched:
    """What the shop told the service behind it of an order, and by which transaction token.

    Args:
        state: `waiting`, `sent`, `cancelled`, or `unclear` where it may be on its way.
        txn: the transaction, where it was taken.
        why: why it waits, or will not be sent.
        until: when it is cancelled if it still waits, in POSIX seconds.
    """

    state: str
    txn: str | None
    why: str | None
    at: float
    until: float | None = None


@dataclass(frozen=True)
class OrderTrace:
    """One order, back to the human whose consent it was placed by, as audit trail and authorization server have it."""

    order: str
    decision: Decision
    """What the shop decided when it was placed; of the copies of an order that was asked for again, the first."""
    seq: int
    """Its place in its log."""
    verified: bool
    """Whether the whole log of that decision was verified, and nothing found."""
    session: SessionView | None
    """The session as the authorization server lists it; None where it lists none such."""
    software: str
    """What the agent's software calls itself; empty where nobody says."""
    dispatched: Dispatched | None = None
    """What was told behind the shop; None where nobody is told."""

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict with these field names."""
        return asdict(self)


@dataclass(frozen=True)
class TracedSpan:
    """One span of a trace (OpenTelemetry): what one service did, from when, for how long, and what called it."""

    trace: str
    id: str
    parent: str | None
    name: str
    service: str
    kind: str
    at: float
    seconds: float
    failed: bool = False
    attributes: tuple[tuple[str, str], ...] = ()

    def attribute(self, name: str) -> str | None:
        """One of its attributes, None where it has none such."""
        return next((value for known, value in self.attributes if known == name), None)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict with these field names."""
        return {**vars(self), "attributes": dict(self.attributes)}


@dataclass(frozen=True)
class TrailEvent:
    """One line of the whole trail: what the shop decided, what the human granted or denied, what an agent handed
    on, what was revoked."""

    at: float | None
    """None where it is not told."""
    kind: Literal["decision", "consent", "purchase", "delegation", "revocation", "dispatch"]
    """`purchase`: a human's answer to one purchase; whatever it was, their consent stays as it was. `delegation`: an
    agent handed a part of its consent on, to `agent`. `dispatch`: what became of an order behind the shop."""
    said: Literal[
        "allow", "deny", "granted", "approved", "denied", "delegated", "revoked", "sent", "cancelled", "unclear"
    ]
    told_by: Literal["shop", "authorization server"]
    what: str
    """The tool or method; of a consent or a delegation the scopes; of a revocation what was revoked; of a dispatch the
    order."""
    user: str | None = None
    username: str | None = None
    agent: str | None = None
    client: str | None = None
    client_name: str = ""
    agent_name: str = ""
    """What a sub-agent calls itself: its client is the one of the agent above it."""
    session: str | None = None
    consent: str | None = None
    scopes: tuple[str, ...] = ()
    spending_limit: Money | None = None
    decision: Decision | None = None
    """The entry of the shop's audit log, where it is one."""

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict with these field names; of an entry its audit id, since the entry stands beside it."""
        told = {**vars(self), "scopes": list(self.scopes), "audit_id": self.decision and self.decision.audit_id}
        told["spending_limit"] = None if self.spending_limit is None else asdict(self.spending_limit)
        del told["decision"]
        return told


@dataclass(frozen=True)
class LoggedOrder:
    """An order told to an audit log, and what the log has of it.

    `on_record` is how often the log has it as it was told, None where that could not be read back.
    """

    at: float
    order: str
    user: str | None
    agent: str | None
    consent: str | None
    on_record: int | None
