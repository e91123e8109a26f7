"""Who holds a request open until its authority is revoked does nothing by it afterwards.

To look and then to act is two things (CWE-367), and a client chooses how long its body takes, or when it sends a
second request beside the first. RFC 7009 section 2: a revocation takes place immediately.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import pytest

from demo.auth_server.endpoints import account
from demo.shop import introspection
from demo.shop.facts import Standing
from tests.conftest import HANGS
from tests.unit.auth_server.conftest import House, claims, clock, house, make_house
from tests.unit.shop.conftest import World, auth_server_running, open_world, world

__all__ = ["auth_server_running", "clock", "house", "make_house", "open_world", "world"]


def held_back(world: World, path: str, token: str, body: dict[str, Any], meanwhile: Any) -> int:
    """Send a request without its body, then do something else, then send the body; the answer's status."""
    sent = json.dumps(body).encode()
    with contextlib.closing(http.client.HTTPConnection(urlsplit(world.base).netloc, timeout=HANGS)) as one:
        one.putrequest("POST", path)
        one.putheader("authorization", f"Bearer {token}")
        one.putheader("content-type", "application/json")
        one.putheader("content-length", str(len(sent)))
        one.endheaders()
        deadline = time.monotonic() + 0.5  # a shop that looks before it waits has asked by then
        while "introspect" not in world.auth_server.asked and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.1)  # and was answered
        meanwhile()
        one.send(sent)
        return one.getresponse().status


@pytest.mark.parametrize("weakened", [False, True])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/account/door", {"door": "protected", "stock": 4242}),
        ("/policy/explain", {"user": "alice@example.com", "tool": "listMcpShopInventory"}),
    ],
)
def test_a_body_that_is_held_back_until_the_revocation_does_nothing(
    world: World, path: str, body: dict[str, Any], weakened: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = {"act": None, "client_id": "demo-console", "scope": "sessions:manage", "aud": f"{world.base}/account"}
    token = world.token(sub="user_grace", jti="the-admins", **console)
    if weakened:  # what the gates of a shop see that looks before it waits

        async def before(*_: Any) -> Standing:
            return Standing(True, True, username="grace@example.com", roles=("admin",))

        monkeypatch.setattr(introspection, "ask", before)
    status = held_back(world, path, token, body, lambda: world.auth_server.revoked.update({"the-admins": "session"}))
    assert status == (200 if weakened else 401)


@pytest.mark.parametrize("weakened", [False, True])
def test_a_console_that_loses_its_session_reinstates_nothing_after_the_answer(
    house: House, weakened: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its request has been let in; before it acts the human ends its session, from another console."""
    agent = claims(house.login()["access_token"])["act"]["sub"]
    stolen, own = house.console(), house.console()
    session = claims(stolen["Authorization"].partition(" ")[2])["sid"]
    wanted = {"kind": "agent", "id": agent}
    assert house.http.post("/account/revoke", json=wanted, headers=own).status_code == 200
    happened: list[str] = []
    threads: list[threading.Thread] = []
    honest = account._target

    def revoke() -> None:
        given = {"kind": "session", "id": session}
        assert house.http.post("/account/revoke", json=given, headers=own).status_code == 200
        happened.append("revoked")

    def while_it_is_served(body: bytes) -> Any:
        found = honest(body)
        if found == ("agent", agent):
            threads.append(threading.Thread(target=revoke))
            threads[0].start()
            threads[0].join(0.5)
            happened.append("acts")
        return found

    monkeypatch.setattr(account, "_target", while_it_is_served)
    if weakened:
        monkeypatch.setattr(account, "_whole", lambda *_: contextlib.nullcontext())
    status = house.http.post("/account/reinstate", json=wanted, headers=stolen).status_code
    threads[0].join(HANGS)
    assert status == 200
    assert happened[0] == ("revoked" if weakened else "acts")
