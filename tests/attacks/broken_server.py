"""The local server with one rule broken on purpose: `broken_server.py BREAKAGE --state DIR --port N`.

Production code has no switch for any of this; the breakage is done here, from outside, before the server starts.
"""

from __future__ import annotations

import base64
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import demo.server
from demo.evidence import Money
from demo.shop import bearer, ledger, policy, standing, trail


def _without_token_rule(rule: str) -> Callable[[policy.Case], policy.Ruling | None]:
    honest = policy.check_token

    def broken(case: policy.Case) -> policy.Ruling | None:
        ruling = honest(case)
        return None if ruling is not None and ruling.rule == rule else ruling

    return broken


def accepts_no_token() -> None:
    """Whoever comes without a token is taken for Alice."""
    honest_read, honest_ask = bearer.read, standing.ask
    scopes = frozenset({"shop:read", "shop:buy", "orders:read"})

    async def read(token: str | None, authority: Any, *, resource: str, currency: str) -> policy.TokenFacts:
        if token is not None:
            return await honest_read(token, authority, resource=resource, currency=currency)
        issuer = resource.removesuffix("/mcp")
        alice = {"user": "user_alice", "agent": "agent_0", "client": "demo-agent", "scopes": scopes}
        known = {"type": "at+jwt", "issuer": issuer, "audience": (resource,), "expires_at": time.time() + 60}
        return policy.TokenFacts(**known, **alice, spending_limit=Money(6000))

    async def ask(authority: Any, credentials: Any, token: str, facts: policy.TokenFacts) -> policy.Standing:
        if token:
            return await honest_ask(authority, credentials, token, facts)
        return policy.Standing(known=True, active=True, username="alice@example.com")

    bearer.read, standing.ask = read, ask


def accepts_wrong_audience() -> None:
    policy.check_token = _without_token_rule("token.audience")


def accepts_forged_claims() -> None:
    """Nobody looks at the signature."""

    def unsigned(token: str, key: Any, algorithms: list[str]) -> SimpleNamespace:
        payload = token.split(".")[1]
        return SimpleNamespace(payload=base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))

    bearer.jws = SimpleNamespace(extract_compact=bearer.jws.extract_compact, deserialize_compact=unsigned)


def accepts_expired_token() -> None:
    policy.check_token = _without_token_rule("token.expired")
    honest = standing.judge

    def broken(answer: dict[str, Any], facts: policy.TokenFacts) -> policy.Standing:
        said = honest(answer, facts)
        return said if said.revoked or said.active else replace(said, active=True, username="alice@example.com")

    standing.judge = broken


def accepts_revoked_session() -> None:
    honest = standing.judge

    def broken(answer: dict[str, Any], facts: policy.TokenFacts) -> policy.Standing:
        said = honest(answer, facts)
        return replace(said, active=True, revoked=None, username="alice@example.com") if said.revoked else said

    standing.judge = broken


def accepts_missing_scope() -> None:
    policy.check_scope = lambda case: None


def accepts_banned_user() -> None:
    honest = policy.check_standing

    def broken(case: policy.Case) -> policy.Ruling | None:
        ruling = honest(case)
        return None if ruling is not None and ruling.rule == "standing.banned" else ruling

    policy.check_standing = broken


def accepts_anybody() -> None:
    policy.check_allowlist = lambda case: None


def no_rate_limit() -> None:
    policy.check_rate = lambda case, usage: None


def no_quota() -> None:
    policy.check_quota = lambda case, usage: None
    honest = ledger.place
    ledger.place = lambda connection, wanted: honest(connection, replace(wanted, quota=wanted.quota and 99))


def no_spending_limit() -> None:
    policy.check_spending = lambda case, usage: None
    honest = ledger.spent
    # Nothing is ever counted, so the balance never goes down.
    ledger.spent = lambda connection, account: replace(honest(connection, account), amount=0)


def buys_twice() -> None:
    honest = ledger.place
    ledger.place = lambda connection, wanted: honest(connection, replace(wanted, key=None))


def writes_no_audit_entry() -> None:
    honest = trail.record

    def broken(connection: Any, decision: Any) -> None:
        if decision.verdict == "allow":
            honest(connection, decision)

    trail.record = broken


def writes_another_consent() -> None:
    """The trail says of each decision what was decided, and not by whose consent."""
    honest = trail.record

    def broken(connection: Any, decision: Any) -> None:
        honest(connection, replace(decision, consent=decision.consent and "consent_0"))

    trail.record = broken
    honest_amend = trail.amend
    trail.amend = lambda connection, decision, /, **changes: honest_amend(
        connection, replace(decision, consent=decision.consent and "consent_0"), **changes
    )


