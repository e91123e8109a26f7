"""A human approves a purchase of one sub-agent: nobody else in the chain gets anything by it, and it gets no more than
that purchase, within what was handed on to it.

RFC 9396 section 2 (a detail says exactly what is authorized), RFC 8693 section 4.1 (who acts, and for whom), RFC 9449
section 6 (a token is its key's), draft-klrc-aiagent-auth (Human in the Loop: the human must know who asks). Each attack
is also made on a server that leaves out just what stops it, and succeeds there.
"""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from demo.auth_server.endpoints import purchases as asked_by_a_shop
from demo.auth_server.grants import purchases
from demo.auth_server.grants import server as grants
from demo.auth_server.state import sessions
from demo.auth_server.state.sessions import session_revocation
from deputize.oauth.dpop import ProofKey
from tests.unit.auth_server.conftest import DEVICE_CODE, RESOURCE_SERVER, House, claims, clock, house, make_house
from tests.unit.auth_server.handing_on import Parent, SubKey, handed, log_in, post

__all__ = ["clock", "house", "make_house"]


def buyer(house: House, parent: Parent, amount: int = 3000, name: str = "Buyer") -> Parent:
    return parent.child(SubKey(name), scope="shop:buy", authorization_details=house.spending(amount))


def purchase(one: Parent) -> dict[str, Any]:
    """A purchase by this agent, as the shop wants it approved."""
    told = claims(one.token)
    return {
        "type": "shop_purchase",
        "actions": ["buy"],
        "locations": [one.house.shop],
        "session": told["sid"],
        "agent": told["act"]["sub"],
        "item": "Conference T-shirt",
        "size": "M",
        "company": "ACME",
        "mailingAddress": "1 Main St",
        "price": {"amount": 2500, "currency": "USD"},
    }


def ask(one: Parent, detail: dict[str, Any] | None = None) -> httpx2.Response:
    details = json.dumps([detail or purchase(one)])
    return one.house.ask(scope="shop:buy", authorization_details=details)


def redeem(house: House, key: ProofKey | None, device_code: str) -> httpx2.Response:
    return post(house, key, {"grant_type": DEVICE_CODE, "device_code": device_code, "client_id": "demo-agent"})


def approved(one: Parent) -> str:
    """The device code of a yes of Alice's."""
    asked = ask(one).json()
    one.house.browser().decide(asked["user_code"])
    return str(asked["device_code"])


def key_of(one: Parent) -> ProofKey:
    assert one.key is not None
    return one.key.key


def test_the_page_says_who_asks_and_who_hired_them_and_the_token_is_that_sub_agents(house: House) -> None:
    agent = log_in(house)
    planner = buyer(house, agent, 5000, "Planner")
    below = buyer(house, planner, 3000)
    asked = ask(below).json()
    browser = house.browser()
    browser.consent(asked["user_code"])
    shown = browser.forms.shown
    assert (shown["sub-agent"], shown["hired-by"], shown["client"]) == (["Buyer"], ["Planner"], ["Shirt Agent"])
    browser.submit("/device/consent", decision="approve")
    token = handed(redeem(house, key_of(below), asked["device_code"]))
    before, after = claims(below.token), claims(token["access_token"])
    same = ("sub", "sid", "consent_id", "act", "client_id", "aud", "cnf")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert after["exp"] <= before["exp"] and "refresh_token" not in token and after["scope"] == "shop:buy"
    *limits, yes = after["authorization_details"]
    assert [(one.get("spent_by"), one["limit"]["amount"]) for one in limits] == [
        (before["act"]["sub"], 3000),
        (before["act"]["act"]["sub"], 5000),
        (None, 6000),
    ]
    assert (yes["agent"], yes["price"]) == (before["act"]["sub"], {"amount": 2500, "currency": "USD"})
    assert house.introspect(token["access_token"])["active"] is True


def test_an_agents_own_purchase_is_for_the_key_of_its_grant(house: House) -> None:
    agent = log_in(house)
    token = claims(handed(redeem(house, key_of(agent), approved(agent)))["access_token"])
    assert (token["act"], token["cnf"]) == (claims(agent.token)["act"], claims(agent.token)["cnf"])


def test_a_page_of_the_agents_own_purchase_names_no_sub_agent(house: House) -> None:
    agent = log_in(house)
    buyer(house, agent)
    browser = house.browser()
    browser.consent(ask(agent).json()["user_code"])
    assert not {"sub-agent", "hired-by"} & set(browser.forms.shown)


def by_another_key(house: House, agent: Parent) -> bool:
    below, sibling = buyer(house, agent), buyer(house, agent, name="Sibling")
    codes = [approved(below) for _ in range(3)]
    thieves = (key_of(agent), key_of(sibling), ProofKey.generate())
    return any(redeem(house, key, code).status_code == 200 for key, code in zip(thieves, codes, strict=True))


