"""Telling the warehouse of an order, behind the answer to who ordered it: by a transaction token, which the
authorization server makes of the agent's (draft-ietf-oauth-transaction-tokens-10).

The agent's token goes to the authorization server that issued it and nowhere else. It is held in memory while its
session's orders wait; after a crash they wait for the next call of that session, whose grant then has to stand. None
waits for good: a revocation ends it, or the time (`settling.py`).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import contextvars
import hashlib
import json
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from typing import Any, Final
from urllib.parse import urlsplit

from demo.shop import outbox, settling
from demo.shop.bounded_http import AuthServerUnavailable, BoundedClient
from demo.shop.catalog import BUY
from demo.shop.config import WarehouseConfig
from demo.shop.database import Database
from demo.shop.discovery import AuthServer
from demo.shop.introspection import basic
from demo.shop.outbox import Waiting

logger = logging.getLogger(__name__)

EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"
TXN_TOKEN: Final = "urn:ietf:params:oauth:token-type:txn_token"
PURPOSE: Final = "order.ship"
PAUSES: Final = (0.2, 1.0, 4.0)
"""Seconds before an order is tried again. After them it waits for the next call of its session."""
MOST_AT_ONCE: Final = 8
"""Sessions whose orders are sent at the same time."""
LOOK_SECONDS: Final = 30.0
"""Between two looks for orders that waited for too long."""
IN_FLIGHT_SECONDS: Final = 60.0
"""The warehouse has answered long before, or never will."""
NOT_TAKEN: Final = (400, 401, 403, 404, 413, 429, 503)
"""By these answers the warehouse has not taken an order; any other may have come after it did, from whatever stands
between."""


class _Waits(Exception):
    """An order could not be sent, and waits.

    Args:
        soon: whether it is worth another try by the same token; else the session's next call brings another.
        unsure: whether the warehouse may have taken it all the same.
    """

    def __init__(self, why: str, *, soon: bool = True, unsure: bool = False) -> None:
        super().__init__(why)
        self.soon, self.unsure = soon, unsure


class Dispatch:
    """The way from the outbox to the warehouse; `note` and `go` wait for nothing."""

    def __init__(
        self,
        warehouse: WarehouseConfig,
        credentials: tuple[str, str],
        database: Database,
        auth_server: AuthServer,
        *,
        timeout: float,
        clock: Callable[[], float],
    ) -> None:
        self._at = warehouse
        self._credentials = credentials
        self._database = database
        self._auth_server = auth_server
        self._clock = clock
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(warehouse.url))
        self._warehouse = BoundedClient(origin, timeout=timeout, clock=clock)
        self._waiting: set[str] = set()
        self._news: set[str] = set()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.trouble: str | None = None
        """Why nothing was sent, last; None where all is well."""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve, within the authorization server's own connections; what waits at the end waits for the next start."""
        async with self._warehouse:
            await self._database.write(settling.overdue, self._clock(), 0.0)
            self._waiting |= await self._database.read(outbox.sessions)
            looking = asyncio.create_task(self._look())
            try:
                yield
            finally:
                tasks = [looking, *self._tasks.values()]
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self) -> None:
        """End what waits for too long, again and again."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                if await self._database.read(outbox.due, self._clock(), IN_FLIGHT_SECONDS):
                    await self._database.write(settling.overdue, self._clock(), IN_FLIGHT_SECONDS)
            except sqlite3.Error:
                logger.exception("orders that wait for too long still do")

    def go(self, session: str, token: str, *, ordered: bool) -> None:
        """A call of this session (`outbox.whose`) was admitted with this token; `ordered`: it placed an order, which is
        committed."""
        if ordered:
            self._waiting.add(session)
            self._news.add(session)
        if session in self._waiting and session not in self._tasks and len(self._tasks) < MOST_AT_ONCE:
            # It outlives the request that begins it, and is no part of that one's trace.
            task = asyncio.create_task(self._send_all(session, token), context=contextvars.Context())
            self._tasks[session] = task
            task.add_done_callback(lambda _: self._tasks.pop(session, None))

    async def _send_all(self, session: str, token: str) -> None:
        pauses = iter(PAUSES)
        try:
            while True:
                self._news.discard(session)
                order = await self._database.read(outbox.first, session)
                if order is None:
                    if session in self._news:
                        continue
                    self._waiting.discard(session)
                    return
                try:
                    await self._send(order, token)
                    self.trouble = None
                except _Waits as trouble:
                    self.trouble = str(trouble)
                    now = self._clock()
                    await self._database.write(
                        settling.not_taken, order.order, str(trouble), now, unsure=trouble.unsure
                    )
                    pause = next(pauses, None)
                    if pause is None or not trouble.soon:
                        return
                    await asyncio.sleep(pause)
        except Exception:
            logger.exception("orders of %s wait", session)

    async def _send(self, order: Waiting, token: str) -> None:
        """Get a transaction token for one order, and tell the warehouse.

        Raises:
            _Waits: one of the two cannot be asked now, or does not do it.
        """
        about = {"order": order.order, "tool": BUY, "amount": order.amount, "currency": order.currency}
        where = [order.size, order.company, order.address]
        digest = hashlib.sha256(json.dumps(where, separators=(",", ":")).encode()).hexdigest()
        txn_token = await self._txn_token(token, {**about, "parcel": digest})
        if not await self._database.write(outbox.offer, order.order, self._clock()):
            return  # it was cancelled meanwhile
        parcel = {**about, "size": order.size, "company": order.company, "address": order.address}
        try:
            status, told = await self._warehouse.ask(
                "POST", self._at.url, json=parcel, headers={"txn-token": txn_token}
            )
        except AuthServerUnavailable as trouble:
            raise _Waits(f"the warehouse: {trouble}", unsure=trouble.heard) from trouble
        if status not in (200, 201) or not isinstance(told, dict) or not isinstance(told.get("txn"), str):
            raise _Waits(f"the warehouse did not take it (HTTP {status})", unsure=status not in NOT_TAKEN)
        await self._database.write(settling.sent, order.order, told["txn"], self._clock())

    async def _txn_token(self, token: str, details: dict[str, Any]) -> str:
        try:
            status, answer = await self._exchange(token, details)
        except AuthServerUnavailable as trouble:
            raise _Waits(str(trouble)) from trouble
        if status in (400, 401, 403):
            raise _Waits(str(answer.get("error_description") or answer.get("error") or status), soon=False)
        txn_token = answer.get("access_token")
        if status != 200 or answer.get("issued_token_type") != TXN_TOKEN or not isinstance(txn_token, str):
            raise _Waits(f"the authorization server made no transaction token (HTTP {status})")
        return txn_token

    async def _exchange(self, token: str, details: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        endpoint = (await self._auth_server.metadata()).token_exchange_endpoint
        if endpoint is None:
            return 400, {"error_description": "the authorization server exchanges no tokens"}
        form = {
            "grant_type": EXCHANGE,
            "requested_token_type": TXN_TOKEN,
            "audience": self._at.trust_domain,
            "scope": PURPOSE,
            "subject_token": token,
            "subject_token_type": ACCESS_TOKEN,
            "request_details": base64.urlsafe_b64encode(json.dumps(details).encode()).rstrip(b"=").decode(),
        }
        headers = {"authorization": basic(*self._credentials)}
        status, answer = await self._auth_server.ask("POST", endpoint, data=form, headers=headers)
        return status, answer if isinstance(answer, dict) else {}
