"""What a token says of its human is told to the resource server that it is for, and to nobody else.

RFC 7662 section 4: an authorization server has to determine whether the protected resource may introspect the token.
One that may not is answered as for a token that is not active (section 2.2). And anybody can register a client with a
secret (RFC 7591), so that to have one is no sign of a resource server.
"""

from __future__ import annotations

from typing import Any

import pytest

from demo.auth_server.endpoints.oauth import IntrospectionEndpoint
from tests.unit.auth_server.conftest import CONSOLE, RESOURCE_SERVER, House, clock, house, make_house

__all__ = ["clock", "house", "make_house"]

PRIVATE = {"username", "name", "roles"}


def registered(house: House, **more: Any) -> tuple[str, str]:
    told = house.register(token_endpoint_auth_method="client_secret_basic", **more).json()
    return told["client_id"], told["client_secret"]


def introspect(house: House, token: str, auth: tuple[str, str]) -> Any:
    return house.http.post("/oauth2/introspect", data={"token": token}, auth=auth)


def test_a_client_with_a_secret_of_its_own_learns_nothing_of_anybodys_token(house: House) -> None:
    auth = registered(house)
    tokens = [house.login()["access_token"], house.login("grace@example.com", client_id="demo-rival")["access_token"]]
    tokens.append(
        house.login(client_id=CONSOLE, scope="openid sessions:manage", resource=house.account)["access_token"]
    )
    for token in tokens:
        answer = introspect(house, token, auth)
        assert (answer.status_code, answer.json()) == (200, {"active": False})


def test_nor_that_a_token_was_revoked(house: House) -> None:
    auth, token = registered(house), house.login()["access_token"]
    house.http.post("/oauth2/revoke", data={"token": token, "client_id": "demo-agent"})
    assert house.introspect(token) == {"active": False, "revoked": "token"}
    assert introspect(house, token, auth).json() == {"active": False}


def test_of_its_own_token_it_learns_what_is_in_it_and_not_who_the_human_is(house: House) -> None:
    client_id, secret = registered(house)
    token = house.exchange(house.code(client_id=client_id), client_id=None, auth=(client_id, secret)).json()
    told = introspect(house, token["access_token"], (client_id, secret)).json()
    assert told["active"] is True and told["client_id"] == client_id and not PRIVATE & set(told)
    assert introspect(house, token["access_token"], registered(house)).json() == {"active": False}


@pytest.mark.parametrize("where", ["userinfo", "itself"])
def test_the_resource_server_learns_of_tokens_for_it_alone(house: House, where: str) -> None:
    mine = house.login(resource=[house.shop, house.account])
    assert set(house.introspect(mine["access_token"])) >= PRIVATE
    if where == "itself":
        other = house.login(resource=None)
    else:
        other = house.refresh(mine["refresh_token"], resource=f"{house.base}/oauth2/userinfo").json()
    assert introspect(house, other["access_token"], RESOURCE_SERVER).json() == {"active": False}


def test_an_endpoint_that_tells_every_client_that_authenticates_tells_anybody_everything(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What these tests would see there."""
    monkeypatch.setattr(IntrospectionEndpoint, "check_permission", lambda *_: True)
    assert introspect(house, house.login()["access_token"], registered(house)).json()["sub"] == "user_alice"
