"""Token exchange (RFC 8693): what a sub-agent is given, how long it stands, and who sees it."""

from __future__ import annotations

from typing import Any

import pytest

from demo.auth_server.grants.server import EXCHANGES_A_MINUTE
from demo.auth_server.state.sub_agents import MOST_AT_ONCE
from tests.unit.auth_server.conftest import House, claims
from tests.unit.auth_server.handing_on import ACCESS_TOKEN, Parent, SubKey, handed, log_in


@pytest.fixture
def parent(house: House) -> Parent:
    return log_in(house)


def test_a_sub_agent_gets_what_was_asked_for_and_its_chain_is_in_the_token(house: House, parent: Parent) -> None:
    child = SubKey("Size finder")
    answer = handed(parent.hand_on(child, scope="shop:read shop:buy", authorization_details=house.spending(3000)))
    assert (answer["token_type"], answer["issued_token_type"]) == ("DPoP", ACCESS_TOKEN)
    assert answer["scope"] == "shop:read shop:buy" and "refresh_token" not in answer and "id_token" not in answer
    said, above = claims(answer["access_token"]), claims(parent.token)
    assert {name: said[name] for name in ("sub", "aud", "sid", "consent_id", "client_id")} == {
        name: above[name] for name in ("sub", "aud", "sid", "consent_id", "client_id")
    }
    assert said["act"]["act"] == above["act"] and said["act"]["sub"] != above["act"]["sub"]
    assert said["cnf"] == {"jkt": child.key.thumbprint}
    assert said["exp"] <= above["exp"]
    # Its own limit, and the one above it, which counts for all that the consent is good for.
    assert [(one["limit"]["amount"], one.get("spent_by")) for one in said["authorization_details"]] == [
        (3000, said["act"]["sub"]),
        (6000, None),
    ]
    assert answer["authorization_details"] == said["authorization_details"]
    assert house.introspect(answer["access_token"])["act"] == said["act"]


def test_the_same_key_is_the_same_sub_agent_and_another_key_another(house: House, parent: Parent) -> None:
    one, other = SubKey("One"), SubKey("One")
    ids = [claims(handed(parent.hand_on(key))["access_token"])["act"]["sub"] for key in (one, one, other)]
    assert ids[0] == ids[1] != ids[2]


def test_a_sub_agent_of_two_sessions_is_listed_in_both_by_what_it_has_in_each_and_ends_in_both(house: House) -> None:
    key, console = SubKey("Both"), house.console()
    spends = {"scope": "shop:buy", "authorization_details": house.spending(1000)}
    tokens = [log_in(house).child(key, **given).token for given in (spends, {})]
    told = [claims(one) for one in tokens]
    assert told[0]["act"] == told[1]["act"] and told[0]["sid"] != told[1]["sid"]
    listed = {
        one["id"]: [(below["id"], below["scopes"]) for below in one["sub_agents"]]
        for one in house.http.get("/account/sessions", headers=console).json()["sessions"]
    }
    id = told[0]["act"]["sub"]
    assert [listed[one["sid"]] for one in told] == [[(id, ["shop:buy"])], [(id, ["shop:read"])]]
    house.http.post("/account/revoke", json={"kind": "agent", "id": id}, headers=console)
    assert not any(house.introspect(one)["active"] for one in tokens)


def test_its_life_ends_with_the_token_that_it_was_made_from(house: House, parent: Parent) -> None:
    house.clock.forward(290)
    answer = handed(parent.hand_on(SubKey("Late")))
    assert answer["expires_in"] == 10
    house.clock.forward(11)
    assert house.introspect(answer["access_token"]) == {"active": False}
    assert parent.hand_on(SubKey("Later")).json()["error"] == "invalid_request"


def test_a_sub_agent_hands_on_in_its_turn_as_deep_as_may_be(house: House, parent: Parent) -> None:
    first = parent.child(SubKey("First"), scope="shop:read shop:buy", authorization_details=house.spending(3000))
    second = first.child(SubKey("Second"), scope="shop:read shop:buy", authorization_details=house.spending(2000))
    said = claims(second.token)
    assert said["act"]["act"]["act"] == claims(parent.token)["act"]
    assert [one["limit"]["amount"] for one in said["authorization_details"]] == [2000, 3000, 6000]
    assert second.hand_on(SubKey("Third")).json()["error"] == "invalid_request"


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"scope": None}, "invalid_scope"),
        ({"scope": "no:such"}, "invalid_scope"),
        ({"scope": "user:read"}, "invalid_scope"),
        ({"scope": "shop:read openid"}, "invalid_scope"),
        ({"scope": "shop:read offline_access"}, "invalid_scope"),
        ({"scope": "shop:read shop:buy"}, "invalid_authorization_details"),
        ({"authorization_details": "LIMIT"}, "invalid_authorization_details"),
        ({"scope": "shop:buy", "authorization_details": "MORE"}, "invalid_authorization_details"),
        ({"resource": "ACCOUNT"}, "invalid_target"),
        ({"audience": "https://elsewhere.example"}, "invalid_target"),
        ({"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}, "invalid_request"),
        ({"subject_token": None}, "invalid_request"),
        ({"subject_token_type": "urn:ietf:params:oauth:token-type:id_token"}, "invalid_request"),
        ({"actor_token": None}, "invalid_request"),
        ({"actor_token": "not.a.jwt"}, "invalid_request"),
        ({"actor_token_type": ACCESS_TOKEN}, "invalid_request"),
        ({"requested_expires_in": "-1"}, "invalid_request"),
    ],
    ids=str,
)
def test_what_is_wrong_with_a_request_is_said_in_the_standards_codes(
    house: House, parent: Parent, fields: dict[str, Any], error: str
) -> None:
    named = {"LIMIT": house.spending(100), "MORE": house.spending(6001), "ACCOUNT": house.account}
    answer = parent.hand_on(SubKey("Unlucky"), **{name: named.get(value, value) for name, value in fields.items()})
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_the_humans_console_and_who_did_not_register_for_it_hand_nothing_on(house: House, parent: Parent) -> None:
    console = house.console()["Authorization"].removeprefix("Bearer ")
    data = {**parent.fields(SubKey("A")), **house.proof("demo-console"), "client_id": "demo-console"}
    refused = house.http.post("/oauth2/token", data={**data, "subject_token": console})
    assert refused.json()["error"] == "unauthorized_client"
    newcomer = house.register().json()["client_id"]
    refused = house.http.post("/oauth2/token", data={**parent.fields(SubKey("A")), "client_id": newcomer})
    assert refused.json()["error"] == "unauthorized_client"
    only = house.register(grant_types=["urn:ietf:params:oauth:grant-type:token-exchange"], redirect_uris=None)
    assert only.json()["error"] == "invalid_client_metadata"


