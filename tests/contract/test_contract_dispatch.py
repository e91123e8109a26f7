"""What is behind the shop is told of each order once, by a transaction token for that order alone; the agent's own
token is not passed on. At both shops, with the authorization server that makes such tokens, and the warehouse."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from demo.local_server import WAREHOUSE
from tests.contract.issuer import GRACE, Issuer
from tests.contract.process import ShopProcess
from tests.contract.shop import Shop, opened, order_of, refusal

SECONDS = 30.0
TO = {"tshirtSize": "L", "company": "Acmé", "mailingAddress": "1 Mäin St 😀"}


@dataclass
class Behind:
    """All that comes to the warehouse; it may be shut, and may hold back that it is."""

    issuer: Issuer
    received: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)
    shut: bool = False
    held: bool = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        messages = [await receive()]
        while messages[-1].get("more_body"):
            messages.append(await receive())
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        self.received.append((headers, json.loads(b"".join(one["body"] for one in messages))))
        if shut := self.shut or self.held:
            while self.held:
                await asyncio.sleep(0.01)
        if shut:
            await send({"type": "http.response.start", "status": 503, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return

        async def again() -> Any:
            return messages.pop(0) if messages else await receive()

        await self.issuer.switch.app(scope, again, send)

    def of(self, order: str) -> list[tuple[dict[str, str], dict[str, Any]]]:
        """What was received of one order: headers and body."""
        return [one for one in self.received if one[1]["order"] == order]


@contextlib.contextmanager
def watched(issuer: Issuer) -> Iterator[Behind]:
    behind = Behind(issuer)
    with issuer.answering(behind, WAREHOUSE):
        yield behind


@pytest.fixture
def behind(shop: Shop) -> Iterator[Behind]:
    with watched(shop.issuer) as seen:
        yield seen


def told(shop: Shop, reader: str, order: str) -> httpx2.Response:
    headers = {"authorization": f"Bearer {reader}"}
    return shop.http.get(f"{shop.base}/audit/dispatch", params={"order": order}, headers=headers)


def until(shop: Shop, reader: str, order: str, state: str) -> dict[str, Any]:
    """Wait until this became of an order; where it waits, until it was tried."""
    deadline = time.monotonic() + SECONDS
    while True:
        answer = told(shop, reader, order)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        if found["state"] == state and found["tries"]:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def parcel(issuer: Issuer, order: str) -> tuple[Any, ...] | None:
    """What the warehouse has of an order."""
    with contextlib.closing(sqlite3.connect(issuer.state / "server.sqlite3")) as connection:
        found: tuple[Any, ...] | None = connection.execute(
            "SELECT txn, amount, size, company, address, user FROM warehouse_parcels WHERE order_id = ?", (order,)
        ).fetchone()
    return found


def part(token: str, number: int) -> dict[str, Any]:
    text = token.split(".")[number]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return found


def test_an_order_is_told_once_by_a_token_for_it_alone(shop: Shop, behind: Behind) -> None:
    grant = shop.grant()
    token = shop.token(grant)
    ids = {order_of(shop.buy(token=token, key="one", **TO))["id"] for _ in range(2)}
    (order,) = ids
    found = until(shop, token, order, "sent")
    assert {**found, "at": None} == {
        "order": order, "state": "sent", "tries": 1, "txn": found["txn"], "why": None, "at": None,
    }  # fmt: skip
    assert parcel(shop.issuer, order) == (
        found["txn"], 2500, TO["tshirtSize"], TO["company"], TO["mailingAddress"], grant.session.sub,
    )  # fmt: skip
    ((headers, body),) = behind.of(order)
    assert "authorization" not in headers
    assert not [one for one in token.split(".") if one in json.dumps([headers, body])], "the agent's token"
    claims = part(headers["txn-token"], 1)
    assert part(headers["txn-token"], 0)["typ"] == "txntoken+jwt"
    assert claims["txn"] == found["txn"]
    assert (claims["aud"], claims["scope"]) == (f"{shop.issuer.url}/internal", "order.ship")
    assert 0 < claims["exp"] - claims["iat"] <= 30
    about = {"order": order, "tool": "buyMcpShopItem", "amount": 2500, "currency": "USD"}
    assert {name: claims["tctx"][name] for name in about} == about
    assert claims["rctx"] == {
        "agents": [grant.agent],
        "client_id": grant.session.client_id,
        "sid": grant.session.id,
        "consent_id": grant.session.consent_id,
    }


def handed(issuer: Issuer, token: str, body: dict[str, Any], **changed: Any) -> httpx2.Response:
    """Hand the warehouse an order by this token."""
    return issuer.http.post(issuer.url + WAREHOUSE, json={**body, **changed}, headers={"txn-token": token})


@dataclass(frozen=True)
class Copied:
    """What somebody copied on its way from the shop to the warehouse, and the agent's token."""

    shop: Shop
    agents: str
    token: str
    body: dict[str, Any]

    def refused(self, **changed: Any) -> str | None:
        answer = handed(self.shop.issuer, self.token, self.body, **changed)
        return None if answer.is_success else str(answer.json()["error_description"])


