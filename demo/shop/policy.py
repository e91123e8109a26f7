"""Deciding: every gate of the protected door as a pure function of plain facts.

A gate is a function from a `Case` to the verdict that it speaks, or None when it has no objection. `admit` and
`within_limits` ask the gates in their order and stop at the first that speaks. Nothing here does I/O.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final, Literal

from demo import access_tokens
from demo.evidence import LimitUse, Money, Verdict
from demo.shop.catalog import BUY, PRETTY_PLEASE

Fault = Literal["missing", "malformed", "signature"]
"""Why nothing that a token claims may be believed."""

LOGIN_AGAIN: Final = "Log in again, then call again."

SET_THE_CLOCKS: Final = "Set the clocks (NTP), get a new token, then call again."

SKEW_SECONDS: Final = 5.0
"""How far the authority's clock may be from ours before a refusal says so; `Date` is told in whole seconds."""


@dataclass(frozen=True)
class TokenFacts:
    """What the presented token says. Where `fault` is set nothing else is known.

    `spending_limit` is the consent's (RFC 9396), or None where the human consented to none.
    """

    fault: Fault | None = None
    detail: str = ""
    type: str = ""
    """As `demo.access_tokens.type_of` gives it."""
    issuer: str = ""
    audience: tuple[str, ...] = ()
    expires_at: float = 0.0
    not_before: float | None = None
    user: str | None = None
    agent: str | None = None
    client: str | None = None
    session: str | None = None
    consent: str | None = None
    organization: str | None = None
    """In which the human granted this, where the authorization server says so (`org_id`)."""
    token_id: str | None = None
    scopes: frozenset[str] = frozenset()
    spending_limit: Money | None = None

    @property
    def account(self) -> str:
        """What quota and money are counted by: the consent, or where an authority names none the session, or
        what a human and a client are to each other."""
        if self.consent:
            return f"consent:{self.consent}"
        return f"session:{self.session}" if self.session else f"grant:{self.user} {self.client}"

    @property
    def caller(self) -> str:
        """What the rate is counted by: the agent instance, or the client where the token names no agent."""
        return f"agent:{self.agent}" if self.agent else f"client:{self.user} {self.client}"


@dataclass(frozen=True)
class Standing:
    """What the authority (RFC 7662) and the shop's own ban list say about the authority that was granted, now."""

    known: bool
    """False when the authority could not be asked or did not answer as it must; `detail` says how."""
    active: bool = False
    revoked: Literal["session", "agent", "user", "token"] | None = None
    username: str | None = None
    name: str | None = None
    roles: tuple[str, ...] = ()
    banned: bool = False
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
    """In lower case: email addresses, user ids, `@DOMAIN`, `role:SLUG`, `members`."""
    leeway: float = 1.0
    aliases: frozenset[str] = frozenset()
    """Other names of the same resource."""
    token_types: frozenset[str] = frozenset()
    """The types of an access token; empty: those of the issuer's profile (`demo.access_tokens.accepted`)."""
    organization: str | None = None
    """Whose members `members` lets in; None where none is named."""


@dataclass(frozen=True)
class Case:
    """One request, with everything that is known about it. `standing` is None until the authority was asked."""

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
    """The authority's clock minus ours in seconds, as last heard; None where it was never. It changes words only."""
    reliance: Reliance | None = None
    """Since when `standing` is relied on; None where the authorization server was not asked."""


@dataclass(frozen=True)
class Usage:
    """How much of each limit was used before this call; `rate` counts this call already."""

    rate_ok: bool
    rate: LimitUse
    purchases: LimitUse
    spending: LimitUse | None
    """None where the human consented to no spending limit."""
    price: Money
    replay: bool = False
    """Whether the call's idempotency key has an order already: then it takes nothing from quota or balance."""


@dataclass(frozen=True)
class Ruling:
    """What a gate says, and in which words."""

    verdict: Verdict
    gate: str
    rule: str
    reason: str
    remedy: str | None = None


def deny(gate: str, rule: str, reason: str, remedy: str) -> Ruling:
    """A refusal by `gate`; `rule` without the gate's name before it."""
    return Ruling("deny", gate, f"{gate}.{rule}", reason, remedy)


