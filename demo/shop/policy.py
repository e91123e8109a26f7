"""Deciding: every gate of the protected door as a pure function of plain facts.

A gate is a function from a `Case` to the verdict that it speaks, or None when it has no objection. `admit` and
`within_limits` ask the gates in their order and stop at the first that speaks. Nothing here does I/O.
"""

from __future__ import annotations

import math
import re
import string
from dataclasses import dataclass
from typing import Final

from demo.evidence.shop import LimitUse, Verdict
from demo.shop.approval import Approval, fitting
from demo.shop.catalog import BUY, LIMITS, PRETTY_PLEASE, RULES, fill, say
from demo.shop.facts import Case, Usage
from deputize import access_tokens
from deputize.evidence import Money


@dataclass(frozen=True)
class Ruling:
    """What a gate says, and in which words."""

    verdict: Verdict
    gate: str
    rule: str
    reason: str
    remedy: str | None = None


def deny(rule: str, variant: str = "main", /, **values: object) -> Ruling:
    """A refusal by a rule of `shop.toml`, in the words of one of its variants."""
    reason, remedy = RULES[rule].words[variant]
    return Ruling("deny", RULES[rule].gate, rule, fill(reason, values), fill(remedy or "", values) or None)


def deny_caller(case: Case, rule: str, /, **values: object) -> Ruling:
    """The same in the words for who calls: a sub-agent cannot log in, and asks for no consent. What helps is that the
    agent above it hands on again (RFC 8693)."""
    below = len(case.token.chain) > 1 and "handed_on" in RULES[rule].words
    return deny(rule, "handed_on" if below else "main", **values)


def allow(rule: str, variant: str = "main", /, *, gate: str | None = None, **values: object) -> Ruling:
    """An allow by a rule of `shop.toml`, at a gate that is not the rule's own where one is named."""
    reason, _ = RULES[rule].words[variant]
    return Ruling("allow", gate or RULES[rule].gate, rule, fill(reason, values))


def check_token(case: Case) -> Ruling | None:
    """Gate 1: a token, of ours, for us, in time, an access token, and of who presents it (RFC 6750, RFC 8707, RFC 9068
    section 4, RFC 9449 section 7)."""
    token, rules = case.token, case.rules
    if token.fault is not None:
        return deny(f"token.{token.fault}", token.detail)
    if token.issuer != rules.issuer:
        return deny("token.issuer")
    if not {rules.resource, *rules.aliases} & set(token.audience):
        if not token.audience:
            return deny("token.audience", "nobody")
        return deny("token.audience", audience=short(token.audience[0]))
    if case.now >= token.expires_at + rules.leeway:
        seconds, behind = f"{case.now - token.expires_at:.0f}", -(case.skew or 0.0)
        if behind > LIMITS.skew_seconds and case.now - behind < token.expires_at:
            return deny("token.expired", "behind", seconds=seconds, skew=f"{behind:.0f}")
        return deny_caller(case, "token.expired", seconds=seconds)
    if token.not_before is not None and case.now + rules.leeway < token.not_before:
        return deny("token.expired", "not_yet")
    types = rules.token_types or access_tokens.accepted(token.issuer, token.session)
    if (why := access_tokens.objection(short(token.type), types)) is not None:
        return deny("token.type", objection=why)
    return deny(*case.unproved) if case.unproved is not None else None


def check_standing(case: Case) -> Ruling | None:
    """Gate 2: is what the human granted still granted? Not to know is to refuse.

    The shop's own ban stops tools from being run. Listing them stays open: an agent must be able to find the one
    tool that lifts the ban."""
    standing, token = case.standing, case.token
    if standing is None or not standing.known:
        trouble = standing.detail if standing else say("not_asked")
        return deny("standing.unknown", "lasting" if standing and standing.lasting else "main", trouble=trouble)
    if not standing.active:
        if standing.revoked is None and case.now >= token.expires_at:
            return deny("token.expired", "just_now")
        ahead = case.skew or 0.0
        if standing.revoked is None and ahead > LIMITS.skew_seconds and case.now + ahead >= token.expires_at:
            return deny("token.expired", "ahead", skew=f"{ahead:.0f}")
        return deny_caller(case, f"standing.{standing.revoked or 'token'}")
    if standing.banned and case.method == "tools/call" and case.tool != PRETTY_PLEASE:
        return deny_caller(case, "standing.banned")
    return None


def check_allowlist(case: Case) -> Ruling | None:
    """Gate 3: is this human welcome here at all? By email address or the address's domain, by the authorization
    server's own id of the user, by a role, or as a member of the shop's organization."""
    username = case.standing.username if case.standing else None
    if any(spelled(name) in case.rules.allowlist for name in names_of(case)):
        return None
    return deny("allowlist.user", user=short(username)) if username else deny("allowlist.user", "nameless")


def names_of(case: Case) -> list[str]:
    """What of an allowlist lets this human in, in any spelling: their own names, then those that stand for many."""
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
    return names


