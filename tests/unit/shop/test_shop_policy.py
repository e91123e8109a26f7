"""The policy and the ledger without a server: what holds for whatever is asked of them, in whatever order."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from demo.evidence.shop import GATES, LimitUse
from demo.shop import ledger, policy
from demo.shop.database import Database
from demo.shop.facts import Case, Rules, Standing, TokenFacts, Usage
from demo.shop.ledger import Purchase, PurchaseRefused
from demo.shop.rates import Rates
from deputize.evidence import Money

RULES = Rules("https://shop/mcp", "https://authority", frozenset({"alice@example.com"}))
GOOD = TokenFacts(
    type="at+jwt",
    issuer="https://authority",
    audience=("https://shop/mcp",),
    expires_at=1000.0,
    user="user",
    chain=("agent",),
    client="client",
    scopes=frozenset({"shop:buy"}),
    spending_limits=((None, Money(6000)),),
)
STANDING = Standing(known=True, active=True, username="alice@example.com")
CASE = Case(GOOD, 900.0, RULES, "tools/call", "buyMcpShopItem", "shop:buy", STANDING)
USAGE = Usage(
    True,
    LimitUse("rate", 1, 10, "calls", 10.0, 910.0),
    LimitUse("purchases", 1, 2, "purchases"),
    LimitUse("spending", 2500, 6000, "USD"),
    Money(2500),
)

FLAWS = {
    "token": [
        TokenFacts(fault="missing"),
        TokenFacts(fault="malformed"),
        replace(GOOD, issuer="https://other"),
        replace(GOOD, audience=()),
        replace(GOOD, expires_at=1.0),
        replace(GOOD, not_before=999.0),
        replace(GOOD, type="JWT"),
    ],
    "standing": [
        None,
        Standing(known=False),
        Standing(known=True),
        Standing(known=True, revoked="session"),
        replace(STANDING, banned=True),
    ],
    "username": ["mallory@example.org", None, "alice@example.com.evil"],
    "scopes": [frozenset(), frozenset({"shop:read"}), frozenset({"shop:buy:all"})],
    "usage": [
        replace(USAGE, rate_ok=False),
        replace(USAGE, purchases=LimitUse("purchases", 2, 2, "purchases")),
        replace(USAGE, spending=None),
        replace(USAGE, spending=LimitUse("spending", 3501, 6000, "USD")),
    ],
}


def decide(case: Case, usage: Usage) -> policy.Ruling:
    """All five gates, as the door asks them."""
    ruling = policy.admit(case)
    return ruling if ruling.verdict == "deny" else policy.within_limits(case, usage)


def test_a_flawless_case_passes_every_gate() -> None:
    ruling = decide(CASE, USAGE)
    assert (ruling.verdict, ruling.gate, ruling.rule) == ("allow", "limits", "allowed")
    assert ruling.remedy is None


@given(st.fixed_dictionaries({name: st.none() | st.sampled_from(range(len(flaws))) for name, flaws in FLAWS.items()}))
def test_the_first_flaw_and_only_a_flaw_refuses(flaws: dict[str, int | None]) -> None:
    """Whatever is wrong at once: the verdict is an allow if and only if nothing is, and the first gate speaks."""
    token, standing, usage = GOOD, STANDING, USAGE
    wrong = [name for name in FLAWS if flaws[name] is not None]
    if (flaw := flaws["username"]) is not None:
        standing = replace(standing, username=FLAWS["username"][flaw])
    if (flaw := flaws["standing"]) is not None:
        standing = FLAWS["standing"][flaw]
    if (flaw := flaws["scopes"]) is not None:
        token = replace(token, scopes=FLAWS["scopes"][flaw])
    if (flaw := flaws["token"]) is not None:
        token = FLAWS["token"][flaw]
    if (flaw := flaws["usage"]) is not None:
        usage = FLAWS["usage"][flaw]
    ruling = decide(replace(CASE, token=token, standing=standing), usage)
    assert (ruling.verdict == "allow") == (not wrong)
    if wrong:
        expected = GATES[list(FLAWS).index(wrong[0])]
        assert ruling.gate == expected
        assert ruling.rule.startswith(f"{expected}.")
        assert ruling.reason.endswith(".") or ruling.rule == "token.malformed"
        assert ruling.remedy
        assert len(ruling.reason) <= 76


def test_a_replay_needs_neither_quota_nor_money_but_a_place_in_the_rate() -> None:
    spent = replace(USAGE, purchases=LimitUse("purchases", 2, 2, "purchases"), spending=None, replay=True)
    assert decide(CASE, spent).verdict == "allow"
    assert decide(CASE, replace(spent, rate_ok=False)).rule == "limits.rate"


def test_other_tools_cost_nothing_of_quota_and_money() -> None:
    spent = replace(USAGE, purchases=LimitUse("purchases", 2, 2, "purchases"), spending=None)
    assert decide(replace(CASE, tool="getUserInfo"), spent).verdict == "allow"


asked = st.builds(
    lambda consent, key, size, limit, price: (consent, key, size, limit, price),
    st.sampled_from(["a", "b"]),
    st.none() | st.sampled_from(["k1", "k2", "k3"]),
    st.sampled_from(["S", "M"]),
    st.none() | st.integers(0, 12_000),
    st.integers(1, 5000),
)


@settings(max_examples=60, deadline=None)
@given(
    purchases=st.lists(asked, max_size=25),
    quota=st.integers(0, 6),
    stock=st.integers(0, 8),
    limit=st.integers(0, 12_000),
)
def test_the_ledger_is_never_wrong(
    purchases: list[tuple[str, str | None, str, int | None, int]], quota: int, stock: int, limit: int
) -> None:
    """Balance never negative, quota and stock never exceeded, each key at most one order, and nothing refused
    that a plain model of the rules would grant."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "ledger.sqlite3")
        try:
            with database.transaction() as connection:
                ledger.restock(connection, stock)
            model: dict[str, list[int]] = {"a": [], "b": []}
            keys: dict[str, tuple[str, str]] = {}
            for number, (consent, key, size, own_limit, price) in enumerate(purchases):
                granted = None if own_limit is None else Money(min(limit, own_limit))
                wanted = Purchase(
                    audit_id=str(number),
                    account=consent,
                    caller="agent",
                    size=size,
                    company="c",
                    address="a",
                    arguments=size,
                    price=Money(price),
                    at=float(number),
                    key=key,
                    quota=quota,
                    spending_limits=() if granted is None else ((None, granted),),
                )
                known = keys.get(key) if key else None
                affordable = granted is not None and sum(model[consent]) + price <= granted.amount
                room = len(model[consent]) < quota and len(model["a"]) + len(model["b"]) < stock
                try:
                    with database.transaction() as connection:
                        order = ledger.place(connection, wanted)
                except PurchaseRefused as refused:
                    assert (known is not None and known[1] != size) or (known is None and not (affordable and room))
                    assert (refused.fault == "key_reused") == (known is not None)
                    continue
                if known is not None:
                    assert (order.id, order.replayed) == (known[0], True)
                    continue
                assert affordable
                assert room
                assert not order.replayed
                model[consent].append(price)
                if key:
                    keys[key] = (order.id, size)
                assert order.balance is not None
                assert granted is not None
                assert order.balance.amount == granted.amount - sum(model[consent]) >= 0
            with database.transaction() as connection:
                for consent, prices in model.items():
                    assert ledger.spent(connection, consent) == ledger.Spent(len(prices), sum(prices))
                assert ledger.stock_left(connection) == stock - sum(len(prices) for prices in model.values())
        finally:
            database.close()