def check_token(case: Case) -> Ruling | None:
    """Gate 1: a token, of ours, for us, in time, and an access token (RFC 6750, RFC 8707, RFC 9068 section 4)."""
    token, rules = case.token, case.rules
    if token.fault == "missing":
        return deny(
            "token", "missing", "No access token came with this call.", "Ask a human to log in and deputize this agent."
        )
    if token.fault is not None:
        return deny("token", token.fault, token.detail, LOGIN_AGAIN)
    if token.issuer != rules.issuer:
        return deny("token", "issuer", "The token's issuer is not the authority of this shop.", LOGIN_AGAIN)
    if not {rules.resource, *rules.aliases} & set(token.audience):
        meant = f"for {short(token.audience[0])}, not for this shop" if token.audience else "for nobody in particular"
        return deny("token", "audience", f"The token is {meant}.", "Get one for this shop (`resource`, RFC 8707).")
    if case.now >= token.expires_at + rules.leeway:
        ago = f"{case.now - token.expires_at:.0f} s ago"
        behind = max(0.0, -(case.skew or 0.0))
        if behind > SKEW_SECONDS and case.now - behind < token.expires_at:
            reason = f"The token expired {ago} here: the authority's clock is {behind:.0f} s behind."
            return deny("token", "expired", reason, SET_THE_CLOCKS)
        return deny("token", "expired", f"The token expired {ago}.", "Refresh it or log in again, then call again.")
    if token.not_before is not None and case.now + rules.leeway < token.not_before:
        return deny("token", "expired", "The token is not valid yet.", "Set the clock, or wait, then call again.")
    types = rules.token_types or access_tokens.accepted(token.issuer, token.session)
    if (why := access_tokens.objection(short(token.type), types)) is not None:
        return deny("token", "type", why, "Present the access token that came with it (RFC 6749 section 5.1).")
    return None


def check_standing(case: Case) -> Ruling | None:
    """Gate 2: is what the human granted still granted? Not to know is to refuse.

    The shop's own ban stops tools from being run. Listing them stays open: an agent must be able to find the one
    tool that lifts the ban."""
    standing, token = case.standing, case.token
    if standing is None or not standing.known:
        why = standing.detail if standing else "not asked"
        lasting = standing is not None and standing.lasting
        remedy = "Whoever runs this shop must mend its settings." if lasting else "Try again in a moment."
        return deny("standing", "unknown", f"The authority cannot be asked ({why}).", f"Nothing was done. {remedy}")
    if not standing.active:
        if standing.revoked is None and case.now >= token.expires_at:
            return deny("token", "expired", "The token expired just now.", "Refresh it or log in again.")
        ahead = max(0.0, case.skew or 0.0)
        if standing.revoked is None and ahead > SKEW_SECONDS and case.now + ahead >= token.expires_at:
            reason = f"The token has expired at the authority, whose clock is {ahead:.0f} s ahead."
            return deny("token", "expired", reason, SET_THE_CLOCKS)
        match standing.revoked:
            case "session":
                return deny("standing", "session", "The human took this session back.", LOGIN_AGAIN)
            case "agent":
                return deny(
                    "standing", "agent", "The human took this agent's authority back.", "Ask to have it reinstated."
                )
            case "user":
                return deny("standing", "user", "All of this user's agents were stopped.", "Have the user reinstated.")
            case _:
                return deny("standing", "token", "The authority says that this token no longer holds.", LOGIN_AGAIN)
    if standing.banned and case.method == "tools/call" and case.tool != PRETTY_PLEASE:
        return deny("standing", "banned", "This user is banned from the shop.", f"Call {PRETTY_PLEASE} and mean it.")
    return None


def check_allowlist(case: Case) -> Ruling | None:
    """Gate 3: is this human welcome here at all? By email address or the address's domain, by the authorization
    server's own id of the user, by a role, or as a member of the shop's organization."""
    token, rules = case.token, case.rules
    username = case.standing.username if case.standing else None
    # A name that somebody chose must not read as one of the entries that stand for many.
    names = [name for name in (username, token.user) if name and not _GROUP.match(name)]
    if (domain := _domain_of(username)) is not None:
        names.append(domain)
    # What a token says of another organization opens nothing here: anybody may be the admin of one of their own.
    if rules.organization is None or token.organization in (None, rules.organization):
        names += [f"role:{role}" for role in (case.standing.roles if case.standing else ())]
    if rules.organization is not None and token.organization == rules.organization:
        names.append("members")
    if any(name.lower() in rules.allowlist for name in names):
        return None
    who = short(username) if username else "A user without a name"
    return deny("allowlist", "user", f"{who} is not on this shop's allowlist.", "Ask the shop to be let in.")