def lets_a_rival_use_the_consent() -> None:
    from demo.authority.refresh import RefreshTokenGrant
    from demo.authority.refresh_tokens import find_refresh_token

    def broken(self: Any, refresh_token: str) -> Any:
        with self.server.authority.store.transaction() as connection:
            return find_refresh_token(connection, refresh_token)

    RefreshTokenGrant.authenticate_refresh_token = broken
    import demo.authority.refresh_tokens as tokens

    tokens.RefreshToken.check_client = lambda self, client: True  # type: ignore[method-assign]


def hides_the_limit_on_the_consent_page() -> None:
    """The human is not told how much the agent may spend."""
    consent: Any = import_module("demo.authority.pages.consent")  # the package has a function of that name
    honest = consent.page
    consent.page = lambda template, status, **given: honest(template, status, **given | {"limit": None})


def lists_no_sessions() -> None:
    from demo.authority import account

    account.delegated_sessions = lambda connection, sub: []


def workos_lists_no_sessions() -> None:
    """WorkOS's API knows the human and none of their sessions."""
    from demo.authority.workos import users

    users.sessions = lambda *_: []  # type: ignore[assignment]


def workos_keeps_a_consent_that_was_taken_back() -> None:
    """What the human ended is an authorized application all the same."""
    from demo.authority.workos import authorized_applications

    honest = authorized_applications.sessions
    authorized_applications.sessions = lambda *given: [replace(one, ended_at=None) for one in honest(*given)]


def workos_forgets_audit_events() -> None:
    """It takes each event, and exports the first only."""
    from demo.authority.workos import audit_exports

    honest = audit_exports.audit_events
    audit_exports.audit_events = lambda *given: honest(*given)[:1]


def workos_keeps_audit_events_twice() -> None:
    """It does not look at the idempotency key."""
    from demo.authority.workos import api

    honest = api._read

    async def broken(request: Any) -> Any:
        return replace(await honest(request), idempotency_key=None)

    api._read = broken


def workos_names_somebody_for_an_anonymous_order() -> None:
    from demo.authority.workos import audit_exports

    honest = audit_exports.audit_events
    alice = {"id": "user_alice", "type": "user"}
    audit_exports.audit_events = lambda *given: [event | {"actor": alice} for event in honest(*given)]


def workos_permits_beyond_the_ceiling() -> None:
    """The agent gets all that its human may, whatever its blueprint says."""
    from demo.authority.accounts import account_by_sub
    from demo.authority.workos.agents import tokens
    from demo.authority.workos.permissions import granted_to

    def broken(blueprint: dict[str, Any], sub: str | None) -> list[str]:
        account = account_by_sub(sub or "")
        return sorted(granted_to(account)) if account is not None else list(blueprint["permissions"])

    tokens.permitted = broken


def workos_permits_beyond_the_role() -> None:
    """The agent gets all of its blueprint, also what its human may not."""
    from demo.authority.workos.agents import tokens

    tokens.permitted = lambda blueprint, sub: list(blueprint["permissions"])


def workos_holds_a_revoked_agent_session_valid() -> None:
    from demo.authority.workos.agents import tokens

    tokens.check_live = lambda authority, connection, session: session


BREAKAGES: dict[str, Callable[[], None]] = {
    breakage.__name__: breakage
    for breakage in (
        accepts_no_token,
        accepts_wrong_audience,
        accepts_forged_claims,
        accepts_expired_token,
        accepts_revoked_session,
        accepts_missing_scope,
        accepts_banned_user,
        accepts_anybody,
        no_rate_limit,
        no_quota,
        no_spending_limit,
        buys_twice,
        writes_no_audit_entry,
        writes_another_consent,
        lets_a_rival_use_the_consent,
        hides_the_limit_on_the_consent_page,
        lists_no_sessions,
        workos_lists_no_sessions,
        workos_keeps_a_consent_that_was_taken_back,
        workos_forgets_audit_events,
        workos_keeps_audit_events_twice,
        workos_names_somebody_for_an_anonymous_order,
        workos_permits_beyond_the_ceiling,
        workos_permits_beyond_the_role,
        workos_holds_a_revoked_agent_session_valid,
    )
}

if __name__ == "__main__":
    BREAKAGES[sys.argv.pop(1)]()
    demo.server.main()
