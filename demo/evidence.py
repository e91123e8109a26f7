"""What crosses rooms of the demo: plain frozen dataclasses, each one a piece of evidence from the wire.

Nothing here does I/O. The agent fills these in from what it saw, the runner checks them, the panels draw them. What
OAuth itself has, requests, metadata, tokens and chains, is in `deputize.evidence`.

Units, everywhere: `at`, `expires_at`, `resets_at` and their like are POSIX seconds (float); durations are
seconds (float); money is an integer of minor units with an ISO 4217 currency.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Self

from deputize.evidence import Money

Verdict = Literal["allow", "deny"]
"""What a gate says."""

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
    """One of `GATES`; `door` where a door without gates let it through; `event` for an entry that is about no request:
    something was revoked."""
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
        state: `waiting`, `sent` or `refused`.
        txn: the transaction, where it was taken.
        why: why it waits or was refused.
    """

    state: str
    txn: str | None
    why: str | None
    at: float


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
class Answer:
    """What became of a request that a human was asked to approve."""

    human: str
    """Who answered, by name or address; who was asked, where nobody answered."""
    agent: str
    """Who asked, by name."""
    said: Literal["yes", "no", "nothing", "other"]
    """"nothing": nobody decided in time; "other": somebody decided who was not the one that was asked."""
    amount: Money | None = None
    """The spending limit that was granted; with a yes only."""
    scopes: tuple[str, ...] = ()
    """The scopes that were granted; with a yes only."""
    purchase: Purchase | None = None
    """The one purchase that was asked for; None where a grant was."""


@dataclass(frozen=True)
class SubAgentView:
    """A sub-agent, to which what a session grants was handed on; times in POSIX seconds."""

    id: str
    parent: str
    """The agent above it."""
    name: str
    """What it calls itself; nobody verified that."""
    scopes: tuple[str, ...]
    spending_limit: Money | None
    expires_at: float
    """When its last token ends."""
    revoked_at: float | None
    """Of what was revoked of it alone; None where only something above it was, or nothing."""


@dataclass(frozen=True)
class SessionView:
    """One session that a human's consent opened, as the authorization server lists it to that human."""

    id: str
    consent: str
    agent: str
    client: str
    client_name: str
    scopes: tuple[str, ...]
    created_at: float | None
    """POSIX seconds; None where the authority does not tell."""
    revoked_at: float | None
    spending_limit: Money | None = None
    expires_at: float | None = None
    """When it ends by itself; None where that was not told."""
    revoked_by_kind: str | None = None
    """What was revoked of it: `session`, `agent`, `user` or `token`; None where nothing was, or that was not told."""
    sub_agents: tuple[SubAgentView, ...] = ()
    """To whom it was handed on, the one above before those below it."""


@dataclass(frozen=True)
class AnswerView:
    """A human's answer to a request that opened no session, as the authorization server lists it to that human: no, or
    yes to one purchase."""

    said: Literal["denied", "approved"]
    client: str
    client_name: str
    agent: str
    scopes: tuple[str, ...]
    at: float
    session: str = ""
    """The grant in which a purchase was to be approved; empty where a grant was asked for."""
    amount: Money | None = None


@dataclass(frozen=True)
class TrailEvent:
    """One line of the whole trail: what the shop decided, what the human granted or denied, what was revoked."""

    at: float | None
    """None where it is not told."""
    kind: Literal["decision", "consent", "revocation"]
    said: Literal["allow", "deny", "granted", "approved", "denied", "revoked"]
    told_by: Literal["shop", "authorization server"]
    what: str
    """The tool or method; of a consent the scopes; of a revocation what was revoked."""
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
class UserView:
    """A human as WorkOS knows them, with the sessions and consents that stand there."""

    id: str
    email: str
    name: str
    signed_in_at: float | None
    """When they last signed in; None where they never did."""
    sessions: tuple[tuple[str, str], ...]
    """(id, what acts in it by the human's own console; empty where no agent does)"""
    consents: tuple[tuple[str, str, tuple[str, ...]], ...]
    """(id, software, scopes)"""
    asked: str
    """Whose API answered, by URL."""
    against: str
    """What it was held against, e.g. "the list at her own console"."""
    differences: tuple[str, ...] = ()
    """What the two do not agree on; empty where they agree."""


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


@dataclass(frozen=True)
class PermissionView:
    """One permission at each place that it must pass: wished by the agent, in the blueprint's ceiling, in the human's
    role, and in the token that was minted."""

    slug: str
    wished: bool
    ceiling: bool
    role: bool
    held: bool


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
class Delivery:
    """How one resource server came to know of a revocation before it was answered, as the authorization server says."""

    event: str
    """The event's `jti`."""
    resource: str
    acknowledged: bool
    """False: it answered nothing for as long as it may have relied on what it was told before."""
    seconds: float


@dataclass(frozen=True)
class Revocation:
    """Authority taken back: what was revoked, and the same call just before and just after."""

    kind: Literal["agent", "session", "user", "token"]
    id: str
    before: Decision | None
    after: Decision | None
    seconds: float
    """From the answer to the revocation to the refusal of the next call."""
    delivered: tuple[Delivery, ...] = ()


@dataclass(frozen=True)
class Link:
    """Something to take home: a URL, for text and QR code."""

    title: str
    url: str
    note: str = ""
    live: bool = True
    """False for something that this run did not do and only describes; the panel says so."""