@pytest.mark.parametrize("kind", ["session", "agent", "user", "token"])
def test_what_ends_the_agent_ends_all_below_it_at_once(house: House, parent: Parent, kind: str) -> None:
    child = parent.child(SubKey("Child"))
    grandchild = child.child(SubKey("Grandchild"))
    said, console = claims(parent.token), house.console()
    if kind == "token":
        house.http.post("/oauth2/revoke", data={"token": parent.token, "client_id": "demo-agent"})
    else:
        id = {"session": said["sid"], "agent": said["act"]["sub"], "user": said["sub"]}[kind]
        house.http.post("/account/revoke", json={"kind": kind, "id": id}, headers=console)
    for one in (child, grandchild):
        assert house.introspect(one.token) == {"active": False, "revoked": kind}
        assert one.hand_on(SubKey("After")).json()["error"] == "invalid_request"


@pytest.mark.parametrize("by", ["human", "client"])
def test_a_sub_agent_ends_alone_and_with_it_whoever_is_below(house: House, parent: Parent, by: str) -> None:
    child, sibling = parent.child(SubKey("Child")), parent.child(SubKey("Sibling"))
    grandchild = child.child(SubKey("Grandchild"))
    if by == "client":
        house.http.post("/oauth2/revoke", data={"token": child.token, "client_id": "demo-agent"})
    else:
        body = {"kind": "agent", "id": claims(child.token)["act"]["sub"]}
        answer = house.http.post("/account/revoke", json=body, headers=house.console())
        assert answer.status_code == 200
    assert [house.introspect(one.token)["active"] for one in (parent, child, grandchild, sibling)] == [
        True,
        False,
        False,
        True,
    ]
    assert parent.hand_on(child.key).json()["error"] == "invalid_request"


def test_the_account_lists_the_tree_and_only_its_owner_ends_a_part_of_it(house: House, parent: Parent) -> None:
    child = parent.child(SubKey("Size\x1b[31m finder"), scope="shop:buy", authorization_details=house.spending(2500))
    grandchild = child.child(SubKey("Helper"), scope="shop:buy", authorization_details=house.spending(2500))
    (session,) = house.http.get("/account/sessions", headers=house.console()).json()["sessions"][:1]
    listed = [(one["id"], one["parent"], one["name"], one["spending_limit"]) for one in session["sub_agents"]]
    money = {"amount": 2500, "currency": "USD"}
    first, second = (claims(one.token)["act"]["sub"] for one in (child, grandchild))
    assert listed == [
        (first, session["agent"], "Size[31m finder", money),
        (second, first, "Helper", money),
    ]
    body = {"kind": "agent", "id": first}
    mallory = house.console("mallory@example.org")
    assert house.http.post("/account/revoke", json=body, headers=mallory).status_code == 404
    assert house.http.post("/account/revoke", json=body, headers=house.console()).status_code == 200
    (session, *_) = house.http.get("/account/sessions", headers=house.console()).json()["sessions"]
    assert [one["revoked_at"] is not None for one in session["sub_agents"]] == [True, False]
    assert house.http.post("/account/reinstate", json=body, headers=house.console()).json()["lifted"] is True
    assert house.introspect(child.token)["active"] is True


def test_so_many_act_at_once_and_so_many_are_made_a_minute(house: House, parent: Parent) -> None:
    answers = [parent.hand_on(SubKey(str(number))) for number in range(MOST_AT_ONCE + 1)]
    assert [one.status_code for one in answers] == [200] * MOST_AT_ONCE + [400]
    child = SubKey("0")
    for _ in range(EXCHANGES_A_MINUTE):
        last = parent.hand_on(child)
    assert last.status_code == 429 and int(last.headers["retry-after"]) > 0


def test_a_depth_of_nought_hands_nothing_on(make_house: Any) -> None:
    with make_house(delegation_depth=0) as house:
        assert log_in(house).hand_on(SubKey("Any")).json()["error"] == "invalid_request"


def test_a_bearer_token_is_handed_on_to_a_key_all_the_same(house: House) -> None:
    bearer = Parent(house, house.login(authorization_details=house.spending())["access_token"], None)
    child = SubKey("Child")
    assert claims(handed(bearer.hand_on(child))["access_token"])["cnf"]["jkt"] == child.key.thumbprint