def late(copied: Copied) -> str | None:
    with copied.shop.issuer.clock_ahead(60):
        return copied.refused()


def agents(copied: Copied) -> str | None:
    answer = handed(copied.shop.issuer, copied.agents, copied.body)
    return None if answer.is_success else str(answer.json()["error_description"])


ATTACKS: dict[str, tuple[Callable[[Copied], str | None], str]] = {
    "another order": (lambda copied: copied.refused(order="order_another"), "details"),
    "another amount": (lambda copied: copied.refused(amount=1), "details"),
    "another tool": (lambda copied: copied.refused(tool="refund"), "details"),
    "another address": (lambda copied: copied.refused(address="2 Side Alley"), "details"),
    "late": (late, "expired"),
    "the agent's own token": (agents, "type"),
}


def test_a_copied_token_is_good_for_nothing_else(shop: Shop, behind: Behind) -> None:
    token = shop.token()
    order = order_of(shop.buy(token=token))["id"]
    until(shop, token, order, "sent")
    ((headers, body),) = behind.of(order)
    copied = Copied(shop, token, headers["txn-token"], body)
    assert {name: attack(copied) for name, (attack, _) in ATTACKS.items()} == {
        name: fault for name, (_, fault) in ATTACKS.items()
    }
    again = handed(shop.issuer, copied.token, body)
    assert (again.status_code, again.json()["taken"]) == (200, False), "replayed, it sends nothing twice"
    # Nor does it open the shop itself, whose own token it is not.
    assert refusal(shop.buy(token=copied.token))["gate"] == "token"
    assert told(shop, copied.token, order).status_code == 401


def test_who_may_not_read_an_orders_trail_learns_nothing_of_it(shop: Shop) -> None:
    token, admin = shop.token(), shop.token(shop.grant(human=GRACE))
    hers = order_of(shop.buy(token=admin))["id"]
    his = order_of(shop.buy(token=token))["id"]
    until(shop, admin, hers, "sent")
    assert [told(shop, token, order).status_code for order in (hers, "order_none", "")] == [404] * 3
    assert told(shop, shop.token(shop.grant(scope=("openid", "shop:read"))), his).status_code == 403
    assert until(shop, admin, his, "sent")["order"] == his, "an admin reads all"


def test_an_order_that_waits_when_its_session_is_revoked_is_never_told(shop: Shop, behind: Behind) -> None:
    behind.held = True
    grant = shop.grant()
    token = shop.token(grant)
    order = order_of(shop.buy(token=token))["id"]
    deadline = time.monotonic() + SECONDS
    while not behind.of(order):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    shop.issuer.revoke("session", grant.session.id)
    behind.held = False
    assert refusal(shop.call("listMcpShopInventory", token=token))["rule"] == "standing.session"
    reader = shop.token()
    if shop.name == "local":
        assert until(shop, reader, order, "cancelled")["txn"] is None
    while shop.name != "local" and told(shop, reader, order).json()["tries"] <= len(behind.of(order)):
        assert time.monotonic() < deadline  # the exchange itself is refused now
        time.sleep(0.05)
    assert told(shop, reader, order).json()["txn"] is None
    assert parcel(shop.issuer, order) is None


def test_what_waits_when_the_shop_is_killed_goes_out_at_the_next_call_of_its_session(process: ShopProcess) -> None:
    with watched(process.issuer) as behind, opened(process.name, process.base, process.issuer) as shop:
        behind.shut = True
        process.start(WAREHOUSE=process.issuer.url + WAREHOUSE)
        grant = shop.grant()
        token = shop.token(grant)
        order = order_of(shop.buy(token=token))["id"]
        until(shop, token, order, "waiting")
        process.kill()
        behind.shut, before = False, len(behind.of(order))
        process.start(WAREHOUSE=process.issuer.url + WAREHOUSE)
        shop.call("listMcpShopOrders", token=shop.token())
        assert (len(behind.of(order)), parcel(process.issuer, order)) == (before, None), "by nobody else's token"
        shop.call("listMcpShopOrders", token=token)
        until(shop, token, order, "sent")
        assert parcel(process.issuer, order) is not None