def spelled(name: str) -> str:
    """A name of an allowlist as it is compared: without the case of ASCII's letters. `str.lower` would make one address
    of two: the lower case of the Kelvin sign is "k"."""
    return name.translate(_LOWER)


_LOWER: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
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
    return deny_caller(case, "scope.insufficient", held=holds, tool=case.tool or "this", scope=case.scope)


def check_rate(case: Case, usage: Usage) -> Ruling | None:
    """Gate 5, first limit: how often an agent may call."""
    return None if usage.rate_ok else too_often(usage.rate, case.now)


def too_often(rate: LimitUse, now: float) -> Ruling:
    """The refusal of a call that is one too many, at either door."""
    wait = max(1, math.ceil((rate.resets_at or now) - now))
    return deny("limits.rate", limit=rate.limit, window=f"{rate.window:.0f}", seconds=wait)


def check_quota(case: Case, usage: Usage) -> Ruling | None:
    """Gate 5, second limit: how many purchases one consent is good for."""
    if usage.replay or usage.purchases.left > 0:
        return None
    return deny_caller(case, "limits.quota", used=usage.purchases.used, limit=usage.purchases.limit)


def check_spending(case: Case, usage: Usage) -> Ruling | None:
    """Gate 5, third limit: how much money the human consented to."""
    if usage.replay:
        return None
    if usage.spending is None:
        return deny_caller(case, "limits.consent")
    if usage.spending.left < usage.price.amount:
        left = Money(usage.spending.left, usage.price.currency)
        above = "above" if len(case.token.chain) > 1 else "main"
        return deny("limits.spending", "handed_on" if usage.own_limit else above, left=left, price=usage.price)
    return None


def check_approval(case: Case, usage: Usage) -> Ruling | None:
    """Gate 5, fourth limit: did a human approve this very purchase?"""
    if not needs_approval(case, usage) or approval_of(case, usage) is not None:
        return None
    fits = _approvals(case, usage)
    if case.token.approval is not None and not fits:
        return deny("limits.approval", "other")
    if fits:
        return deny("limits.approval", "used" if all(one.id in usage.used_approvals for one in fits) else "late")
    return deny("limits.approval", price=usage.price, above=Money(usage.approve_above or 0, usage.price.currency))


def needs_approval(case: Case, usage: Usage) -> bool:
    """Whether a human has to approve this very purchase: it costs more than the policy says; or its token was granted
    for one purchase, and is held to that at any price."""
    if usage.replay or usage.wanted is None:
        return False
    above = usage.approve_above
    return case.token.approval is not None or (above is not None and usage.price.amount > above)


def approval_of(case: Case, usage: Usage) -> Approval | None:
    """The approval that this purchase can be placed on; None where there is none that holds."""
    fits = _approvals(case, usage)
    return next((one for one in fits if one.id not in usage.used_approvals and case.now < one.until), None)


def _approvals(case: Case, usage: Usage) -> tuple[Approval, ...]:
    """What of the approvals that came with this call is a yes to this purchase. Beside a token that was granted for one
    purchase no other counts."""
    if usage.wanted is None:
        return ()
    own, told = case.token.approval, case.standing.approvals if case.standing else ()
    shop = {case.rules.resource, *case.rules.aliases}
    return fitting((own,) if own is not None else told, usage.wanted, case.token.agent, shop)


def admit(case: Case) -> Ruling:
    """Gates 1 to 4 in their order; an allow means that only the limits are left to ask."""
    return (
        check_token(case)
        or check_standing(case)
        or check_allowlist(case)
        or check_scope(case)
        or _allowed(case, "scope" if case.scope else "allowlist")
    )


def within_limits(case: Case, usage: Usage) -> Ruling:
    """Gate 5, for a call that `admit` let through: the rate for every tool, quota and money for a purchase."""
    ruling = check_rate(case, usage)
    if ruling is None and case.tool == BUY:
        ruling = check_quota(case, usage) or check_spending(case, usage) or check_approval(case, usage)
        if ruling is None and needs_approval(case, usage) and (yes := approval_of(case, usage)) is not None:
            return allow("allowed", "approved", gate="limits", user=_user(case), approval=short(yes.id))
    return ruling or _allowed(case, "limits")


def _user(case: Case) -> str:
    return short((case.standing.username if case.standing else None) or case.token.user or "a human")


def _allowed(case: Case, gate: str) -> Ruling:
    user = _user(case)
    if not case.token.client:
        return allow("allowed", gate=gate, user=user)
    return allow("allowed", "client", gate=gate, user=user, client=short(case.token.client))


def short(value: str, length: int = 40) -> str:
    """A value that others chose, made fit for one line: cut in the middle, nothing unprintable."""
    clean = value
    if not value.isprintable():
        clean = "".join(character if character.isprintable() else "?" for character in value)
    return clean if len(clean) <= length else f"{clean[: length // 2 - 1]}...{clean[-(length // 2 - 2) :]}"
