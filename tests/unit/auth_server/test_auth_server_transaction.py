"""Transaction tokens (draft-ietf-oauth-transaction-tokens): what the shop gets for one purchase, and who gets none."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.auth_server.conftest import House, claims
from tests.unit.auth_server.handing_on import Parent, SubKey, log_in
from tests.unit.warehouse.behind import ORDER, TXN_TOKEN, exchange


@pytest.fixture
def agent(house: House) -> Parent:
    return log_in(house)


def test_it_says_who_bought_through_whom_and_what_and_no_more_for_half_a_minute(house: House, agent: Parent) -> None:
    answer = exchange(house, agent.token).json()
    assert (answer["token_type"], answer["issued_token_type"]) == ("N_A", TXN_TOKEN)
    assert set(answer) == {"access_token", "token_type", "issued_token_type", "expires_in"}
    said, above = claims(answer["access_token"]), claims(agent.token)
    assert (said["aud"], said["sub"], said["scope"]) == (f"{house.base}/internal", above["sub"], "order.ship")
    assert said["exp"] - said["iat"] == answer["expires_in"] == 30
    assert said["tctx"] == ORDER
    assert said["rctx"]["agents"] == [above["act"]["sub"]] and said["rctx"]["sid"] == above["sid"]
    assert said["txn"] not in (above["jti"], claims(exchange(house, agent.token).json()["access_token"])["txn"])
    assert agent.token.split(".")[1] not in answer["access_token"] and above["jti"] not in str(said)


def test_it_names_every_agent_of_a_chain_and_is_of_no_more_than_the_smallest_limit(house: House, agent: Parent) -> None:
    child = agent.child(SubKey("Buyer"), scope="shop:buy", authorization_details=house.spending(3000))
    said = claims(exchange(house, child.token).json()["access_token"])
    assert len(said["rctx"]["agents"]) == 2
    assert exchange(house, child.token, details={**ORDER, "amount": 3001}).json()["error"] == "invalid_request"


def test_it_is_no_access_token_and_is_not_exchanged(house: House, agent: Parent) -> None:
    token = exchange(house, agent.token).json()["access_token"]
    assert house.introspect(token) == {"active": False}
    assert exchange(house, token).json()["error"] == "invalid_request"


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"audience": None}, "invalid_target"),
        ({"audience": "https://elsewhere.example"}, "invalid_target"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "shop:buy"}, "invalid_scope"),
        ({"request_details": None}, "invalid_request"),
        ({"request_details": "?"}, "invalid_request"),
        ({"details": []}, "invalid_request"),
        ({"details": {**ORDER, "amount": 6001}}, "invalid_request"),
        ({"details": {**ORDER, "amount": 0}}, "invalid_request"),
        ({"details": {**ORDER, "amount": 25.0}}, "invalid_request"),
        ({"details": {**ORDER, "order": ""}}, "invalid_request"),
        ({"details": {**ORDER, "more": 1}}, "invalid_request"),
        ({"subject_token": None}, "invalid_request"),
    ],
)
def test_what_is_not_of_one_purchase_within_the_consent_gets_none(
    house: House, agent: Parent, given: dict[str, Any], error: str
) -> None:
    assert exchange(house, agent.token, **given).json()["error"] == error


def test_an_agent_gets_none_neither_does_who_may_not_buy_nor_who_was_revoked(house: House, agent: Parent) -> None:
    assert agent.key is not None
    own = exchange(house, agent.token, auth=None, client_id="demo-agent").json()
    assert own["error"] == "unauthorized_client"
    looker = agent.child(SubKey("Looker"), scope="shop:read")
    assert exchange(house, looker.token).json()["error"] == "invalid_scope"
    house.http.post(
        "/account/revoke",
        json={"kind": "session", "id": claims(agent.token)["sid"]},
        headers=house.console(),
    ).raise_for_status()
    assert exchange(house, agent.token).json()["error"] == "invalid_request"
    # Who has a copy of it, and not its key, does not hear so that it was revoked.
    assert exchange(house, agent.token, auth=None, client_id="demo-agent").json() == own


def test_it_lives_no_longer_than_the_agents_token(house: House, agent: Parent) -> None:
    house.clock.forward(290)
    assert exchange(house, agent.token).json()["expires_in"] == 10
