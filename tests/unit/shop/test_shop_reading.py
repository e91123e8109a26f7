"""What the shop reads of others, without a server: a token's claims, its spending limit, a tool's arguments."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from demo.shop import arguments, bearer, catalog
from demo.shop.discovery import AuthServer
from demo.shop.facts import Case, Rules
from demo.shop.policy import check_token
from deputize.evidence import Money

HERE = "https://shop.example/mcp"
RULES = Rules(HERE, "https://auth.example", frozenset())
CLAIMS = {"iss": "https://auth.example", "sub": "user", "aud": HERE, "exp": 1000.0}
GOOD = {"company": "ACME", "mailingAddress": "1 Main St", "tshirtSize": "M"}
TOOL = catalog.TOOLS[catalog.BUY]


def verdict(now: float = 0.0, **changes: Any) -> str | None:
    """The rule that refuses a token with these claims, None where it passes the first gate."""
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not None}
    token = bearer.facts({"typ": "at+jwt"}, claims, resource=HERE, currency="USD")
    ruling = check_token(Case(token, now, RULES))
    return None if ruling is None else ruling.rule


@pytest.mark.parametrize("token", ["", "opaque", "a.b", "..", "a.b.c", "a.b.c.d.e", "x" * 20_000])
def test_what_is_no_jwt_is_malformed(token: str) -> None:
    nobody = AuthServer("https://as.example", timeout=1.0)  # is not asked for a key: nobody has entered it
    assert asyncio.run(bearer.read(token, nobody, resource=HERE, currency="USD")).fault == "malformed"


@pytest.mark.parametrize("absent", ["iss", "sub", "exp"])
def test_a_token_without_a_required_claim_is_malformed(absent: str) -> None:
    assert verdict(**{absent: None}) == "token.malformed"


@pytest.mark.parametrize("changes", [{"exp": one} for one in ("tomorrow", True, -1, 1e300, [1])] + [{"aud": [7]}])
def test_a_claim_of_the_wrong_kind_is_malformed(changes: dict[str, Any]) -> None:
    assert verdict(**changes) == "token.malformed"


@pytest.mark.parametrize("aud", ["demo-agent", [], ["https://other.example/mcp"], "https://shop.example", None])
def test_a_token_for_another_resource_is_refused(aud: Any) -> None:
    assert verdict(aud=aud) == "token.audience"


def test_one_audience_of_several_is_enough() -> None:
    assert verdict(aud=["https://other.example", HERE]) is None


def test_the_leeway_is_a_second_and_not_a_minute() -> None:
    assert [verdict(now) for now in (1000.9, 1001.0, 1060.0)] == [None, "token.expired", "token.expired"]


@pytest.mark.parametrize("amount", ["10000", True, 10000.0, -1, None])
def test_an_amount_that_is_no_whole_number_of_cents_grants_nothing(amount: Any) -> None:
    detail = {"type": "shop_spending", "actions": ["buy"], "locations": [HERE], "limit": {"currency": "USD"}}
    fitting = [detail | {"limit": {"amount": 5000, "currency": "USD"}}]
    assert bearer.spending_limits(fitting, (), resource=HERE, currency="USD") == ((None, Money(5000)),)
    broken = detail | {"limit": {"amount": amount, "currency": "USD"}}
    assert bearer.spending_limits([*fitting, broken], (), resource=HERE, currency="USD") == ()


@pytest.mark.parametrize(
    ("argument", "value", "fault"),
    [
        ("tshirtSize", "XS", "not_one_of"),
        ("tshirtSize", "m", "not_one_of"),
        ("tshirtSize", None, "not_one_of"),
        ("tshirtSize", ["M"], "not_one_of"),
        ("company", "", "too_short"),
        ("company", "   ", "empty"),
        ("company", "x" * 101, "too_many"),
        ("company", "ACME\x1b[2J", "control"),
        ("company", "ACME\nInc", "control"),
        ("company", "ACME\u202egnp", "control"),
        ("company", "\ud800", "control"),
        ("company", 7, "not_text"),
        ("company", None, "not_text"),
        ("mailingAddress", "", "too_short"),
        ("mailingAddress", "\n , \n", "empty"),
        ("mailingAddress", "x" * 301, "too_many"),
        ("mailingAddress", "1 Main St\x00", "control"),
        ("mailingAddress", ["1 Main St"], "not_text"),
        ("idempotencyKey", "x" * 201, "too_many"),
        ("idempotencyKey", "a\x00b", "control"),
        ("idempotencyKey", "\ud800", "control"),
        ("idempotencyKey", 7, "not_text"),
    ],
)
def test_an_argument_that_does_not_fit_is_named_with_its_fault(argument: str, value: Any, fault: str) -> None:
    with pytest.raises(arguments.BadArguments) as bad:
        arguments.read(TOOL, {**GOOD, argument: value})
    start = catalog.SENTENCES[fault].partition("{")[0]
    assert f" {argument}: {start}" in str(bad.value)
    assert len(str(value)) < 4 or str(value) not in str(bad.value), "the value itself is the caller's"


@pytest.mark.parametrize("absent", sorted(GOOD))
def test_a_missing_argument_is_named(absent: str) -> None:
    given = {name: value for name, value in GOOD.items() if name != absent}
    with pytest.raises(arguments.BadArguments, match=f"{absent}: {catalog.say('missing')}"):
        arguments.read(TOOL, given)


def test_a_tool_that_requires_nothing_is_called_with_nothing() -> None:
    schema = {"type": "object", "properties": {"note": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}
    assert arguments.read(replace(TOOL, input_schema=schema), {}) == {"note": None}


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(arguments.BadArguments) as bad:
        arguments.read(TOOL, {})
    assert all(name in str(bad.value) for name in GOOD)


def test_what_fits_is_tidied() -> None:
    given = {"company": " ACME ", "mailingAddress": "ACME Inc,\r\n1 Main St\nSpringfield", "tshirtSize": "XL"}
    assert arguments.read(TOOL, {**given, "more": 1}) == {
        "company": "ACME",
        "mailingAddress": "ACME Inc, 1 Main St, Springfield",
        "tshirtSize": "XL",
        "idempotencyKey": None,
    }