_GROUP: Final = re.compile(r"@|role:|members$", re.IGNORECASE)


def _domain_of(address: str | None) -> str | None:
    """`@` and the domain of an email address; None where it is none, or has more than one `@` to read it by."""
    parts = (address or "").split("@")
    return f"@{parts[1]}" if len(parts) == 2 and all(parts) else None


def check_scope(case: Case) -> Ruling | None:
    """Gate 4: was this granted? RFC 6750 section 3.1, `insufficient_scope`."""
    if case.scope is None or case.scope in case.token.scopes:
        return None
    held = [scope for scope in sorted(case.token.scopes) if ":" in scope]
    holds = ", ".join(held) if held and len(held) <= 2 else "other scopes" if held else "no scope of this shop"
    what = case.tool or "this"
    return deny(
        "scope",
        "insufficient",
        f"This agent holds {holds}; {what} needs {case.scope}.",
        f"Ask the human for {case.scope} (step up), then call again.",
    )


def check_rate(case: Case, usage: Usage) -> Ruling | None:
    """Gate 5, first limit: how often an agent may call."""
    return None if usage.rate_ok else too_often(usage.rate, case.now)


def too_often(rate: LimitUse, now: float) -> Ruling:
    """The refusal of a call that is one too many, at either door."""
    wait = max(1, math.ceil((rate.resets_at or now) - now))
    return deny("limits", "rate", f"{rate.limit} calls in {rate.window:.0f} s are used up.", f"Wait {wait} s.")


def closed(resource: str) -> Ruling:
    """The open door's own refusal, where it is switched off; `resource` is the door that is left."""
    remedy = f"Log in, and call {resource} instead."
    return Ruling("deny", "door", "open.closed", "The open door is switched off.", remedy)


def check_quota(case: Case, usage: Usage) -> Ruling | None:
    """Gate 5, second limit: how many purchases one consent is good for."""
    if usage.replay or usage.purchases.left > 0:
        return None
    used = f"{usage.purchases.used} of {usage.purchases.limit} purchases of this consent are used."
    return deny("limits", "quota", used, "Ask the human for a new consent.")


def check_spending(case: Case, usage: Usage) -> Ruling | None:
    """Gate 5, third limit: how much money the human consented to."""
    if usage.replay:
        return None
    if usage.spending is None:
        reason = "The human consented to no spending limit."
        return deny("limits", "consent", reason, "Ask for one (`authorization_details`, RFC 9396).")
    if usage.spending.left < usage.price.amount:
        left = Money(usage.spending.left, usage.price.currency)
        reason = f"{left} is left of the human's limit; this costs {usage.price}."
        return deny("limits", "spending", reason, "Ask the human for a higher limit.")
    return None


def admit(case: Case) -> Ruling:
    """Gates 1 to 4 in their order; an allow means that only the limits are left to ask."""
    return (
        check_token(case)
        or check_standing(case)
        or check_allowlist(case)
        or check_scope(case)
        or Ruling("allow", "scope" if case.scope else "allowlist", "allowed", _allowed(case))
    )


def within_limits(case: Case, usage: Usage) -> Ruling:
    """Gate 5, for a call that `admit` let through: the rate for every tool, quota and money for a purchase."""
    ruling = check_rate(case, usage)
    if ruling is None and case.tool == BUY:
        ruling = check_quota(case, usage) or check_spending(case, usage)
    return ruling or Ruling("allow", "limits", "allowed", _allowed(case))


def decide(case: Case, usage: Usage) -> Ruling:
    """All five gates at once, for a tool call whose facts are all known."""
    ruling = admit(case)
    return ruling if ruling.verdict == "deny" else within_limits(case, usage)


def _allowed(case: Case) -> str:
    who = (case.standing.username if case.standing else None) or case.token.user or "a human"
    through = f" through {short(case.token.client)}" if case.token.client else ""
    return f"Every gate passed for {short(who)}{through}."


def short(value: str, length: int = 40) -> str:
    """A value that others chose, made fit for one line: cut in the middle, nothing unprintable."""
    clean = "".join(character if character.isprintable() else "?" for character in value)
    return clean if len(clean) <= length else f"{clean[: length // 2 - 1]}...{clean[-(length // 2 - 2) :]}"