def test_the_rate_keeps_the_shops_time_and_forgets_with_its_window(tmp_path: Path) -> None:
    now = 1000.0
    database = Database(tmp_path / "rates.sqlite3")
    rates = Rates(lambda: (3, 10), clock=lambda: now)
    with database.transaction() as connection:
        assert rates.use(connection, "agent") == LimitUse("rate", 0, 3, "calls", 10.0, None)
        assert [rates.hit(connection, "agent") for _ in range(5)] == [True, True, True, False, False]
        assert rates.use(connection, "agent") == LimitUse("rate", 3, 3, "calls", 10.0, 1010.0)
        assert rates.hit(connection, "another")
        now = 1009.9
        assert not rates.hit(connection, "agent")
        now = 1010.0
        assert rates.hit(connection, "agent")
        assert rates.use(connection, "agent") == LimitUse("rate", 1, 3, "calls", 10.0, 1020.0)
    database.close()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(min_value=0, max_value=400), min_size=1, max_size=40))
def test_no_stretch_of_a_windows_length_holds_more_calls_than_the_limit(gaps: list[int]) -> None:
    """Tenths of a second between calls: wherever one looks, 3 in 10 s and no more; and nobody waits for nothing."""
    now, admitted = 1000.0, []
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "rates.sqlite3")
        try:
            rates = Rates(lambda: (3, 10), clock=lambda: now)
            for gap in gaps:
                now = round(now + gap / 10, 1)
                within = [at for at in admitted if at > now - 10.0]
                with database.transaction() as connection:
                    assert rates.hit(connection, "agent") is (len(within) < 3)
                admitted += [now] if len(within) < 3 else []
        finally:
            database.close()


def test_a_file_that_another_writer_holds_is_waited_for(tmp_path: Path) -> None:
    import threading

    first, second = Database(tmp_path / "shared.sqlite3"), Database(tmp_path / "shared.sqlite3")
    held = threading.Event()

    def hold() -> None:
        with first.transaction() as connection:
            ledger.ban(connection, "agent:a", 1.0)
            held.set()
            time.sleep(0.3)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(60)
    with second.transaction() as connection:
        assert ledger.is_banned(connection, "agent:a")
        assert ledger.lift_ban(connection, "agent:a")
    thread.join(60)
    first.close()
    second.close()
