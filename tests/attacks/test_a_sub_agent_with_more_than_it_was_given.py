"""A sub-agent gets no more than was handed on to it, from who may hand it on, and for no longer (RFC 8693).

RFC 8693 section 5 (security considerations: who may exchange what), RFC 9449 section 2 (a token that was copied), RFC
9068 section 4 and RFC 8725 section 3.11 (an ID token in the place of an access token), CWE-269 (privilege management),
CWE-367 (an exchange beside a revocation). Each attack is also made on a server that leaves out just what stops it, and
succeeds there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from demo import proofs
from demo.auth_server.context import Context
from demo.auth_server.endpoints import oauth
from demo.auth_server.grants import sub_agents, subject_token, token_exchange
from demo.auth_server.grants.authorization_details import spending_details
from demo.auth_server.grants.subject_token import SubjectToken
from demo.auth_server.grants.tokens import actors
from demo.auth_server.requests import FormRequest
from demo.auth_server.state import sub_agents as kept
from demo.auth_server.state.accounts import ordered
from demo.auth_server.state.sessions import find_session, session_revocation
from deputize.oauth.dpop import ProofKey
from tests.conftest import HANGS
from tests.unit.auth_server.conftest import House, claims, clock, house, make_house
from tests.unit.auth_server.handing_on import Parent, SubKey, log_in

__all__ = ["clock", "house", "make_house"]

Attack = Callable[[House, Parent], bool]
"""Whether it got what it should not."""


def got(answer: httpx2.Response) -> bool:
    return answer.status_code == 200


def more_scopes(house: House, parent: Parent) -> bool:
    child = parent.child(SubKey("Reader"))
    return got(child.hand_on(SubKey("Orders"), scope="shop:read orders:read"))


def more_money(house: House, parent: Parent) -> bool:
    child = parent.child(SubKey("Buyer"), scope="shop:buy", authorization_details=house.spending(1000))
    answer = child.hand_on(SubKey("Spender"), scope="shop:buy", authorization_details=house.spending(6000))
    return got(answer)


def one_more_level(house: House, parent: Parent) -> bool:
    deep = parent.child(SubKey("One")).child(SubKey("Two"))
    return got(deep.hand_on(SubKey("Three")))


def a_stolen_token(house: House, parent: Parent) -> bool:
    return got(parent.hand_on(SubKey("Thief"), by=ProofKey.generate()))


def a_stolen_token_without_a_proof(house: House, parent: Parent) -> bool:
    return got(Parent(house, parent.token, None).hand_on(SubKey("Thief")))


def an_expired_token(house: House, parent: Parent) -> bool:
    house.clock.forward(301)
    return got(parent.hand_on(SubKey("Late")))


def a_revoked_token(house: House, parent: Parent) -> bool:
    house.http.post("/oauth2/revoke", data={"token": parent.token, "client_id": "demo-agent"})
    return got(parent.hand_on(SubKey("After")))


def an_id_token(house: House, parent: Parent) -> bool:
    id_token = house.login(scope="openid shop:read")["id_token"]
    return got(Parent(house, id_token, None).hand_on(SubKey("Reader")))


def the_token_of_another_client(house: House, parent: Parent) -> bool:
    rival = Parent(house, parent.token, parent.key, client_id="demo-rival")
    return got(rival.hand_on(SubKey("Rival")))


def another_resource(house: House, parent: Parent) -> bool:
    both = log_in(house, resource=[house.shop, house.account])
    return got(both.hand_on(SubKey("Account"), resource=house.account))


def the_agents_own_key(house: House, parent: Parent) -> bool:
    assert parent.key is not None
    return got(parent.hand_on(SubKey("Myself", parent.key.key)))


class Padded(ProofKey):
    """A key as its holder may write it: zeros before a coordinate change its thumbprint alone (RFC 7638)."""

    def actor_token(self, audience: str, name: str) -> str:
        jwk = self._key.as_dict(private=False)
        header = {"typ": "actor+jwt", "alg": "ES256", "jwk": {**jwk, "x": "AAAA" + str(jwk["x"])}}
        return jwt.encode(header, {"aud": audience, "name": name}, self._key, algorithms=["ES256"])


def padded(key: ProofKey) -> ProofKey:
    return Padded.from_json(key.to_json())


def the_agents_own_key_in_other_letters(house: House, parent: Parent) -> bool:
    assert parent.key is not None
    return got(parent.hand_on(SubKey("Myself", padded(parent.key.key))))


def a_revoked_key_in_other_letters(house: House, parent: Parent) -> bool:
    key = SubKey("Child")
    child = parent.child(key)
    house.http.post("/oauth2/revoke", data={"token": child.token, "client_id": "demo-agent"})
    assert not got(parent.hand_on(key))
    return got(parent.hand_on(SubKey("Child", padded(key.key))))


def the_place_of_the_agent_above(house: House, parent: Parent) -> bool:
    child = parent.child(SubKey("Child"))
    return bool(claims(child.token)["act"]["sub"] == claims(parent.token)["act"]["sub"])


def a_name_for_the_key_of_somebody_else(house: House, parent: Parent) -> bool:
    """An actor token that names a key which did not sign it: the sub-agent would be whoever has that."""
    header, payload, _ = ProofKey.generate().actor_token(house.base, "Somebody").split(".")
    *_, signature = ProofKey.generate().actor_token(house.base, "Somebody").split(".")
    return got(parent.hand_on(SubKey("Thief"), actor_token=f"{header}.{payload}.{signature}"))


def a_longer_life(house: House, parent: Parent) -> bool:
    house.clock.forward(200)
    child = parent.child(SubKey("Long-lived"), requested_expires_in="300")
    return bool(claims(child.token)["exp"] > claims(parent.token)["exp"])


def what_is_below_one_that_was_revoked(house: House, parent: Parent) -> bool:
    child = parent.child(SubKey("Child"))
    below = child.child(SubKey("Below"))
    house.http.post("/oauth2/revoke", data={"token": child.token, "client_id": "demo-agent"})
    return bool(house.introspect(below.token)["active"])


def believing(context: Context, request: FormRequest, **_: Any) -> SubjectToken:
    """A subject token that is believed: whatever this server signed, whoever brings it, whenever."""
    found = [context.keys.read(request.form["subject_token"], typ=typ) for typ in ("at+jwt", "JWT")]
    said = next(one for one in found if one is not None)
    with context.store.transaction() as connection:
        session = find_session(connection, said["sid"])
    assert session is not None
    said |= {"exp": context.now() + 300, "client_id": session.client_id, "scope": " ".join(session.scope)}
    said["aud"] = session.resources[0]
    return SubjectToken(said, session, actors(said) or (str(session.agent_id),), None)


def any_limit(context: Context, request: FormRequest, *_: Any, **__: Any) -> dict[str, Any]:
    (limit,) = spending_details(context, request.client, request.form["authorization_details"])
    return limit


def any_spelling(x: str, y: str) -> tuple[ECKey, str]:
    key = ECKey.import_key({"kty": "EC", "crv": "P-256", "x": x, "y": y})
    return key, key.thumbprint()


def no_chain(honest: Callable[..., str]) -> Callable[..., str]:
    return lambda *given, through, **named: honest(*given, through=tuple(reversed(through)), **named)


WEAK: dict[Attack, tuple[Any, str, Any]] = {
    more_scopes: (sub_agents, "_scope", lambda _, request, __: ordered(request.form["scope"].split())),
    more_money: (sub_agents, "_limit", any_limit),
    one_more_level: (sub_agents, "_check_subject", lambda *_: None),
    a_stolen_token: (subject_token, "bound_to", lambda _: None),
    a_stolen_token_without_a_proof: (subject_token, "bound_to", lambda _: None),
    an_expired_token: (token_exchange, "read_subject_token", believing),
    a_revoked_token: (subject_token, "session_revocation", lambda *_: None),
    an_id_token: (token_exchange, "read_subject_token", believing),
    the_token_of_another_client: (sub_agents, "_check_subject", lambda *_: None),
    another_resource: (sub_agents, "_audience", lambda _, request, __: request.form["resource"]),
    the_agents_own_key: (
        token_exchange,
        "read_subject_token",
        lambda *given, **named: replace(subject_token.read_subject_token(*given, **named), key=None),
    ),
    the_agents_own_key_in_other_letters: (proofs, "_key", any_spelling),
    a_revoked_key_in_other_letters: (proofs, "_key", any_spelling),
    the_place_of_the_agent_above: (sub_agents, "sign_access_token", no_chain(sub_agents.sign_access_token)),
    a_name_for_the_key_of_somebody_else: (sub_agents, "self_signed", None),
    a_longer_life: (token_exchange, "read_subject_token", believing),
    what_is_below_one_that_was_revoked: (
        oauth,
        "session_revocation",
        lambda connection, session, _: session_revocation(connection, session),
    ),
}


@pytest.mark.parametrize("attack", WEAK, ids=lambda one: one.__name__)
def test_it_gets_nothing_more(house: House, attack: Attack) -> None:
    assert not attack(house, log_in(house))


@pytest.mark.parametrize("attack", WEAK, ids=lambda one: one.__name__)
def test_it_bites_where_the_check_is_left_out(house: House, attack: Attack, monkeypatch: pytest.MonkeyPatch) -> None:
    place, name, weak = WEAK[attack]
    if attack is a_name_for_the_key_of_somebody_else:
        weak = lambda *_: ("k" * 43, {"aud": house.base})  # noqa: E731 - it has to know the house
    monkeypatch.setattr(place, name, weak)
    assert attack(house, log_in(house))


@pytest.mark.parametrize("weak", [False, True])
def test_of_an_exchange_beside_a_revocation_nothing_is_left(
    house: House, monkeypatch: pytest.MonkeyPatch, weak: bool
) -> None:
    """The sub-agent is revoked while it hands on without pause; what it handed on by then ends with it."""
    if weak:
        unaware = lambda connection, session, _: session_revocation(connection, session)  # noqa: E731
        monkeypatch.setattr(subject_token, "session_revocation", unaware)
        monkeypatch.setattr(oauth, "session_revocation", unaware)
    child = log_in(house).child(SubKey("Child"))
    answers: list[tuple[bool, httpx2.Response]] = []
    revoked, over, begun = threading.Event(), threading.Event(), threading.Event()

    def without_pause() -> None:
        with httpx2.Client(base_url=house.base, timeout=HANGS, verify=False) as http:
            own = Parent(House(house.base, house.clock, house.database, http), child.token, child.key)
            helper = SubKey("Helper")
            while not over.is_set() and len(answers) < 50:
                late = revoked.is_set()
                answers.append((late, own.hand_on(helper)))
                begun.set()
                if late:
                    return

    thread = threading.Thread(target=without_pause, daemon=True)
    thread.start()
    assert begun.wait(60)
    house.http.post("/oauth2/revoke", data={"token": child.token, "client_id": "demo-agent"})
    revoked.set()
    thread.join(HANGS)
    over.set()
    assert not thread.is_alive() and any(got(answer) for _, answer in answers)
    late = [answer for began_late, answer in answers if began_late and got(answer)]
    tokens = [answer.json()["access_token"] for _, answer in answers if got(answer)]
    standing = [one for one in tokens if house.introspect(one)["active"]]
    assert bool(late or standing) is weak


@pytest.mark.parametrize("handed_in", [False, True])
def test_whom_a_human_revoked_is_not_forgotten_for_the_many_that_came_after(
    house: House, monkeypatch: pytest.MonkeyPatch, handed_in: bool
) -> None:
    """A sub-agent hands on to many for a second each, so that it is forgotten, and comes back by its key. Before the
    human revokes it, it hands its own token in, since who does that may be forgotten."""
    monkeypatch.setattr(kept, "MOST_KEPT", kept.MOST_AT_ONCE + 1)
    parent, key = log_in(house), SubKey("Child")
    child = parent.child(key, requested_expires_in="5")
    for number in range(3):
        child.child(SubKey(f"Below {number}"), requested_expires_in="1")
    who = {"kind": "agent", "id": claims(child.token)["act"]["sub"]}
    if handed_in:
        form = {"token": child.token, "client_id": child.client_id}
        house.http.post("/oauth2/revoke", data=form).raise_for_status()
    house.http.post("/account/revoke", json=who, headers=house.console()).raise_for_status()
    house.clock.forward(10)
    parent.child(SubKey("Another"))
    assert not got(parent.hand_on(key))
    listed = house.http.get("/account/sessions", headers=house.console()).json()["sessions"]
    known = [one["name"] for session in listed for one in session["sub_agents"]]
    assert "Child" in known and len(known) < 5, "the others are forgotten"
