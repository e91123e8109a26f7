"""The local server with one rule broken on purpose: `broken_server.py BREAKAGE --state DIR --port N`.

Production code has no switch for any of this; the breakage is done here, from outside, before the server starts.
"""

from __future__ import annotations

import base64
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from importlib import import_module
from inspect import isfunction
from types import SimpleNamespace
from typing import Any

from authlib.oauth2.rfc6749 import OAuth2Error

import demo.auth_server.grants.server
import demo.local_server.app
import demo.local_server.server
from demo.evidence.shop import Decision
from demo.shop import audit_log, bearer, catalog, introspection, ledger, policy, refusal
from demo.shop.facts import Case, Standing, TokenFacts
from demo.shop.gatehouse import Gatehouse
from demo.shop.rates import Rates
from deputize.evidence import Money


def _without_token_rule(rule: str) -> Callable[[Case], policy.Ruling | None]:
    honest = policy.check_token

    def broken(case: Case) -> policy.Ruling | None:
        ruling = honest(case)
        return None if ruling is not None and ruling.rule == rule else ruling

    return broken


def accepts_no_token() -> None:
    """Whoever comes without a token is taken for Alice."""
    honest_read, honest_ask = bearer.read, introspection.ask
    scopes = frozenset({"shop:read", "shop:buy", "orders:read"})

    async def read(token: str | None, auth_server: Any, *, resource: str, currency: str) -> TokenFacts:
        if token is not None:
            return await honest_read(token, auth_server, resource=resource, currency=currency)
        issuer = resource.removesuffix("/mcp")
        alice = {"user": "user_alice", "chain": ("agent_0",), "client": "demo-agent", "scopes": scopes}
        known = {"type": "at+jwt", "issuer": issuer, "audience": (resource,), "expires_at": time.time() + 60}
        return TokenFacts(**known, **alice, spending_limits=((None, Money(6000)),))

    async def ask(auth_server: Any, credentials: Any, token: str, facts: TokenFacts) -> Standing:
        if token:
            return await honest_ask(auth_server, credentials, token, facts)
        return Standing(known=True, active=True, username="alice@example.com")

    bearer.read, introspection.ask = read, ask


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
    honest = introspection.judge

    def broken(answer: dict[str, Any], facts: TokenFacts) -> Standing:
        said = honest(answer, facts)
        return said if said.revoked or said.active else replace(said, active=True, username="alice@example.com")

    introspection.judge = broken


def takes_a_bound_token_as_any_other() -> None:
    policy.check_token = _without_token_rule("token.bound")


def takes_a_proof_of_any_key() -> None:
    policy.check_token = _without_token_rule("token.proof")


def answers_a_proof_with_a_bearer_token() -> None:
    """The authorization server says that it takes part, and binds nothing."""
    demo.auth_server.grants.server.prove = lambda *_: None


def accepts_revoked_session() -> None:
    honest = introspection.judge

    def broken(answer: dict[str, Any], facts: TokenFacts) -> Standing:
        said = honest(answer, facts)
        return replace(said, active=True, revoked=None, username="alice@example.com") if said.revoked else said

    introspection.judge = broken


def accepts_missing_scope() -> None:
    policy.check_scope = lambda case: None


def accepts_banned_user() -> None:
    honest = policy.check_standing

    def broken(case: Case) -> policy.Ruling | None:
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
    ledger.spent = lambda *given: replace(honest(*given), amount=0)


def asks_for_no_approval() -> None:
    policy.check_approval = lambda case, usage: None
    _guard_no_approval()


def takes_an_approval_twice() -> None:
    ledger.used_approvals = lambda connection, ids: frozenset()
    _guard_no_approval()


def takes_an_approval_for_another_address() -> None:
    honest = policy.fitting

    def broken(approvals: Any, wanted: Any, agent: Any, shop: Any) -> Any:
        address = next((one.what.address for one in approvals if one.what is not None), wanted.address)
        return honest(approvals, replace(wanted, address=address), agent, shop)

    policy.fitting = broken


