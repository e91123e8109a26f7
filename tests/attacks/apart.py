"""The authorization server and the shop as processes: `python -m tests.attacks.apart ROLE PORT DATABASE PEER [JSON]`.

Two databases, and nothing between them but the wire. In the JSON: `gate` (a file; nothing that the authorization server
was asked about is acted on before it exists; who waits for it is a line of `GATE.waiting`), `held` (seconds that each
order's transaction takes longer), `lease` (seconds, of the role's own), `clock` (seconds that the shop's is ahead),
`streamless` (the shop opens no stream), and what is weakened: `deaf` (the shop takes events and goes by none),
`retentive` (it forgets nothing that it kept), `shallow` (it looks for events about who acts, and not about who is
above), `mute` (the authorization server tells nobody), `hasty` (it waits for
nobody whom it cannot tell).
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import uvicorn
from starlette.applications import Starlette

from demo.auth_server.context import AuthorizationServerConfig
from demo.auth_server.routes import create_authorization_server
from demo.shop import introspection, ledger, standing
from demo.shop.app import create_shop
from demo.shop.config import ShopConfig
from deputize.evidence import Money

SECRET = ("shop", "a-secret")


def auth_server(base: str, database: Path, shop: str, given: dict[str, Any]) -> Starlette:
    config = AuthorizationServerConfig(
        issuer=base,
        database=database,
        resources=(f"{shop}/mcp", f"{base}/account"),
        resource_server=SECRET,
        lease_seconds=given.get("lease", 6.0),
    )
    if given.get("mute"):
        from demo.auth_server.endpoints.security_events import SecurityEvents

        async def tell_nobody(_: SecurityEvents) -> tuple[Any, ...]:
            return ()

        SecurityEvents.settle = tell_nobody  # type: ignore[assignment]
    if given.get("hasty"):
        from demo.auth_server.endpoints.security_events import SecurityEvents

        SecurityEvents._untold = lambda _: 0.0  # type: ignore[method-assign]
    return Starlette(routes=create_authorization_server(config).routes)


def shop(base: str, database: Path, issuer: str, given: dict[str, Any]) -> Starlette:
    honest = ledger.place

    def slowly(*given_to_it: Any) -> Any:
        # Inside the transaction, where no other purchase can help and SQLite itself has nothing to wait for.
        result = honest(*given_to_it)
        time.sleep(given.get("held", 0.0))
        return result

    ledger.place = slowly
    if given.get("deaf"):
        from demo.shop import events

        events.check = lambda *_, **__: None
        events.over = lambda *_, **__: False
        standing.void = lambda *_, **__: None
    if given.get("shallow"):
        from demo.shop import events

        check = events.check
        events.check = lambda connection, reliance, token, **named: check(
            connection, reliance, replace(token, chain=token.chain[:1]), **named
        )
    if verify := given.get("verify"):
        from demo.shop import stream

        stream.VERIFY_SECONDS = verify  # type: ignore[misc]
    if given.get("retentive"):
        standing.void = lambda *_, **__: None
    if given.get("streamless"):
        from demo.shop.stream import EventStream

        EventStream.ready = lambda _: anyio.sleep(0)  # type: ignore[method-assign]
    if gate := given.get("gate"):
        ask = introspection.ask

        async def and_wait(*rest: Any) -> Any:
            answer = await ask(*rest)
            with Path(f"{gate}.waiting").open("a") as waiting:
                waiting.write("one\n")
            with anyio.fail_after(60):
                while not Path(gate).exists():
                    await anyio.sleep(0.02)
            return answer

        introspection.ask = and_wait
    config = ShopConfig(
        base_url=base,
        database=database,
        issuer=issuer,
        introspection=SECRET,
        rate_calls=10**6,
        purchases_per_consent=10**6,
        stock=10**6,
        price=Money(1),
        lease_seconds=given.get("lease", 5.0),
        clock=lambda: time.time() + given.get("clock", 0.0),
    )
    made = create_shop(config)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> Any:
        async with made.lifespan():
            yield

    return Starlette(routes=made.routes, lifespan=lifespan)


if __name__ == "__main__":
    role, port, file, peer, *more = sys.argv[1:]
    make = {"auth_server": auth_server, "shop": shop}[role]
    app = make(f"http://127.0.0.1:{port}", Path(file), peer, json.loads(more[0]) if more else {})
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="error", timeout_graceful_shutdown=1)