def without_a_key(house: House, agent: Parent) -> bool:
    return redeem(house, None, approved(buyer(house, agent))).status_code == 200


def after_it_was_revoked(house: House, agent: Parent) -> bool:
    below = buyer(house, agent)
    code = approved(below)
    house.http.post("/oauth2/revoke", data={"token": below.token, "client_id": "demo-agent"})
    return redeem(house, key_of(below), code).status_code == 200


def after_who_hired_it_was_revoked(house: House, agent: Parent) -> bool:
    above = buyer(house, agent, 5000, "Planner")
    below = buyer(house, above)
    code = approved(below)
    house.http.post("/oauth2/revoke", data={"token": above.token, "client_id": "demo-agent"})
    return redeem(house, key_of(below), code).status_code == 200


def asked_for_once_it_has_ended(house: House, agent: Parent) -> bool:
    below = buyer(house, agent)
    house.clock.forward(301)
    return ask(below).status_code == 200


def for_longer_than_was_handed_on(house: House, agent: Parent) -> bool:
    below = buyer(house, agent)
    house.clock.forward(299)
    code = approved(below)
    house.clock.forward(2)
    return redeem(house, key_of(below), code).status_code == 200


def asked_for_while_it_may_only_look(house: House, agent: Parent) -> bool:
    """To buy was handed on for a moment, to look for minutes."""
    key = SubKey("Buyer")
    agent.child(key)
    below = agent.child(key, scope="shop:buy", authorization_details=house.spending(3000), requested_expires_in="10")
    house.clock.forward(20)
    return ask(below).status_code == 200


def by_one_that_may_only_look(house: House, agent: Parent) -> bool:
    return ask(agent.child(SubKey("Scout"))).status_code == 200


def hired(house: House, agent: Parent) -> tuple[SubKey, Parent]:
    planner = SubKey("Planner")
    above = agent.child(planner, scope="shop:buy", authorization_details=house.spending(3000))
    return planner, buyer(house, above)


def past_the_limit_of_one_above_that_is_gone(house: House, agent: Parent) -> bool:
    """Handed on again without money, its row has no limit, which the one below was under."""
    planner, below = hired(house, agent)
    agent.child(planner)
    return ask(below).status_code == 200


def past_the_limit_of_one_above_that_goes_after_the_yes(house: House, agent: Parent) -> bool:
    planner, below = hired(house, agent)
    code = approved(below)
    agent.child(planner)
    return redeem(house, key_of(below), code).status_code == 200


def in_the_name_of_a_sub_agent_of_another_session(house: House, agent: Parent) -> bool:
    elsewhere = buyer(house, log_in(house))
    return ask(agent, {**purchase(agent), "agent": purchase(elsewhere)["agent"]}).status_code == 200


def with_the_token_of_another(house: House, agent: Parent) -> bool:
    """A shop's question is for who called it: here a sub-agent's call asks in the name of the agent above."""
    below = buyer(house, agent)
    body = {"token": below.token, "scope": "shop:buy", "detail": purchase(agent)}
    return house.http.post("/oauth2/purchases", json=body, auth=RESOURCE_SERVER).status_code == 200


def in_the_name_of_who_hired_it(house: House, agent: Parent, key: ProofKey | None) -> bool:
    """By the way that needs no token: the page would name the agent above, and so would the trail."""
    return redeem(house, key, approved(agent)).status_code == 200


def in_its_name_by_an_own_key(house: House, agent: Parent) -> bool:
    return in_the_name_of_who_hired_it(house, agent, key_of(agent.child(SubKey("Scout"))))


def in_its_name_without_a_key(house: House, agent: Parent) -> bool:
    """Its grant is bound to a key, and this token would be good for anybody."""
    return in_the_name_of_who_hired_it(house, agent, None)


def alone(connection: Any, session: Any, _: Any = ()) -> Any:
    return session_revocation(connection, session)


def always_there(honest: Any, **changes: Any) -> Any:
    from dataclasses import replace

    def line_of(connection: Any, session: Any, agent_id: str) -> Any:
        found = honest(connection, session, agent_id)
        return found and tuple(replace(one, **changes) for one in found)

    return line_of