def _guard_no_approval() -> None:
    honest = ledger.place
    ledger.place = lambda connection, wanted: honest(connection, replace(wanted, to_be_approved=False))


def says_another_price_where_it_is_approved() -> None:
    import demo.auth_server.pages.purchase as page

    page.as_text = lambda amount: "5.00"


def buys_twice() -> None:
    honest = ledger.place
    ledger.place = lambda connection, wanted: honest(connection, replace(wanted, key=None))


def writes_no_audit_entry() -> None:
    honest = audit_log.record

    def broken(connection: Any, decision: Any) -> None:
        if decision.verdict == "allow":
            honest(connection, decision)

    audit_log.record = broken


def writes_another_consent() -> None:
    """The trail says of each decision what was decided, and not by whose consent."""
    honest = audit_log.record

    def broken(connection: Any, decision: Any) -> None:
        honest(connection, replace(decision, consent=decision.consent and "consent_0"))

    audit_log.record = broken


def lets_a_rival_use_the_consent() -> None:
    from demo.auth_server.grants.refresh import RefreshTokenGrant
    from demo.auth_server.state.credentials import find_refresh_token

    def broken(self: Any, refresh_token: str) -> Any:
        with self.server.context.store.transaction() as connection:
            return find_refresh_token(connection, refresh_token)

    RefreshTokenGrant.authenticate_refresh_token = broken
    import demo.auth_server.state.credentials as tokens

    tokens.RefreshToken.check_client = lambda self, client: True  # type: ignore[method-assign]


def hides_the_limit_on_the_consent_page() -> None:
    """The human is not told how much the agent may spend."""
    consent: Any = import_module("demo.auth_server.pages.consent")  # the package has a function of that name
    honest = consent.page
    consent.page = lambda template, status, **given: honest(template, status, **given | {"limit": None})


def lists_no_sessions() -> None:
    from demo.auth_server.endpoints import account

    account.sessions_of = lambda connection, sub, **_: ()


def workos_lists_no_sessions() -> None:
    """WorkOS's API knows the human and none of their sessions."""
    from demo.workos_emulator import users

    users.user_sessions = lambda *_: []  # type: ignore[assignment]


def workos_keeps_a_consent_that_was_taken_back() -> None:
    """What the human ended is an authorized application all the same."""
    from demo.workos_emulator import users

    users._consents = lambda *given: [
        replace(one, ended_at=None) for one in users.user_sessions(*given) if one.session.agent_id is not None
    ]


def workos_forgets_audit_events() -> None:
    """It takes each event, and exports the first only."""
    from demo.workos_emulator import audit_exports

    honest = audit_exports.audit_events
    audit_exports.audit_events = lambda *given: honest(*given)[:1]


def workos_keeps_audit_events_twice() -> None:
    """It does not look at the idempotency key."""
    from demo.workos_emulator import api

    honest = api._read

    async def broken(request: Any) -> Any:
        return replace(await honest(request), idempotency_key=None)

    api._read = broken


def workos_names_somebody_for_an_anonymous_order() -> None:
    from demo.workos_emulator import audit_exports

    honest = audit_exports.audit_events
    alice = {"id": "user_alice", "type": "user"}
    audit_exports.audit_events = lambda *given: [event | {"actor": alice} for event in honest(*given)]


def workos_permits_beyond_the_ceiling() -> None:
    """The agent gets all that its human may, whatever its blueprint says."""
    from demo.auth_server.state.accounts import account_by_sub
    from demo.workos_emulator import agent_tokens
    from demo.workos_emulator.organizations import granted_to

    def broken(blueprint: dict[str, Any], sub: str) -> list[str]:
        account = account_by_sub(sub)
        return sorted(granted_to(account)) if account is not None else list(blueprint["permissions"])

    agent_tokens._permitted = broken


