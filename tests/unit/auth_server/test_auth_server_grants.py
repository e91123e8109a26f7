"""A grant type is one class and one line: the metadata, the registration and the token endpoint follow."""

from __future__ import annotations

from authlib.oauth2.rfc6749 import BaseGrant, TokenEndpointMixin

from demo.auth_server import routes
from demo.auth_server.grants import GRANTS
from demo.auth_server.grants.server import Grant

TOY = "urn:example:toy"


class ToyGrant(Grant, BaseGrant, TokenEndpointMixin):
    """Issues the same to everybody."""

    GRANT_TYPE = TOY

    def validate_token_request(self):
        self.authenticate_token_endpoint_client()

    def create_token_response(self):
        return 200, {"access_token": "toy", "token_type": "Bearer"}, []


def registered(house, *grant_types):
    return house.http.post("/oauth2/register", json={"grant_types": [*grant_types], "client_name": "Toy"})


def asked(house, client):
    secret = (client["client_id"], client["client_secret"])
    return house.http.post("/oauth2/token", data={"grant_type": TOY}, auth=secret)


def test_a_grant_type_in_the_list_is_published_registered_and_served(make_house, monkeypatch):
    monkeypatch.setattr(routes, "GRANTS", (*GRANTS, ToyGrant))
    with make_house() as house:
        metadata = house.http.get("/.well-known/oauth-authorization-server").json()
        assert metadata["grant_types_supported"] == [grant.GRANT_TYPE for grant in (*GRANTS, ToyGrant)]
        client = registered(house, TOY).json()
        assert client["grant_types"] == [TOY]
        assert asked(house, client).json()["access_token"] == "toy"


def test_one_that_is_not_in_the_list_is_neither(house):
    assert TOY not in house.http.get("/.well-known/oauth-authorization-server").json()["grant_types_supported"]
    refused = registered(house, TOY)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_client_metadata")
    client = registered(house, "urn:ietf:params:oauth:grant-type:device_code").json()
    unsupported = asked(house, client)
    assert (unsupported.status_code, unsupported.json()["error"]) == (400, "unsupported_grant_type")
