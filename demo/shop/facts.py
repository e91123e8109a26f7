"""What is known about a request when the shop decides: its token, the standing of its grant, the shop's settings, and
how much of each limit is used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from demo.evidence.shop import LimitUse
from demo.proofs import Proof
from demo.shop.approval import Approval, Wanted
from deputize.evidence import Money

Fault = Literal["missing", "malformed", "signature"]
"""Why nothing that a token claims may be believed."""


@dataclass(frozen=True)
class TokenFacts:
    """What the presented token says. Where `fault` is set nothing else is known."""

    fault: Fault | None = None
    detail: str = "main"
    """Which variant of the rule `token.FAULT` it is."""
    type: str = ""
    """As `deputize.access_tokens.type_of` gives it."""
    issuer: str = ""
    audience: tuple[str, ...] = ()
    expires_at: float = 0.0
    not_before: float | None = None
    user: str | None = None
    chain: tuple[str, ...] = ()
    """The agents that act: who calls, then each above it that handed on what it had (RFC 8693 section 4.1); the last is
    the one that the human consented to."""
    client: str | None = None
    session: str | None = None
    consent: str | None = None
    organization: str | None = None
    """In which the human granted this, where the authorization server says so (`org_id`)."""
    token_id: str | None = None
    scopes: frozenset[str] = frozenset()
    spending_limits: tuple[tuple[str | None, Money], ...] = ()
    """What may be spent (RFC 9396), and by whom: one agent of the chain with all below it, or for None all that the
    consent is good for. Each of them holds. Empty where the human consented to no spending."""
    approval: Approval | None = None
    """The one purchase that it is for, and then for nothing else; None of a token for whatever the consent allows."""
    key: str | None = None
    """The thumbprint of the key that it is bound to (RFC 9449 section 6.1); empty where it is bound to something that
    cannot be read; None of a bearer token."""

    @property
    def agent(self) -> str | None:
        """The agent that calls; None where the token names none."""
        return self.chain[0] if self.chain else None

    @property
    def account(self) -> str:
        """What quota and money are counted by: the consent, or where the token names none the session, or
        what a human and a client are to each other."""
        if self.consent:
            return f"consent:{self.consent}"
        return f"session:{self.session}" if self.session else f"grant:{self.user} {self.client}"

    @property
    def caller(self) -> str:
        """Who calls: the agent instance, or the client where the token names no agent."""
        return self.callers[0]

    @property
    def callers(self) -> tuple[str, ...]:
        """Who calls, and each above it. The rate is counted by the last: who hands on is not the faster for it."""
        return tuple(f"agent:{agent}" for agent in self.chain) or (f"client:{self.user} {self.client}",)


@dataclass(frozen=True)
class Standing:
    """What the authorization server (RFC 7662) and the shop's own ban list say about what was granted, now."""

    known: bool
    """False when the authorization server could not be asked or did not answer as it must; `detail` says how."""
    active: bool = False
    revoked: Literal["session", "agent", "user", "token"] | None = None
    username: str | None = None
    name: str | None = None
    roles: tuple[str, ...] = ()
    banned: bool = False
    approvals: tuple[Approval, ...] = ()
    """Single purchases that the human approved within this grant, as introspection tells (RFC 9396 section 9.2)."""
    detail: str = ""
    lasting: bool = False
    """Where it is not known: whether asking again will not help, since the shop's settings are wrong."""


@dataclass(frozen=True)
class Reliance:
    """Since when an answer of the authorization server is relied on.

    Args:
        heard: the last security event that had come when it was asked.
        asked_at: seconds by the clock that no setting of the time of day moves; it goes on while a process is stopped.
    """

    heard: int
    asked_at: float


@dataclass(frozen=True)
class Rules:
    """The shop's own settings, as far as deciding needs them."""

    resource: str
    issuer: str
    allowlist: frozenset[str]
    """As `spelled` gives them: email addresses, user ids, `@DOMAIN`, `role:SLUG`, `members`."""
    leeway: float = 1.0
    aliases: frozenset[str] = frozenset()
    """Other names of the same resource."""
    token_types: frozenset[str] = frozenset()
    """The types of an access token; empty: those of the issuer's profile (`deputize.access_tokens.accepted`)."""
    organization: str | None = None
    """Whose members `members` lets in; None where none is named."""


@dataclass(frozen=True)
class Case:
    """One request, with everything that is known about it. `standing` is None until introspection has answered."""

    token: TokenFacts
    now: float
    rules: Rules
    method: str | None = None
    """The JSON-RPC method; None for a request without a JSON-RPC call in it."""
    tool: str | None = None
    scope: str | None = None
    """The scope that this request needs; None where it needs none of its own."""
    standing: Standing | None = None
    skew: float | None = None
    """The authorization server's clock minus ours in seconds; None where it is not known. It changes words only."""
    scheme: Literal["Bearer", "DPoP"] = "Bearer"
    """By which the token came."""
    proof: Proof | None = None
    """Of the key that the token is bound to; it holds, but whether it came before is not known yet."""
    unproved: tuple[str, str] | None = None
    """Rule and variant by which the token is not for who presented it; None where nothing speaks against that."""
    reliance: Reliance | None = None
    """Since when `standing` is relied on; None where the authorization server was not asked."""


@dataclass(frozen=True)
class Usage:
    """How much of each limit was used before this call; `rate` counts this call already."""

    rate_ok: bool
    rate: LimitUse
    purchases: LimitUse
    spending: LimitUse | None
    """None where the human consented to no spending limit; of several the one with the least left."""
    price: Money
    replay: bool = False
    """Whether the call's idempotency key has an order already: then it takes nothing from quota or balance."""
    own_limit: bool = False
    """Whether `spending` is what was handed on to the sub-agent that calls, and not that of who is above it."""
    wanted: Wanted | None = None
    """What would be bought; None where nothing would, since the arguments do not fit."""
    approve_above: int | None = None
    """The price above which a human approves each purchase; None where none has to be approved."""
    used_approvals: frozenset[str] = frozenset()
    """Of those that came with this call, the ids of those that an order was placed on."""
