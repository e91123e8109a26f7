"""The shop's event stream: what is verified in time is relied on, and whatever is not is asked about (SSF 1.0, 8.1)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.conftest import HANGS

VERIFICATION = "https://schemas.openid.net/secevent/ssf/event-type/verification"
SESSION_REVOKED = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
READ = "listMcpShopInventory"


@dataclass
class Transmitter:
    """The authorization server's side of streams, with every switch a test needs."""

    auth_server: Any
    shop: str
    lease: Any = 5.0
    issuer: str | None = None
    verifies: bool = True
    status: int = 204
    streams: list[dict[str, Any]] = field(default_factory=list)
    read: int = 0
    opened: int = 0
    states: list[str] = field(default_factory=list)
    pushed: list[int] = field(default_factory=list)

    async def answer(self, request: Request) -> Response:
        issuer = self.auth_server.issuer
        if request.url.path.startswith("/.well-known/"):
            self.read += 1
            return JSONResponse(
                {
                    "issuer": self.issuer or issuer,
                    "delivery_methods_supported": ["urn:ietf:rfc:8935"],
                    "configuration_endpoint": f"{issuer}/ssf/streams",
                    "verification_endpoint": f"{issuer}/ssf/verify",
                }
            )
        if request.url.path == "/ssf/streams" and request.method == "GET":
            return JSONResponse(self.streams)
        given = await request.json()
        if request.url.path == "/ssf/streams":
            self.opened += 1
            self.streams = [{**given, "stream_id": f"stream_{self.opened}", "lease_seconds": self.lease}]
            return JSONResponse(self.streams[0], 201)
        if given["stream_id"] not in [one["stream_id"] for one in self.streams]:
            return Response(status_code=404)
        if self.verifies and self.status == 204:
            self.states.append(given["state"])
            async with httpx2.AsyncClient(verify=False) as http:
                answer = await http.post(**self.event({VERIFICATION: {"state": given["state"]}}))
            self.pushed.append(answer.status_code)
        return Response(status_code=self.status)

    def event(self, events: dict[str, Any], **claims: Any) -> dict[str, Any]:
        said = {
            "iss": self.auth_server.issuer,
            "aud": f"{self.shop}/mcp",
            "jti": f"event_{time.monotonic_ns()}",
            "iat": int(time.time()),
            "sub_id": {"format": "opaque", "id": "stream_1"},
            "events": events,
            **claims,
        }
        token = self.auth_server.sign(said, header={"typ": "secevent+jwt"})
        return {
            "url": f"{self.shop}/events",
            "content": token,
            "headers": {"content-type": "application/secevent+jwt"},
        }


@pytest.fixture
def told(world: Any) -> Callable[..., Transmitter]:
    def begin(**switches: Any) -> Transmitter:
        transmitter = Transmitter(world.auth_server, world.base, **switches)
        world.auth_server.streams = transmitter.answer
        return transmitter

    return begin


def until(what: Callable[[], bool], seconds: float = HANGS) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "that did not come"
        time.sleep(0.02)


def questions(world: Any, token: str, calls: int = 3) -> int:
    """How often introspection is asked about so many calls."""
    before = world.auth_server.asked.count("introspect")
    for _ in range(calls):
        assert world.post("tools/list", token=token).status_code == 200
    return int(world.auth_server.asked.count("introspect") - before)


def relied_on(world: Any, token: str) -> Callable[[], bool]:
    """Whether a call with this token asks nobody."""
    return lambda: questions(world, token, 1) == 0


def test_a_grant_is_asked_about_once_while_the_stream_is_verified(world: Any, told: Callable[..., Transmitter]) -> None:
    transmitter, token = told(), world.token()
    until(relied_on(world, token))
    assert questions(world, token) == 0
    until(lambda: len(transmitter.states) >= 3)
    assert questions(world, token) == 0
    assert (transmitter.opened, transmitter.read) == (1, 1)
    assert set(transmitter.pushed) == {202}
    assert len(set(transmitter.states)) == len(transmitter.states), "a state is good once"
    assert questions(world, world.token(sid="session_other"), 1) == 1, "another grant is another question"


def test_an_event_has_the_grant_asked_about_again(world: Any, told: Callable[..., Transmitter]) -> None:
    transmitter, token = told(), world.token(sid="session_mine")
    until(relied_on(world, token))
    subject = {"format": "complex", "session": {"format": "opaque", "id": "session_mine"}}
    assert httpx2.post(**transmitter.event({SESSION_REVOKED: {}}, sub_id=subject), verify=False).status_code == 202
    assert questions(world, token, 1) == 1


@pytest.mark.parametrize(
    "switches",
    [
        {"lease": None},
        {"lease": 4.9},
        {"lease": "5"},
        {"lease": [5]},
        {"issuer": "https://elsewhere.example"},
        {"verifies": False},
    ],
    ids=[
        "promises nothing",
        "promises too little",
        "promises a word",
        "promises a list",
        "is another",
        "verifies nothing",
    ],
)
def test_who_vouches_for_nothing_is_asked_about_each_call(
    world: Any, told: Callable[..., Transmitter], switches: dict[str, Any]
) -> None:
    told(**switches)
    token = world.token()
    assert questions(world, token, 1) == 1
    time.sleep(0.3)
    assert questions(world, token) == 3


def test_an_authorization_server_without_streams_is_asked_about_each_call(world: Any) -> None:
    assert questions(world, world.token()) == 3


def test_a_verification_that_fails_ends_what_was_relied_on(world: Any, told: Callable[..., Transmitter]) -> None:
    transmitter, token = told(), world.token()
    until(relied_on(world, token))
    transmitter.status = 503
    until(lambda: questions(world, token, 1) == 1, 4.0)
    assert questions(world, token) == 3
    transmitter.status = 204
    until(relied_on(world, token))


def test_a_stream_that_is_gone_is_opened_anew(world: Any, told: Callable[..., Transmitter]) -> None:
    transmitter, token = told(), world.token()
    until(relied_on(world, token))
    transmitter.streams = []
    until(lambda: transmitter.opened == 2)
    until(relied_on(world, token))


def test_a_verification_that_nobody_asked_for_or_that_comes_again_is_refused(
    world: Any, told: Callable[..., Transmitter]
) -> None:
    transmitter, token = told(), world.token()
    until(relied_on(world, token))
    for state in ({}, {"state": "made up"}, {"state": 1}, {"state": "\ud800"}, {"state": transmitter.states[0]}):
        answer = httpx2.post(**transmitter.event({VERIFICATION: state}), verify=False)
        assert (answer.status_code, answer.json()["err"]) == (400, "invalid_state")