NOTHING_WITHDRAWN = (sessions, "void_of", lambda *_, **__: None)
WEAK: dict[Any, list[tuple[Any, str, Any]]] = {
    by_another_key: [(grants, "require_key", lambda *_: None)],
    without_a_key: [(grants, "require_key", lambda *_: None)],
    after_it_was_revoked: [(grants, "session_revocation", alone), NOTHING_WITHDRAWN],
    after_who_hired_it_was_revoked: [(grants, "session_revocation", alone), NOTHING_WITHDRAWN],
    asked_for_once_it_has_ended: [(purchases, "line_of", always_there(purchases.line_of, until=1e12))],
    asked_for_while_it_may_only_look: [(purchases, "line_of", always_there(purchases.line_of, until=1e12))],
    for_longer_than_was_handed_on: [(grants, "line_of", always_there(grants.line_of, until=1e12))],
    by_one_that_may_only_look: [(purchases, "line_of", always_there(purchases.line_of, scope=("shop:buy",)))],
    past_the_limit_of_one_above_that_is_gone: [
        (purchases, "line_of", always_there(purchases.line_of, scope=("shop:buy",)))
    ],
    past_the_limit_of_one_above_that_goes_after_the_yes: [
        (grants, "line_of", always_there(grants.line_of, scope=("shop:buy",)))
    ],
    in_the_name_of_a_sub_agent_of_another_session: [(purchases, "line_of", lambda *_: ())],
    in_its_name_by_an_own_key: [(grants, "require_key", lambda *_: None)],
    in_its_name_without_a_key: [(grants, "require_key", lambda *_: None)],
    with_the_token_of_another: [
        (asked_by_a_shop, "actors", lambda claims: (claims["act"]["act"]["sub"],)),
    ],
}


@pytest.mark.parametrize("attack", WEAK, ids=lambda one: one.__name__)
def test_nobody_gets_anything_by_it(house: House, attack: Any) -> None:
    assert not attack(house, log_in(house))


@pytest.mark.parametrize("attack", WEAK, ids=lambda one: one.__name__)
def test_it_bites_where_the_check_is_left_out(house: House, attack: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for place, name, weak in WEAK[attack]:
        monkeypatch.setattr(place, name, weak)
    assert attack(house, log_in(house))


@pytest.mark.parametrize("weak", [False, True])
def test_a_yes_does_not_come_back_with_who_is_reinstated(
    house: House, monkeypatch: pytest.MonkeyPatch, weak: bool
) -> None:
    """The human stopped who hired it. To let that one go on is no second yes to the purchase."""
    agent = log_in(house)
    below = buyer(house, agent)
    bought = handed(redeem(house, key_of(below), approved(below)))["access_token"]
    code = approved(below)
    if weak:
        monkeypatch.setattr(*NOTHING_WITHDRAWN)
    console, whom = house.console(), {"kind": "agent", "id": purchase(agent)["agent"]}
    for what in ("revoke", "reinstate"):
        assert house.http.post(f"/account/{what}", json=whom, headers=console).status_code == 200
    assert house.introspect(below.token)["active"] is True
    assert ("authorization_details" in house.introspect(bought), house.introspect(bought)["active"]) == (weak, weak)
    assert (redeem(house, key_of(below), code).status_code == 200) is weak


def test_what_was_approved_is_not_handed_on_below_it(house: House) -> None:
    below = buyer(house, log_in(house))
    token = handed(redeem(house, key_of(below), approved(below)))
    bought = Parent(house, token["access_token"], below.key)
    answer = bought.hand_on(SubKey("Lower"), scope="shop:buy", authorization_details=house.spending(1000))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_a_shops_question_of_a_sub_agent_is_answered_for_it_alone(house: House) -> None:
    agent = log_in(house)
    below = buyer(house, agent)
    body = {"token": below.token, "scope": "shop:buy", "detail": purchase(below)}
    asked = house.http.post("/oauth2/purchases", json=body, auth=RESOURCE_SERVER).json()
    browser = house.browser()
    browser.get(asked["url"].removeprefix(house.base))
    browser.submit("/device/sign-in", account="alice@example.com")
    assert browser.forms.shown["sub-agent"] == ["Buyer"]
    browser.submit("/device/consent", decision="approve")
    told = [house.introspect(one.token)["authorization_details"][-1] for one in (below, agent)]
    # Each shop holds the purchase against the agent that calls: `test_an_approval_used_for_something_else`.
    assert [one["agent"] for one in told] == [purchase(below)["agent"]] * 2


def test_a_shop_that_passes_on_what_its_client_sent_is_asked_afresh(house: House) -> None:
    """The name of a question is the client's `requestState`, which no shop has to look into."""
    below = buyer(house, log_in(house))
    body = {"token": below.token, "scope": "shop:buy", "detail": purchase(below)}
    asked = house.http.post("/oauth2/purchases", json=body, auth=RESOURCE_SERVER).json()["purchase"]
    for named in ("\ud800", "\0", "x" * 30_000, ["\ud800"], 1e999):
        content = json.dumps({**body, "purchase": named})
        answer = house.http.post("/oauth2/purchases", content=content, auth=RESOURCE_SERVER)
        assert (answer.status_code, answer.json()["purchase"]) == (200, asked)
