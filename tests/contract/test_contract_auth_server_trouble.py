"""The authorization server is gone, hangs or answers nonsense; its secrets are wrong: refused by name and in time, on
record, and over as soon as the trouble is."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from demo.shop.catalog import say
from tests.contract.issuer import Issuer, silent
from tests.contract.process import ShopProcess
from tests.contract.shop import Shop, opened, order_of, refusal, until_refused, wording

READ = "listMcpShopInventory"
AGAIN, FIX = "main", "lasting"
"""What the refusal says to do: the variants of `standing.unknown`."""

App = Callable[[Any, Any, Any], Any]


def telling(status: int, body: bytes, kind: bytes = b"application/json") -> App:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})
        await send({"type": "http.response.body", "body": body})

    return app


async def hanging(scope: Any, receive: Any, send: Any) -> None:
    """Takes the connection and the request, and says nothing until the other side goes."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def dripping(scope: Any, receive: Any, send: Any) -> None:
    """Begins to answer, and goes on for longer than anybody here waits."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(600):
        await send({"type": "http.response.body", "body": b" ", "more_body": True})
        await asyncio.sleep(0.2)


HTML = telling(200, b"<!doctype html><p>Welcome to the conference wifi", b"text/html")
BROKEN = telling(500, b"<h1>500</h1>", b"text/html")
GARBAGE = telling(200, b'{"active": tru')
HUGE = telling(200, b"[" + b"1," * 200_000 + b"1]")
OTHER = telling(200, json.dumps({"issuer": "https://other.example", "jwks_uri": "https://other.example/keys"}).encode())

AT_FIRST: dict[str, tuple[App, str, str]] = {
    "hangs": (hanging, "late", AGAIN),
    "drips": (dripping, "late", AGAIN),
    "a captive portal": (HTML, "metadata_unreadable", AGAIN),
    "an internal error": (BROKEN, "metadata_unreadable", AGAIN),
    "unavailable": (silent, "metadata_unreadable", AGAIN),
    "garbage": (GARBAGE, "metadata_unreadable", AGAIN),
    "without end": (HUGE, "too_long", AGAIN),
    "nothing there": (telling(404, b"{}"), "no_metadata", FIX),
    "another issuer": (OTHER, "other_issuer", FIX),
}
LATER: dict[str, tuple[App, str, str]] = {
    "hangs": (hanging, "late", AGAIN),
    "drips": (dripping, "late", AGAIN),
    "a captive portal": (HTML, "nonsense", AGAIN),
    "an internal error": (BROKEN, "nonsense", AGAIN),
    "garbage": (GARBAGE, "nonsense", AGAIN),
    "without end": (HUGE, "too_long", AGAIN),
    "no clear yes": (telling(200, b'{"active": "yes"}'), "nonsense", AGAIN),
    "knows us no more": (telling(401, b"{}"), "unknown_shop", FIX),
}


def is_refused(answer: httpx2.Response, trouble: str, variant: str) -> str:
    """That a call was refused as `standing.unknown`; gives the id of its entry in the audit log."""
    decision = refusal(answer)
    assert (answer.status_code, decision["gate"], decision["rule"]) == (503, "standing", "standing.unknown")
    assert wording(decision) == (variant, {"trouble": say(trouble)})
    assert int(answer.headers["retry-after"]) >= 1
    return str(decision["audit_id"])


def test_an_auth_server_that_was_never_reached_is_named_and_then_the_same_token_passes(process: ShopProcess) -> None:
    """One shop that has read nothing yet, through every trouble in turn: none of them leaves anything behind."""
    told: list[str] = []
    process.issuer.stop()
    try:
        process.start()
        with opened(process.name, process.base, process.issuer) as shop:
            token = shop.token()
            told.append(is_refused(shop.buy(token=token, key="k"), "no_connection", AGAIN))
            process.issuer.start()
            for app, trouble, variant in AT_FIRST.values():
                with process.issuer.answering(app):
                    told.append(is_refused(shop.buy(token=token, key="k"), trouble, variant))
            order = order_of(shop.buy(token=token, key="k"))
            assert order["replayed"] is False, "nothing was bought before"
            reader = shop.token(shop.grant(scope=("audit:read",)))
            assert set(told) <= {entry["audit_id"] for entry in shop.entries(reader, limit=1000)}
    finally:
        process.issuer.stop()
        process.issuer.start()


@pytest.mark.parametrize("trouble", list(LATER))
def test_an_auth_server_that_gets_into_trouble_lets_nobody_in_and_loses_nothing(apart: Shop, trouble: str) -> None:
    app, why, variant = LATER[trouble]
    grant = apart.grant()
    token = apart.token(grant)
    first = order_of(apart.buy(token=token, key="k"))
    unseen = apart.token(apart.grant(software=grant.session.client_id))
    with apart.issuer.answering(app):
        audit_id = is_refused(apart.buy(token=unseen, key="k"), why, variant)
    again = order_of(apart.buy(token=token, key="k"))
    assert (again["id"], again["replayed"]) == (first["id"], True)
    assert audit_id in {entry["audit_id"] for entry in apart.entries(token, limit=1000)}


def test_a_connection_that_is_lost_before_an_answer_is_opened_once_more(apart: Shop) -> None:
    """Such as one that was kept open, and that the other side has just closed."""
    token = apart.token()
    lost = 0

    async def losing_the_first(scope: Any, receive: Any, send: Any) -> None:
        nonlocal lost
        if lost == 0:
            lost += 1
            receive.__self__.transport.abort()  # uvicorn's, which ASGI itself has no word for
            await hanging(scope, receive, send)
        else:
            await apart.issuer.switch.app(scope, receive, send)

    with apart.issuer.answering(losing_the_first, "/oauth2/introspect"):
        assert apart.call(READ, token=token).status_code == 200
    assert lost == 1


def test_an_auth_server_that_is_stopped_and_started_again_knows_the_same_token(apart: Shop) -> None:
    token = apart.token()
    first = order_of(apart.buy(token=token, key="k"))
    with apart.issuer.away():
        until_refused(apart, token)
        is_refused(apart.buy(token=token, key="k"), "no_connection", AGAIN)
        assert apart.call(READ, token=None).status_code == 401, "who has no token is told so by the shop alone"
        assert apart.call(READ, token=None, path="/open/mcp").status_code == 200
    again = order_of(apart.buy(token=token, key="k"))
    assert (again["id"], again["replayed"]) == (first["id"], True)


def test_keys_that_cannot_be_read_say_nothing_against_a_token(apart: Shop) -> None:
    """A new key's token while the set cannot be read: not known, and not a forgery."""
    assert apart.call(READ, token=apart.token()).status_code == 200
    time.sleep(1.1)  # The shop looks for an unknown key once a second at most.
    apart.issuer.context.keys.rotate()
    token = apart.token()
    with apart.issuer.answering(HTML, "/oauth2/jwks"):
        is_refused(apart.call(READ, token=token), "keys_unreadable", AGAIN)
        is_refused(apart.call(READ, token=token), "keys_unreadable", AGAIN)
    time.sleep(1.1)
    assert apart.call(READ, token=token).status_code == 200


@pytest.mark.parametrize("wrong", [{"INTROSPECTION_CLIENT_SECRET": "wrong"}, {"INTROSPECTION_CLIENT_ID": "unknown"}])
def test_credentials_that_the_auth_server_does_not_know_are_named_and_fixed_by_a_restart(
    process: ShopProcess, wrong: dict[str, str]
) -> None:
    process.start(**wrong)
    with opened(process.name, process.base, process.issuer) as shop:
        token = shop.token()
        is_refused(shop.buy(token=token, key="k"), "unknown_shop", FIX)
        process.stop()
        process.start()
        assert order_of(shop.buy(token=token, key="k"))["replayed"] is False


@pytest.fixture(autouse=True)
def _left_well(troubled: Issuer) -> Iterator[None]:
    yield
    answer = troubled.http.get(f"{troubled.url}/.well-known/oauth-authorization-server")
    assert answer.json()["issuer"] == troubled.url