def workos_permits_beyond_the_role() -> None:
    """The agent gets all of its blueprint, also what its human may not."""
    from demo.workos_emulator import agent_tokens

    agent_tokens._permitted = lambda blueprint, sub: list(blueprint["permissions"])


def workos_holds_a_revoked_agent_session_valid() -> None:
    from demo.workos_emulator import agent_tokens

    agent_tokens._check_live = lambda context, connection, session: None


def dates_decisions_an_hour_early() -> None:
    _changes_decisions(lambda decision: {"at": decision.at - 3600})


def names_another_agent() -> None:
    _changes_decisions(lambda decision: {"agent": decision.agent and "agent_0"})


def names_another_session() -> None:
    _changes_decisions(lambda decision: {"session": decision.session and "session_0"})


def names_another_token() -> None:
    _changes_decisions(lambda decision: {"token_id": decision.token_id and "token_0"})


def names_another_human() -> None:
    _changes_decisions(lambda decision: {"user": decision.user and "user_grace"})


def names_another_tool() -> None:
    _changes_decisions(lambda decision: {"tool": decision.tool and "listMcpShopInventory"})


def puts_the_address_on_record() -> None:
    """The arguments themselves stand in the trail, and not their digest."""
    from demo.shop.jsonrpc import Call

    Call.digest = property(lambda call: str(call.arguments) if call.is_tool_call else None)  # type: ignore[assignment]


def forgets_what_would_help() -> None:
    honest = policy.deny
    policy.deny = lambda *rule, **values: replace(honest(*rule, **values), remedy=None)


def _changes_decisions(change: Callable[[Decision], dict[str, Any]]) -> None:
    honest = Gatehouse.decision
    Gatehouse.decision = lambda *given, **more: replace(  # type: ignore[method-assign]
        honest(*given, **more), **change(honest(*given, **more))
    )


def writes_orders_under_another_consent() -> None:
    honest = ledger.place
    ledger.place = lambda connection, wanted: honest(
        connection, replace(wanted, consent=wanted.consent and "consent_0")
    )


def writes_orders_under_the_agents_first_consent() -> None:
    honest, first = ledger.place, {}  # type: ignore[var-annotated]

    def broken(connection: Any, wanted: ledger.Purchase) -> Any:
        return honest(connection, replace(wanted, consent=first.setdefault(wanted.agent, wanted.consent)))

    ledger.place = broken


def keeps_an_admins_text_to_itself() -> None:
    ledger.description = lambda connection, door: catalog.ITEM_DESCRIPTION


def adds_up_the_scopes_of_an_agents_sessions() -> None:
    honest, held = policy.check_scope, {}  # type: ignore[var-annotated]

    def broken(case: Case) -> policy.Ruling | None:
        scopes = held[case.token.agent] = held.get(case.token.agent, frozenset()) | case.token.scopes
        return honest(replace(case, token=replace(case.token, scopes=scopes)))

    policy.check_scope = broken


def writes_orders_for_another_agent() -> None:
    honest = ledger.place
    ledger.place = lambda connection, wanted: honest(connection, replace(wanted, agent=wanted.agent and "agent_0"))


def sends_another_size() -> None:
    honest = ledger.place
    ledger.place = lambda connection, wanted: honest(connection, replace(wanted, size="S"))


def charges_another_price() -> None:
    honest = ledger.place
    ledger.place = lambda connection, wanted: honest(connection, replace(wanted, price=Money(2400)))


def counts_money_and_does_not_enforce_it() -> None:
    policy.check_spending = lambda case, usage: None
    honest = ledger._guard

    def broken(connection: Any, wanted: ledger.Purchase) -> None:
        try:
            honest(connection, wanted)
        except ledger.PurchaseRefused as refused:
            if refused.fault != "limits.spending":
                raise

    ledger._guard = broken


def lets_a_banned_user_buy() -> None:
    _lifts_the_ban_for("buyMcpShopItem")


def lets_a_banned_user_see_orders() -> None:
    _lifts_the_ban_for("listMcpShopOrders")


