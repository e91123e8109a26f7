"""Event streams: how a resource server opens, verifies and closes one, and who may not (OpenID SSF 1.0, 7 and 8.1)."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from demo.auth_server.state.sessions import revoke_session
from demo.auth_server.state.store import Store
from deputize.net import free_port
from tests.contract.issuer import listening
from tests.unit.auth_server.conftest import RESOURCE_SERVER

SESSION_REVOKED = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
VERIFICATION = "https://schemas.openid.net/secevent/ssf/event-type/verification"
PUSH = "urn:ietf:rfc:8935"


@dataclass
class Receiver:
    """A resource server that takes events, or says what it is told to say."""

    port: int
    status: int = 202
    taken: list[str] = field(default_factory=list)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def receive(self, request: Request) -> Response:
        self.taken.append((await request.body()).decode())
        return Response(status_code=self.status)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver(free_port())
    with listening(Starlette(routes=[Route("/events", one.receive, methods=["POST"])]), one.port):
        yield one


@pytest.fixture
def house(make_house: Any, receiver: Receiver) -> Iterator[Any]:
    with make_house(more_resources=lambda: (f"{receiver.base}/mcp",), lease_seconds=0.9) as made:
        yield made


def wanted(endpoint: str, **changes: Any) -> dict[str, Any]:
    asked = {"delivery": {"method": PUSH, "endpoint_url": endpoint}, "events_requested": [SESSION_REVOKED]}
    return {**asked, **changes}


def opened(house: Any, receiver: Receiver) -> dict[str, Any]:
    answer = house.http.post("/ssf/streams", json=wanted(f"{receiver.base}/events"), auth=RESOURCE_SERVER)
    assert answer.status_code == 201
    return dict(answer.json())


def verify(house: Any, stream: dict[str, Any], state: str) -> int:
    asked = {"stream_id": stream["stream_id"], "state": state}
    return int(house.http.post("/ssf/verify", json=asked, auth=RESOURCE_SERVER).status_code)


def claims_of(house: Any, event: str) -> dict[str, Any]:
    found = jwt.decode(event, KeySet.import_key_set(house.http.get("/oauth2/jwks").json()), algorithms=["ES256"])
    assert found.header["typ"] == "secevent+jwt"
    return dict(found.claims)


def test_the_metadata_say_how_a_stream_is_opened_and_verified(house: Any, receiver: Receiver) -> None:
    said = house.http.get("/.well-known/ssf-configuration").json()
    assert (said["issuer"], said["spec_version"]) == (house.base, "1_0")
    assert said["delivery_methods_supported"] == [PUSH]
    stream = opened(house, receiver)
    assert (stream["iss"], stream["aud"]) == (house.base, f"{receiver.base}/mcp")
    assert stream["events_delivered"] == [SESSION_REVOKED]
    assert stream["lease_seconds"] < 0.9
    for endpoint, query in (("configuration", True), ("status", True)):
        url = said[f"{endpoint}_endpoint"] + (f"?stream_id={stream['stream_id']}" if query else "")
        assert house.http.get(url, auth=RESOURCE_SERVER).json()["stream_id"] == stream["stream_id"]
    assert house.http.get(said["configuration_endpoint"], auth=RESOURCE_SERVER).json() == [stream]
    assert verify(house, stream, "a state") == 204
    (event,) = receiver.taken
    claims = claims_of(house, event)
    assert claims["sub_id"] == {"format": "opaque", "id": stream["stream_id"]}
    assert claims["events"] == {VERIFICATION: {"state": "a state"}}
    url = f"/ssf/streams?stream_id={stream['stream_id']}"
    assert house.http.delete(url, auth=RESOURCE_SERVER).status_code == 204
    assert house.http.get(url, auth=RESOURCE_SERVER).status_code == 404
    assert verify(house, stream, "another") == 404


def test_only_the_resource_server_manages_streams(house: Any, receiver: Receiver) -> None:
    registered = house.http.post(
        "/oauth2/register", json={"redirect_uris": ["https://client.example/cb"], "client_name": "Somebody"}
    ).json()
    others = [None, (RESOURCE_SERVER[0], "wrong"), (registered["client_id"], registered["client_secret"])]
    for auth in others:
        answer = house.http.post("/ssf/streams", json=wanted(f"{receiver.base}/events"), auth=auth)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic")


@pytest.mark.parametrize(
    ("status", "changes", "endpoint"),
    [
        (403, {}, "http://127.0.0.1:9/events"),
        (403, {}, "https://elsewhere.example/events"),
        (403, {}, "{base}/oauth2/token"),
        (400, {}, "http://192.168.0.1/events"),
        (400, {}, "{base}/events#x"),
        (400, {}, "{base}/events?x"),
        (400, {"delivery": {"method": "urn:ietf:rfc:8936"}}, ""),
        (400, {"delivery": None}, ""),
        (400, {"events_requested": []}, "{base}/events"),
        (400, {"events_requested": "x"}, "{base}/events"),
    ],
)
def test_events_are_pushed_to_a_resource_servers_own_origin_alone(
    house: Any, receiver: Receiver, status: int, changes: dict[str, Any], endpoint: str
) -> None:
    asked = wanted(endpoint.format(base=receiver.base)) | changes
    assert house.http.post("/ssf/streams", json=asked, auth=RESOURCE_SERVER).status_code == status


def test_a_resource_server_has_one_stream(house: Any, receiver: Receiver) -> None:
    opened(house, receiver)
    again = house.http.post("/ssf/streams", json=wanted(f"{receiver.base}/events"), auth=RESOURCE_SERVER)
    assert again.status_code == 409


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"x" * 10_000, b'{"stream_id": 1}', b'{"stream_id": null}'])
def test_what_is_no_request_is_refused(house: Any, receiver: Receiver, body: bytes) -> None:
    for path in ("/ssf/streams", "/ssf/verify"):
        assert house.http.post(path, content=body, auth=RESOURCE_SERVER).status_code in (400, 404)


@pytest.mark.parametrize("state", ["\ud800", "x" * 257, 1, ["x"]])
def test_a_state_that_is_no_text_is_refused(house: Any, receiver: Receiver, state: Any) -> None:
    asked = {"stream_id": opened(house, receiver)["stream_id"], "state": state}
    answer = house.http.post("/ssf/verify", content=json.dumps(asked), auth=RESOURCE_SERVER)
    assert (answer.status_code, receiver.taken) == (400, [])


def revoke(house: Any, kind: str, id: str) -> tuple[dict[str, Any], float]:
    console, began = house.console(), time.monotonic()
    answer = house.http.post("/account/revoke", json={"kind": kind, "id": id}, headers=console)
    assert answer.status_code == 200
    return answer.json(), time.monotonic() - began


@pytest.mark.parametrize("kind", ["session", "agent", "user"])
def test_a_revocation_says_who_acknowledged_it_and_whose_it_is(
    house: Any, receiver: Receiver, read_claims: Any, kind: str
) -> None:
    claims = read_claims(house.login()["access_token"])
    id = {"session": claims["sid"], "agent": claims["act"]["sub"], "user": claims["sub"]}[kind]
    verify(house, opened(house, receiver), "one")
    answer, _ = revoke(house, kind, id)
    (told,) = answer["delivered"]
    assert (told["resource"], told["acknowledged"]) == (f"{receiver.base}/mcp", True)
    event = claims_of(house, receiver.taken[-1])
    assert (event["jti"], event["aud"]) == (told["event"], f"{receiver.base}/mcp")
    assert event["sub_id"]["user"]["sub"] == claims["sub"], "with the user, always"
    assert event["sub_id"].get("session", {}).get("id") == (id if kind == "session" else None)
    assert event["sub_id"].get("application", {}).get("id") == (id if kind == "agent" else None)
    assert revoke(house, kind, id)[0]["delivered"] == [], "asked twice it is told once"


def test_who_acknowledges_nothing_is_waited_for_until_its_lease_is_over_and_is_not_verified_meanwhile(
    house: Any, receiver: Receiver, read_claims: Any
) -> None:
    claims = read_claims(house.login()["access_token"])
    stream = opened(house, receiver)
    verify(house, stream, "one")
    receiver.status = 500
    answer, took = revoke(house, "session", claims["sid"])
    (told,) = answer["delivered"]
    assert not told["acknowledged"]
    assert took > 0.8
    # Its lease is over; whatever is revoked now, it relies on nothing, and nobody waits for it.
    time.sleep(1.0)
    assert revoke(house, "agent", claims["act"]["sub"])[0]["delivered"] == []


def test_a_stream_is_not_verified_before_all_is_acknowledged(house: Any, receiver: Receiver, read_claims: Any) -> None:
    claims = read_claims(house.login()["access_token"])
    stream = opened(house, receiver)
    receiver.status = 500
    with contextlib.closing(Store(house.database)) as store, store.transaction() as connection:
        revoke_session(connection, claims["sid"], kind="session", by="x", now=0.0)
    verify(house, stream, "one")
    assert not any(VERIFICATION in claims_of(house, one)["events"] for one in receiver.taken)
    receiver.status = 202
    verify(house, stream, "two")
    events = [claims_of(house, one)["events"] for one in receiver.taken]
    assert list(events[-1]) == [VERIFICATION], "the verification comes last"
