"""The human's own console is a client that nobody else can be, and what it holds cannot buy.

Its `client_id` is public, and a client that can be impersonated must not be let in on its identifier alone (RFC 8252
section 8.6, client impersonation). This one proves itself by `private_key_jwt` (RFC 7523 section 3).
"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OctKey

from demo.auth_server.clients import client as clients
from demo.auth_server.clients.assertions import ClientAssertion
from demo.auth_server.clients.client import Client
from tests.unit.auth_server.conftest import ASSERTION_TYPE, CONSOLE, House, assertion, claims, clock, house, make_house

__all__ = ["clock", "house", "make_house"]

OTHER = ECKey.generate_key("P-256")


def sent(house: House, given: str | None, **values: Any) -> Any:
    """A device authorization request as the console, with `given` for a proof."""
    proof = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": given} if given is not None else {}
    data = {"client_id": CONSOLE, "scope": "openid sessions:manage", "resource": house.account, **proof, **values}
    return house.http.post(
        "/oauth2/device_authorization", data={name: value for name, value in data.items() if value is not None}
    )


def unsigned(house: House) -> str:
    now = int(time.time())
    about = {"iss": CONSOLE, "sub": CONSOLE, "aud": house.base, "exp": now + 60, "jti": "none"}
    return jwt.encode({"alg": "none"}, about, OctKey.import_key("x" * 32), algorithms=["none"])


def with_its_own_key(house: House, name: str) -> str:
    """A header that brings the key along by which it verifies (CVE-2026-27962 at Authlib)."""
    now = int(time.time())
    about = {"iss": CONSOLE, "sub": CONSOLE, "aud": house.base, "iat": now, "exp": now + 60, "jti": name}
    brings = OTHER.as_dict(private=False) if name == "jwk" else "http://127.0.0.1:9/keys"
    registry = jws.JWSRegistry(algorithms=["ES256"], strict_check_header=False)
    return jws.serialize_compact({"alg": "ES256", name: brings}, json.dumps(about), OTHER, registry=registry)


PROOFS: dict[str, Any] = {
    "none": lambda house: None,
    "another's key": lambda house: assertion(house.base, key=OTHER),
    "no signature": unsigned,
    "for somebody else": lambda house: assertion("https://elsewhere.example"),
    "for another endpoint": lambda house: assertion(f"{house.base}/oauth2/token"),
    "for others too": lambda house: assertion(house.base, aud=[house.base, "https://elsewhere.example"]),
    "with a key of its own": lambda house: with_its_own_key(house, "jwk"),
    "with a place for keys of its own": lambda house: with_its_own_key(house, "jku"),
    "for nobody": lambda house: assertion(house.base, aud=None),
    "by another client": lambda house: assertion(house.base, iss="demo-agent"),
    "of another client": lambda house: assertion(house.base, iss="demo-agent", sub="demo-agent"),
    "expired": lambda house: assertion(house.base, exp=int(time.time()) - 60),
    "for ever": lambda house: assertion(house.base, exp=int(time.time()) + 10**6),
    "without an end": lambda house: assertion(house.base, exp=None),
    "without a name": lambda house: assertion(house.base, jti=None),
    "rubbish": lambda house: "a.b.c",
    "text": lambda house: "x",
}


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
@pytest.mark.parametrize("proof", list(PROOFS))
def test_who_knows_its_identifier_alone_is_not_the_console(house: House, proof: str) -> None:
    answer = sent(house, PROOFS[proof](house))
    assert answer.status_code in (400, 401) and answer.json()["error"] == "invalid_client", answer.text


def test_a_proof_is_good_once(house: House) -> None:
    proof = assertion(house.base)
    assert sent(house, proof).status_code == 200
    assert sent(house, proof).json()["error"] == "invalid_client"


@pytest.mark.parametrize("extra", [{"client_secret": "x"}, {"client_assertion_type": "urn:other"}])
def test_no_other_method_takes_the_keys_place(house: House, extra: dict[str, str]) -> None:
    assert sent(house, None, **extra).json()["error"] == "invalid_client"


def test_nobody_registers_by_its_name(house: House) -> None:
    told = house.register(client_id=CONSOLE, client_name="Control room", token_endpoint_auth_method="private_key_jwt")
    assert told.json()["error"] == "invalid_client_metadata"
    assert house.register(client_id=CONSOLE).json()["client_id"] != CONSOLE


def test_the_browser_flow_has_no_console(house: House) -> None:
    walk = house.authorize(client_id=CONSOLE)
    assert walk.left is None and walk.page.status_code == 400


def test_it_is_granted_no_shopping_and_no_money(house: House) -> None:
    asked = sent(house, assertion(house.base), scope="openid shop:read shop:buy orders:read demo:mode user:read")
    assert asked.status_code == 200
    house.browser().decide(asked.json()["user_code"])
    token = house.redeem(asked.json()["device_code"], CONSOLE).json()
    assert token["scope"] == "openid" and "authorization_details" not in claims(token["access_token"])
    money = sent(house, assertion(house.base), authorization_details=house.spending(6000))
    assert money.json()["error"] == "invalid_authorization_details"


def test_its_session_is_listed_and_revoked_like_any(house: House) -> None:
    mine, other = house.console(), house.console()
    listed = house.http.get("/account/sessions", headers=mine).json()["sessions"]
    assert [(one["client"], one["agent"]) for one in listed] == [(CONSOLE, None), (CONSOLE, None)]
    about_other = {"kind": "session", "id": listed[1]["id"]}
    assert house.http.post("/account/revoke", json=about_other, headers=mine).status_code == 200
    assert house.http.get("/account/sessions", headers=other).status_code == 401


def test_a_revoked_users_console_goes_on_and_still_cannot_buy(house: House) -> None:
    console = house.console()
    about = {"kind": "user", "id": "user_alice"}
    assert house.http.post("/account/revoke", json=about, headers=console).status_code == 200
    held = house.login(client_id=CONSOLE, scope="openid shop:buy audit:read", resource=house.shop)
    told = house.introspect(held["access_token"])
    assert told["active"] is True and told["scope"] == "openid audit:read"


def test_where_an_assertion_may_be_for_others_as_well_one_of_those_sends_it_on(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ClientAssertion, "validate_jti", lambda *_: True)
    assert sent(house, PROOFS["for others too"](house)).status_code == 200


def test_an_authorization_server_that_asks_the_console_for_no_key_lets_everybody_in(
    make_house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What these tests would see there: the key is what makes the difference."""
    honest = clients.known_clients

    def weakened(*given: Any) -> dict[str, Client]:
        return honest(*given) | {CONSOLE: Client(CONSOLE, "Control room", False)}

    monkeypatch.setattr("demo.auth_server.clients.client.known_clients", weakened)
    with make_house() as house:
        assert sent(house, None).status_code == 200
