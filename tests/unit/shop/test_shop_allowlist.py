"""Who is let in, by the same cases as the Worker's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from demo.shop import policy
from demo.shop.facts import Case, Rules, Standing, TokenFacts
from demo.shop.introspection import judge
from demo.shop.policy import check_allowlist
from tests.conftest import ROOT

CASES: list[dict[str, Any]] = json.loads((ROOT / "worker" / "test" / "allowlist.json").read_text("utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["what"]))
def test_each_kind_of_entry_lets_in_whom_it_names_and_nobody_else(case: dict[str, Any]) -> None:
    rules = Rules("r", "i", frozenset(case["allowlist"]), organization=case.get("organization"))
    token = TokenFacts(user="user_1", organization=case.get("granted"))
    standing = Standing(True, active=True, username=case["username"], roles=tuple(case.get("roles", ())))
    ruling = check_allowlist(Case(token, 0.0, rules, standing=standing))
    assert (ruling is None) is case["in"]
    assert ruling is None or ruling.rule == "allowlist.user"


@pytest.mark.parametrize(
    ("told", "username"),
    [
        ({"email": "a@example.com", "email_verified": True}, "a@example.com"),
        ({"email": "a@example.com"}, "a@example.com"),
        ({"email": "a@example.com", "email_verified": False}, None),
        ({"username": "b@example.com", "email": "a@example.com"}, "b@example.com"),
        ({"email": 7}, None),
    ],
)
def test_an_address_that_is_said_not_to_be_verified_is_nobodys(told: dict[str, Any], username: str | None) -> None:
    assert judge({"active": True, **told}, TokenFacts()).username == username


def test_a_shop_that_compares_by_lower_case_takes_another_address_for_that_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the case of the Kelvin sign above finds there (Unicode TR 36 section 3.7, CWE-178)."""
    monkeypatch.setattr(policy, "spelled", str.lower)
    standing = Standing(True, active=True, username="\u212aim@example.com")
    rules = Rules("r", "i", frozenset({"kim@example.com"}))
    assert check_allowlist(Case(TokenFacts(user="user_1"), 0.0, rules, standing=standing)) is None