def lets_a_banned_user_lift_the_ban() -> None:
    _lifts_the_ban_for("setDemoMode")


def _lifts_the_ban_for(tool: str) -> None:
    honest = policy.check_standing

    def broken(case: Case) -> policy.Ruling | None:
        ruling = honest(case)
        return None if ruling is not None and ruling.rule == "standing.banned" and case.tool == tool else ruling

    policy.check_standing = broken


def keeps_out_who_says_please() -> None:
    ledger.lift_ban = lambda connection, caller: True


def challenges_a_banned_user() -> None:
    catalog.RULES["standing.banned"] = replace(catalog.RULES["standing.banned"], challenge="invalid_token")


def counts_the_rate_for_each_session() -> None:
    TokenFacts.callers = property(lambda token: (f"session:{token.session}",))  # type: ignore[assignment]


def counts_one_rate_for_everybody() -> None:
    honest = Rates.hit
    Rates.hit = lambda self, connection, caller: honest(self, connection, "everybody")  # type: ignore[method-assign]
    honest_use = Rates.use
    Rates.use = lambda self, connection, caller: honest_use(self, connection, "everybody")  # type: ignore[method-assign]


def says_to_wait_a_minute() -> None:
    honest = refusal.refuse

    def broken(decision: Decision, **given: Any) -> refusal.Answer:
        answer = honest(decision, **given)
        headers = tuple((name, b"60" if name == b"retry-after" else value) for name, value in answer.headers)
        return replace(answer, headers=headers)

    refusal.refuse = broken  # type: ignore[assignment]


def tells_of_limits_that_nobody_has_used() -> None:
    from demo.shop import admission

    honest = admission.limits_of
    admission.limits_of = lambda usage: tuple(replace(limit, used=0) for limit in honest(usage))


def waves_through_when_nobody_answers() -> None:
    """The authorization server cannot be asked, and the shop goes by the token alone."""
    _waves_through(lambda said: "no connection" in said.detail or "in time" in said.detail)


def waves_through_when_the_answer_is_an_error() -> None:
    _waves_through(lambda said: "makes no sense" in said.detail)


def _waves_through(when: Callable[[Standing], bool]) -> None:
    honest = introspection.ask

    async def broken(*given: Any) -> Standing:
        said = await honest(*given)
        trusting = replace(said, known=True, active=True, username="alice@example.com")
        return trusting if not said.known and when(said) else said

    introspection.ask = broken  # type: ignore[assignment]


def remembers_standing_for_a_while() -> None:
    """It asks about each token once, and believes that from then on."""
    honest, known = introspection.ask, dict[str, Standing]()

    async def broken(auth_server: Any, credentials: Any, token: str, facts: TokenFacts) -> Standing:
        if token not in known:
            known[token] = await honest(auth_server, credentials, token, facts)
        return known[token]

    introspection.ask = broken


def shows_everybodys_trail() -> None:
    honest = audit_log.entries
    audit_log.entries = lambda connection, **given: honest(connection, **given | {"everybody": True})


def takes_a_key_for_other_arguments() -> None:
    honest = ledger.find_replay
    wanted_arguments: list[str] = []

    def find(connection: Any, caller: str, key: str | None) -> tuple[str, str] | None:
        found = honest(connection, caller, key)
        return None if found is None else (found[0], wanted_arguments[-1] if wanted_arguments else found[1])

    honest_place = ledger.place

    def place(connection: Any, wanted: ledger.Purchase) -> Any:
        wanted_arguments.append(wanted.arguments)
        return honest_place(connection, wanted)

    ledger.find_replay, ledger.place = find, place


def buys_twice_and_says_that_it_did_not() -> None:
    honest = ledger.place
    first: list[Any] = []

    def broken(connection: Any, wanted: ledger.Purchase) -> Any:
        order = honest(connection, replace(wanted, key=None))
        first.append(order)
        return order if wanted.key is None or len(first) == 1 else replace(first[0], id=order.id, replayed=True)

    ledger.place = broken


