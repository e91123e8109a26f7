"""Which JWT is an access token: the policy of the agent, of the local shop and of the Worker, by the same cases."""

from __future__ import annotations

import json
from typing import Any

import pytest

from demo.shop.bearer import facts
from demo.shop.facts import Case, Rules
from demo.shop.policy import check_token
from deputize import access_tokens
from deputize.tokens.claims import Jwt, is_access_token
from tests.conftest import ROOT

CASES: list[dict[str, Any]] = json.loads((ROOT / "worker" / "test" / "token_types.json").read_text("utf-8"))
HERE = "https://shop.example/mcp"


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["what"]))
def test_the_agent_and_the_shop_judge_a_jwt_alike(case: dict[str, Any]) -> None:
    header, claims = case["header"], case["claims"]
    assert access_tokens.type_of(header, claims) == case["is"]
    assert is_access_token(Jwt(header, claims)) is case["access"]
    if "iss" not in claims:
        return  # the shop refuses it before it asks for the type
    read = facts(header, claims | {"sub": "user_1", "aud": HERE, "exp": 2e9}, resource=HERE, currency="USD")
    ruling = check_token(Case(read, 1e9, Rules(HERE, claims["iss"], frozenset())))
    assert (ruling is None) is case["access"]
    assert ruling is None or ruling.rule == "token.type"


def test_a_shop_that_was_told_the_types_asks_no_profile() -> None:
    claims = {"iss": "https://as.example", "sub": "user_1", "aud": HERE, "exp": 2e9}
    read = facts({}, claims, resource=HERE, currency="USD")
    told = Rules(HERE, "https://as.example", frozenset(), token_types=frozenset({"absent"}))
    assert check_token(Case(read, 1e9, told)) is None
    login = facts({}, claims | {"nonce": "x"}, resource=HERE, currency="USD")
    ruling = check_token(Case(login, 1e9, told))
    assert ruling is not None and "ID token" in ruling.reason, "an ID token is none, whatever its audience"