@dataclass(frozen=True)
class BeatHeader:
    """The top of the screen while a beat plays. `of` is 0 for a beat that is in no running order; `recorded` says that
    what stands below was not played now: it is a take of another performance."""

    id: str
    title: str
    number: int
    of: int
    speaker: str
    minutes: float
    topics: tuple[str, ...] = field(default=())
    recorded: bool = False


@dataclass(frozen=True)
class Comparison:
    """The same facts before and after something happened, e.g. a restart of the server."""

    title: str
    rows: tuple[tuple[str, str, str], ...]
    """(what, before, after)"""
    conclusion: str = ""


@dataclass(frozen=True)
class Capability:
    """One thing that a server or its authority can do, or cannot, and by which evidence.

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


MadeBy = Literal["script", "recording", "model"]
"""Who decides in a model's place: lines that somebody wrote, a model's own of an earlier run, a model now."""


@dataclass(frozen=True)
class ModelBounds:
    """What one run of a model may take; what is used up ends the run, and the screen says so.

    `spending` is what the purchases of this run may come to, with none before a price is known; the shop holds the
    human's own limit whatever is here. None: that limit alone.
    """

    steps: int = 12
    """Answers of the model."""
    calls: int = 24
    """Calls of tools, those that came to nothing included."""
    tokens: int = 60_000
    """What the endpoint counts, of all requests and answers together."""
    seconds: float = 300.0
    """The whole run, without the time that a human takes to decide."""
    answer_seconds: float = 120.0
    """One answer of the model."""
    answer_bytes: int = 1_000_000
    """One answer of the model, as it arrives."""
    spending: Money | None = None


@dataclass(frozen=True)
class ModelTask:
    """What a human asked a model to do, and which model. Only a login that a run begins with comes before it."""

    prompt: str
    model: str
    """Its name, as `openai:gpt-4o-mini`, or the name of the script."""
    made_by: MadeBy
    where: str
    """Who reads what is asked and what the tools answer: the endpoint's origin; empty where nobody does."""
    server: str
    tools: tuple[str, ...]
    """Those that the model is told of."""
    bounds: ModelBounds


@dataclass(frozen=True)
class ModelWords:
    """What the model said, in its own words: a claim of the model's, and of nobody else's."""

    step: int
    text: str


@dataclass(frozen=True)
class ModelCall:
    """What the model decided to call, before anybody was asked.

    `arguments` is JSON, as the model wrote it; `problem` says why nothing was sent: no such tool, no JSON.
    """

    step: int
    tool: str
    arguments: str
    problem: str = ""


@dataclass(frozen=True)
class ModelRead:
    """What came of a call: what the server decided, and the text that the model was given to read.

    `status` and `decision` are None where nothing was sent.
    """

    step: int
    tool: str
    text: str
    status: int | None = None
    decision: Decision | None = None
    is_error: bool = False
    order: Order | None = None
    limits: tuple[LimitUse, ...] = ()


@dataclass(frozen=True)
class HumanAsked:
    """The server wanted a scope that the agent has not got, or a human's approval of this one call; a human was asked.

    `scopes` are the new ones; `approval` is what kind of approval it was (a type of RFC 9396), empty for none.
    """

    step: int
    scopes: tuple[str, ...]
    said: Literal["yes", "no", "nothing"]
    """"nothing": nobody decided, or nobody could be asked."""
    approval: str = ""


@dataclass(frozen=True)
class CallMade:
    """A call of a model with what came of it: None where that is not known yet; and the human who was asked for it."""

    call: ModelCall
    read: ModelRead | None = None
    asked: HumanAsked | None = None


@dataclass(frozen=True)
class ModelStep:
    """One answer of a model, with what came of its calls."""

    step: int
    model: str
    made_by: MadeBy
    words: str = ""
    calls: tuple[CallMade, ...] = ()


Ending = Literal[
    "done",
    "steps",
    "calls",
    "tokens",
    "seconds",
    "spending",
    "repeats",
    "mistakes",
    "human",
    "model",
    "server",
    "script",
]
"""Why a run of a model ended: it said that it is done; a bound; the same refused call again and again; calls that were
none; the human said no or was not there; the model's endpoint failed; the server did; a script has no line for this."""


@dataclass(frozen=True)
class ModelEnd:
    """How a run of a model ended, and what it took; the last event of a run."""

    reason: Ending
    why: str
    steps: int
    calls: int
    refused: int
    """How many of the calls a gate refused."""
    tokens_read: int
    tokens_written: int
    seconds: float
    spent: Money | None
    """What the purchases of this run came to; None where nothing was bought."""


ModelEvent = ModelTask | ModelWords | ModelCall | ModelRead | HumanAsked | ModelEnd
"""What happens in a run of a model, in its order."""


@dataclass(frozen=True)
class DrivenCall:
    """One call that a model decided on, and what became of it; `rule` is empty where nothing was decided."""

    tool: str
    arguments: str
    """JSON, as the model wrote it."""
    verdict: Verdict | None
    rule: str
    luring: bool = False
    """Whether it does what a text that the model had read told it to do."""


@dataclass(frozen=True)
class Driven:
    """One run of a model as a whole: what it was asked, what somebody else's text told it, what it tried."""

    prompt: str
    model: str
    """Its name; empty for a script."""
    made_by: MadeBy
    calls: tuple[DrivenCall, ...]
    orders: int
    ended: str
    said: str = ""
    """Its last words, which are a claim."""
    lure: str = ""
    """What somebody else wrote, as it stood in what the model read; empty where it read nothing of it."""
