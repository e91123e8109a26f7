"""Agents that hand on what they have (RFC 8693), as tests speak to an authorization server for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx2

from deputize.oauth.dpop import ProofKey
from tests.unit.auth_server.conftest import DEVICE_CODE, House

TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
JWT = "urn:ietf:params:oauth:token-type:jwt"


class SubKey:
    """A sub-agent's key, and what it calls itself."""

    def __init__(self, name: str, key: ProofKey | None = None) -> None:
        self.key, self.name = key or ProofKey.generate(), name


@dataclass
class Parent:
    """An agent with a token, bound to `key` where there is one."""

    house: House
    token: str
    key: SubKey | None
    client_id: str = "demo-agent"

    def fields(self, child: SubKey, **given: Any) -> dict[str, Any]:
        """What an exchange for this sub-agent asks for; None leaves a field out."""
        fields = {
            "grant_type": TOKEN_EXCHANGE,
            "client_id": self.client_id,
            "subject_token": self.token,
            "subject_token_type": ACCESS_TOKEN,
            "actor_token": child.key.actor_token(self.house.base, child.name),
            "actor_token_type": JWT,
            "scope": "shop:read",
            **given,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def hand_on(self, child: SubKey, *, by: ProofKey | None = None, **given: Any) -> httpx2.Response:
        """Ask for it, with a proof of our own key, or of the one that is named."""
        key = by or (self.key.key if self.key else None)
        return post(self.house, key, self.fields(child, **given))

    def child(self, child: SubKey, **given: Any) -> Parent:
        """The sub-agent, with its token."""
        return Parent(self.house, handed(self.hand_on(child, **given))["access_token"], child)


def post(house: House, key: ProofKey | None, fields: dict[str, Any]) -> httpx2.Response:
    """A token request, once more where the server asks for a nonce."""
    for _ in range(2):
        headers = {"dpop": key.proof("POST", house.base + "/oauth2/token")} if key else {}
        answer = house.http.post("/oauth2/token", data=fields, headers=headers)
        if key is None or not key.heard(house.base, answer.headers.get("dpop-nonce")):
            break
    return answer


def handed(answer: httpx2.Response) -> dict[str, Any]:
    """The token response of an exchange that went well."""
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def log_in(house: House, **values: Any) -> Parent:
    """The agent that Alice said yes to, with a key and 60 USD."""
    asked = house.ask(**{"authorization_details": house.spending(), **values}).json()
    house.browser().decide(asked["user_code"])
    own = SubKey("Shirt Agent")
    answer = post(
        house,
        own.key,
        {"grant_type": DEVICE_CODE, "device_code": asked["device_code"], "client_id": "demo-agent"},
    )
    return Parent(house, handed(answer)["access_token"], own)
