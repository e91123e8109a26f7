"""A shop that is killed in the middle of its work, and the ledger that the next one finds."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import httpx2

STOCK = 10_000

SERVE = """
import sys, contextlib, pathlib, uvicorn
from starlette.applications import Starlette
from demo.shop.app import create_shop
from demo.shop.config import ShopConfig
port, database, issuer, client, secret = sys.argv[1:]
shop = create_shop(ShopConfig(base_url=f"http://127.0.0.1:{port}", database=pathlib.Path(database), issuer=issuer,
    introspection=(client, secret), rate_calls=10_000, purchases_per_consent=10_000, stock=10_000))
@contextlib.asynccontextmanager
async def lifespan(app):
    async with shop.lifespan():
        yield
uvicorn.run(Starlette(routes=shop.routes, lifespan=lifespan), host="127.0.0.1", port=int(port), log_level="critical")
"""


def test_a_killed_shop_has_each_order_once_with_its_key_and_its_audit_entry(open_world: Any, limit_of: Any) -> None:
    world = open_world(rate_calls=10_000, purchases_per_consent=10_000, stock=STOCK)
    token = world.token(authorization_details=[limit_of(10**9, f"{world.base}/mcp")])
    world.stop()
    port, credentials = world.base.rsplit(":", 1)[1], world.authority.credentials
    command = [sys.executable, "-c", SERVE, port, str(world.database), world.authority.issuer, *credentials]
    process = subprocess.Popen(command)
    told: dict[str, str] = {}

    def buy(number: int) -> None:
        try:
            answer = world.buy(token=token, key=f"k{number}")
            told[f"k{number}"] = answer.json()["result"]["structuredContent"]["order"]["id"]
        except (httpx2.HTTPError, ValueError):
            pass  # Killed before, while or after it bought: the ledger knows, this client does not.

    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                world.http.get(world.base)
                break
            except httpx2.HTTPError:
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.05)
        with ThreadPoolExecutor(8) as pool:
            attempts = [pool.submit(buy, number) for number in range(60)]
            while len(told) < 10:
                assert time.monotonic() < deadline
                time.sleep(0.005)
            process.kill()
            for attempt in attempts:
                attempt.result(timeout=30)
    finally:
        process.kill()
        process.wait(10)
    assert 10 <= len(told) < 60

    world.restart()
    for number in range(60):
        order = world.buy(token=token, key=f"k{number}").json()["result"]["structuredContent"]["order"]
        assert order["id"] == told.get(f"k{number}", order["id"])
    with closing(sqlite3.connect(world.database)) as connection:
        orders = {row[0] for row in connection.execute("SELECT id FROM shop_orders")}
        keyed = [row[0] for row in connection.execute("SELECT order_id FROM shop_keys")]
        (left,) = connection.execute("SELECT left FROM shop_stock").fetchone()
        trail = [json.loads(row[0]) for row in connection.execute("SELECT decision FROM shop_audit")]
    assert (len(orders), sorted(keyed), left) == (60, sorted(orders), STOCK - 60)
    assert {entry["order_id"] for entry in trail if entry["order_id"]} == orders