def leaves_the_order_out_of_the_decision() -> None:
    honest = Gatehouse.decision
    Gatehouse.decision = lambda self, *given, **more: honest(  # type: ignore[method-assign]
        self, *given, **{**more, "order_id": None}
    )


def lists_a_scope_that_is_not_asked_for() -> None:
    """Whoever may read may buy; the list of tools says otherwise."""
    honest = Gatehouse.open_case

    async def broken(self: Gatehouse, token: Any, *, tool: str | None, scope: str | None, **more: Any) -> Case:
        return await honest(self, token, tool=tool, scope="shop:read" if tool == catalog.BUY else scope, **more)

    Gatehouse.open_case = broken  # type: ignore[method-assign]


def lists_no_scope_of_what_spends_money() -> None:
    honest = catalog.Tool.listed
    catalog.Tool.listed = lambda self, scope: honest(  # type: ignore[method-assign]
        self, "shop:read" if self.name == catalog.BUY else scope
    )


def names_an_error_where_no_token_came() -> None:
    honest = refusal.challenges_of

    def broken(decision: Decision, **given: Any) -> tuple[str, ...]:
        rule = "token.malformed" if decision.rule == "token.missing" else decision.rule
        return honest(replace(decision, rule=rule), **given)

    refusal.challenges_of = broken  # type: ignore[assignment]


def answers_without_the_audit_id() -> None:
    refusal.AUDIT_HEADER = b"x-audit"  # type: ignore[misc]


def knows_the_anonymous() -> None:
    """The open door, where nobody is asked, names somebody."""
    honest = Gatehouse.decision

    def named(self: Gatehouse, *given: Any, door: Any = "protected", **more: Any) -> Decision:
        made = honest(self, *given, door=door, **more)
        return made if door == "protected" else replace(made, user="user_alice")

    Gatehouse.decision = named  # type: ignore[method-assign]


def takes_a_refresh_token_twice() -> None:
    from demo.auth_server.grants import refresh

    refresh.GRACE_SECONDS = 1e9  # type: ignore[misc]


def renews_what_was_revoked() -> None:
    from demo.auth_server.grants import refresh

    refresh.session_revocation = lambda connection, session: None


def does_not_know_suspended_agents() -> None:
    from demo.auth_server.endpoints import oauth

    honest = oauth.session_revocation

    def broken(connection: Any, session: Any) -> Any:
        said = honest(connection, session)
        return None if said is not None and said.kind == "agent" else said

    oauth.session_revocation = broken


def suspends_for_good() -> None:
    from demo.auth_server.endpoints import account

    account.reinstate_agent_or_user = lambda connection, kind, id: True


def keeps_a_login_that_was_handed_back() -> None:
    from demo.auth_server.endpoints.oauth import RevocationEndpoint

    RevocationEndpoint.revoke_token = lambda self, token, request: None  # type: ignore[method-assign]


def keeps_the_refresh_token_of_what_was_handed_back() -> None:
    """The access token is refused, and a new one is had at once."""
    from demo.auth_server.grants import refresh

    honest = refresh.session_revocation

    def broken(connection: Any, session: Any) -> Any:
        said = honest(connection, session)
        return None if said is not None and said.kind == "token" else said

    refresh.session_revocation = broken


def issues_tokens_of_an_hour() -> None:
    from demo.auth_server import context

    honest = context.AuthorizationServerConfig
    context.AuthorizationServerConfig = partial(honest, access_token_seconds=3600)  # type: ignore[misc, assignment]


def signs_another_agents_name() -> None:
    from demo.auth_server.grants import server

    honest = server.sign_access_token

    def broken(context: Any, session: Any, **given: Any) -> str:
        return honest(context, replace(session, agent_id=session.agent_id and "agent_0"), **given)

    server.sign_access_token = broken


def grants_what_the_human_may_not() -> None:
    from demo.auth_server.state import accounts

    for account in accounts.ACCOUNTS:
        object.__setattr__(account, "grantable", accounts.EVERYTHING)


