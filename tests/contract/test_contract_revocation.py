"""Revoking: from the moment that the human is answered, no call with what was revoked is admitted, anywhere."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from typing import Any

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from tests.conftest import HANGS
from tests.contract.issuer import ALICE, GRACE
from tests.contract.shop import Shop, challenge_of, order_of, refusal

READ = "listMcpShopInventory"


@pytest.mark.parametrize("kind", ["session", "agent", "user"])
def test_what_was_revoked_is_refused_at_the_very_next_call(shop: Shop, kind: str) -> None:
    human = GRACE if kind == "user" else ALICE
    grant = shop.grant(human=human)
    id = {"session": grant.session.id, "agent": grant.agent, "user": grant.session.sub}[kind]
    token = shop.token(grant)
    assert shop.call(READ, token=token).status_code == 200
    shop.issuer.revoke(kind, id, human=human)
    try:
        answer = shop.call(READ, token=token)
        decision = refusal(answer)
        assert (answer.status_code, decision["gate"], decision["rule"]) == (401, "standing", f"standing.{kind}")
        assert (challenge_of(answer) or {})["error"] == "invalid_token"
        assert (decision["user"], decision["agent"]) == (grant.session.sub, grant.agent)
        for attempt in (shop.post("tools/list", token=token), shop.buy(token=token), shop.audit(token)):
            assert refusal(attempt)["rule"] == f"standing.{kind}"
        assert shop.call(READ, token=shop.token(shop.grant(human=ALICE))).status_code == 200, "somebody else's"
    finally:
        if kind != "session":
            shop.issuer.reinstate(kind, id, human=human)
    if kind != "session":
        assert shop.call(READ, token=token).status_code == 200


def test_a_revoked_agent_is_revoked_in_every_session(shop: Shop) -> None:
    grant = shop.grant()
    other = shop.grant(software=grant.session.client_id)
    shop.issuer.revoke("agent", grant.agent)
    for one in (grant, other):
        assert refusal(shop.call(READ, token=shop.token(one)))["rule"] == "standing.agent"


def test_nothing_is_bought_with_what_was_revoked(shop: Shop) -> None:
    grant = shop.grant()
    token = shop.token(grant)
    first = order_of(shop.buy(token=token, key="k"))
    shop.issuer.revoke("session", grant.session.id)
    assert refusal(shop.buy(token=token, key="k"))["rule"] == "standing.session", "not even a replay"
    renewed = shop.grant(software=grant.session.client_id)
    again = order_of(shop.buy(token=shop.token(renewed), key="k"))
    assert (again["id"], again["replayed"]) == (first["id"], True)


def test_no_call_that_begins_after_the_answer_to_the_revocation_is_admitted(shop: Shop) -> None:
    """Agents that hammer while the human revokes: the answer to the revocation is the line between yes and no."""
    grants = [shop.grant(software="contract-hammer") for _ in range(4)]
    session = grants[0].session.id
    token = shop.token(grants[0])
    calls: list[tuple[float, int]] = []
    over = threading.Event()

    def hammer() -> None:
        with httpx2.Client(timeout=HANGS, trust_env=False, verify=False) as http:
            mine = Shop(shop.name, shop.base, shop.issuer, http)
            while not over.is_set():
                began = time.monotonic()
                # Listing is not limited, so that what stops it can only be the revocation.
                calls.append((began, mine.post("tools/list", token=token).status_code))

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    shop.issuer.revoke("session", session)
    revoked = time.monotonic()
    time.sleep(0.5)
    over.set()
    for thread in threads:
        thread.join(HANGS)
    before = [status for began, status in calls if began < revoked]
    after = [status for began, status in calls if began > revoked]
    assert 200 in before
    assert after
    assert set(after) == {401}


@pytest.mark.parametrize("kind", ["session", "agent"])
def test_a_call_that_was_asked_about_before_the_revocation_is_not_admitted_after_it(shop: Shop, kind: str) -> None:
    """CWE-367: what the authorization server said of the grant was true when it was asked, and is not any more."""
    shop.call(READ, token=shop.token())  # so that the shop is told of what is revoked
    grant = shop.grant()
    token, asked, revoked = shop.token(grant), threading.Event(), threading.Event()
    answers: list[httpx2.Response] = []

    async def late(scope: Any, receive: Any, send: Any) -> None:
        """The truth, told a moment later."""
        said: list[Any] = []

        async def keep(message: Any) -> None:
            said.append(message)

        await shop.issuer.switch.app(scope, receive, keep)
        asked.set()
        while not revoked.is_set():
            await asyncio.sleep(0.02)
        for message in said:
            await send(message)

    def buy() -> None:
        with httpx2.Client(timeout=HANGS, trust_env=False, verify=False) as http:
            answers.append(Shop(shop.name, shop.base, shop.issuer, http).buy(token=token))

    thread = threading.Thread(target=buy)
    with shop.issuer.answering(late, "/oauth2/introspect"):
        thread.start()
        assert asked.wait(60)
        acknowledged = shop.issuer.revoke(kind, grant.session.id if kind == "session" else grant.agent)
        revoked.set()
        thread.join(HANGS)
    assert refusal(answers[0])["rule"] == f"standing.{kind}"
    assert acknowledged[f"{shop.base}/mcp"]
    other = shop.token(shop.grant())
    assert shop.call(READ, token=other).status_code == 200


def test_a_shop_acknowledges_no_event_that_is_none_or_none_for_it(shop: Shop) -> None:
    shop.call(READ, token=shop.token())
    session = shop.grant().session
    user = {"format": "iss_sub", "iss": shop.issuer.url, "sub": session.sub}
    good: dict[str, Any] = {
        "iss": shop.issuer.url,
        "aud": shop.resource,
        "jti": "event_1",
        "iat": int(time.time()),
        "sub_id": {"format": "complex", "user": user, "session": {"format": "opaque", "id": session.id}},
        "events": {"https://schemas.openid.net/secevent/caep/event-type/session-revoked": {}},
    }
    push = functools.partial(pushed, shop)
    assert push(good).status_code == 202
    assert push(good).status_code == 202, "told twice"
    changes: list[tuple[dict[str, Any], str]] = [
        ({"iss": "https://elsewhere.example"}, "invalid_issuer"),
        ({"aud": "https://elsewhere.example/mcp"}, "invalid_audience"),
        ({"events": {"https://elsewhere.example/event": {}}}, "invalid_request"),
        ({"sub_id": {"format": "email", "email": "alice@example.com"}}, "invalid_request"),
        ({"sub_id": None}, "invalid_request"),
        ({"jti": None}, "invalid_request"),
    ]
    for change, err in changes:
        answer = push({**good, **change})
        assert (answer.status_code, answer.json()["err"]) == (400, err), change
    forged = jwt.encode({"alg": "ES256", "typ": "secevent+jwt", "kid": "mine"}, good, ECKey.generate_key("P-256"))
    for refused in (push(good, typ="at+jwt"), push(forged), push(good, kind="application/json"), push("x" * 100_000)):
        assert refused.status_code == 400


def pushed(
    shop: Shop, event: dict[str, Any] | str, *, typ: str = "secevent+jwt", kind: str = "application/secevent+jwt"
) -> httpx2.Response:
    """What a shop says to an event: claims that the authorization server signs, or anything else."""
    if isinstance(event, dict):
        claims = {name: value for name, value in event.items() if value is not None}
        event = shop.issuer.context.keys.sign(claims, typ=typ)
    return shop.http.post(f"{shop.base}/events", content=event, headers={"content-type": kind})


def test_a_token_that_the_client_handed_in_is_dead(shop: Shop) -> None:
    grant = shop.grant(software="demo-agent")
    token = shop.token(grant)
    assert shop.call(READ, token=token).status_code == 200
    form = {"token": token, "client_id": "demo-agent"}
    assert shop.http.post(f"{shop.issuer.url}/oauth2/revoke", data=form).status_code == 200
    answer = shop.call(READ, token=token)
    assert (answer.status_code, refusal(answer)["rule"]) == (401, "standing.token")


def test_a_revocation_that_was_pushed_is_on_record_once_with_who_and_why(shop: Shop) -> None:
    grant = shop.grant()
    shop.call(READ, token=shop.token(grant))
    user = {"format": "iss_sub", "iss": shop.issuer.url, "sub": grant.session.sub}
    cause = {"initiating_entity": "user", "reason_admin": {"en": "by the human"}}
    event = {
        "iss": shop.issuer.url,
        "aud": shop.resource,
        "jti": f"event_{grant.session.id}",
        "iat": int(time.time()),
        "sub_id": {"format": "complex", "user": user, "session": {"format": "opaque", "id": grant.session.id}},
        "events": {"https://schemas.openid.net/secevent/caep/event-type/session-revoked": cause},
    }
    for _ in range(2):
        assert pushed(shop, event).status_code == 202
    found = [one for one in shop.entries(shop.token(shop.grant(scope=("audit:read",)))) if one["gate"] == "event"]
    about = [one for one in found if one["session"] == grant.session.id]
    assert [(one["rule"], one["verdict"], one["user"]) for one in about] == [
        ("revoked.session", "deny", grant.session.sub)
    ]
    assert about[0]["correlation"] == event["jti"]
    assert "user: by the human" in about[0]["reason"]