def tells_of_another_human() -> None:
    """At userinfo alone."""
    from demo.auth_server.endpoints import account
    from demo.auth_server.state.accounts import ACCOUNTS

    honest = account.authenticate

    def broken(*given: Any, scope: str, **more: Any) -> Any:
        found = honest(*given, scope=scope, **more)
        return ACCOUNTS[1] if scope == "openid" else found

    account.authenticate = broken


def says_expired_where_the_human_said_no() -> None:
    from demo.auth_server.grants.device import DeviceCodeGrant

    honest = DeviceCodeGrant.validate_device_credential

    def broken(self: Any, credential: Any) -> Any:
        try:
            return honest(self, credential)
        except OAuth2Error as error:
            error.error = "expired_token" if error.error == "access_denied" else error.error
            raise

    DeviceCodeGrant.validate_device_credential = broken  # type: ignore[method-assign]


def lists_everybodys_sessions() -> None:
    from demo.auth_server.endpoints import account
    from demo.auth_server.state.accounts import ACCOUNTS

    honest = account.sessions_of
    account.sessions_of = lambda connection, sub, **page: tuple(
        session for one in ACCOUNTS for session in honest(connection, one.sub, **page)
    )


def forgets_its_trail_when_it_is_restarted() -> None:
    honest = demo.local_server.app.create_app

    def broken(base_url: str, database: Any, **given: Any) -> Any:
        app = honest(base_url, database, **given)
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("DELETE FROM shop_audit")
        return app

    demo.local_server.app.create_app = broken


def forgets_its_orders_when_it_is_restarted() -> None:
    honest = demo.local_server.app.create_app

    def broken(base_url: str, database: Any, **given: Any) -> Any:
        app = honest(base_url, database, **given)
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("DELETE FROM shop_orders")
        return app

    demo.local_server.app.create_app = broken


def hands_on_every_scope() -> None:
    from demo.auth_server.grants import sub_agents
    from demo.auth_server.state.accounts import ordered

    sub_agents._scope = lambda server, request, subject: ordered(subject.scope - sub_agents.NOT_HANDED_ON)
    sub_agents._limit = lambda context, request, subject, *, buys: {**sub_agents._limits(subject)[-1]}


def hands_on_the_whole_limit() -> None:
    from demo.auth_server.grants import sub_agents

    honest = sub_agents._limit

    def broken(context: Any, request: Any, subject: Any, *, buys: bool) -> Any:
        limit = honest(context, request, subject, buys=buys)
        return limit and {**limit, "limit": sub_agents._limits(subject)[-1]["limit"]}

    sub_agents._limit = broken


def leaves_the_agent_above_out_of_the_token() -> None:
    from demo.auth_server.grants import sub_agents

    honest = sub_agents.sign_access_token
    sub_agents.sign_access_token = lambda *given, through, details, **named: honest(
        *given, through=through[:1], details=[one for one in details if "spent_by" not in one], **named
    )


def forgets_who_handed_on() -> None:
    _changes_decisions(lambda decision: {"handed_on_by": None})


def lets_a_sub_agent_spend_what_the_agent_may() -> None:
    honest = ledger.spent
    ledger.spent = lambda connection, account, by=None: (
        honest(connection, account) if by is None else replace(honest(connection, account, by), amount=0)
    )


def lets_a_sub_agent_outlive_the_agent_above() -> None:
    honest = policy.check_standing

    def broken(case: Case) -> policy.Ruling | None:
        ruling = honest(case)
        return None if ruling is not None and len(case.token.chain) > 1 else ruling

    policy.check_standing = broken


BREAKAGES: dict[str, Callable[[], None]] = {
    name: breakage
    for name, breakage in list(globals().items())
    if isfunction(breakage) and breakage.__module__ == __name__ and not name.startswith("_")
}

if __name__ == "__main__":
    BREAKAGES[sys.argv.pop(1)]()
    demo.local_server.server.main()
