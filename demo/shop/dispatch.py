"""Telling the warehouse of an order, behind the answer to who ordered it: by a transaction token, which the
authorization server makes of the agent's (draft-ietf-oauth-transaction-tokens-10).

The agent's token goes to the authorization server that issued it and nowhere else. It is held in memory while its
session's orders wait; after a crash they wait for the next call of that session, whose grant then has to stand.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import contextvars
import hashlib
import json
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, Final
from urllib.parse import urlsplit

from demo.shop import outbox
from demo.shop.bounded_http import AuthServerUnavailable, BoundedClient
from demo.shop.catalog import BUY
from demo.shop.config import Behind
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
MOST_TRIES: Final = 12
"""After so many an order is given up that the authorization server makes no token for."""
FINAL: Final = ("unsupported_grant_type", "unauthorized_client", "invalid_client", "invalid_target", "invalid_scope")
"""What another token of the same session would not change (RFC 6749 section 5.2, RFC 8707 section 2)."""
MOST_AT_ONCE: Final = 8
"""Sessions whose orders are sent at the same time."""


class _NoUse(Exception):
    """This access token gets no transaction token: it has expired, or its grant was revoked. The session's next may."""


class Dispatch:
    """The way from the outbox to the warehouse; `note` and `go` wait for nothing."""

    def __init__(
        self,
        behind: Behind,
        credentials: tuple[str, str],
        database: Database,
        auth_server: AuthServer,
        *,
        timeout: float,
        clock: Callable[[], float],
    ) -> None:
        self._behind = behind
        self._credentials = credentials
        self._database = database
        self._auth_server = auth_server
        self._clock = clock
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(behind.url))
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
            self._waiting |= await self._database.read(outbox.sessions)
            try:
                yield
            finally:
                tasks = list(self._tasks.values())
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

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
                except (AuthServerUnavailable, _NoUse) as trouble:
                    self.trouble = str(trouble)
                    await self._database.write(outbox.tried, order.order, str(trouble), self._clock())
                    pause = next(pauses, None)
                    if pause is None or isinstance(trouble, _NoUse):
                        return
                    await asyncio.sleep(pause)
        except Exception:
            logger.exception("orders of %s wait", session)

    async def _send(self, order: Waiting, token: str) -> None:
        """Get a transaction token for one order, and tell the warehouse.

        Raises:
            AuthServerUnavailable: one of the two cannot be asked now, or answers what it should not.
            _NoUse: not by this access token.
        """
        about = {"order": order.order, "tool": BUY, "amount": order.amount, "currency": order.currency}
        where = [order.size, order.company, order.address]
        digest = hashlib.sha256(json.dumps(where, separators=(",", ":")).encode()).hexdigest()
        details = {**about, "parcel": digest}
        status, answer = await self._exchange(token, details)
        if status in (400, 401, 403):
            why = str(answer.get("error_description") or answer.get("error") or status)
            if answer.get("error") not in FINAL and order.tries < MOST_TRIES:
                raise _NoUse(why)
            await self._database.write(outbox.settle, order.order, "refused", self._clock(), why=why)
            return
        txn_token = answer.get("access_token")
        if status != 200 or answer.get("issued_token_type") != TXN_TOKEN or not isinstance(txn_token, str):
            raise AuthServerUnavailable(f"the authorization server made no transaction token (HTTP {status})")
        parcel = {**about, "size": order.size, "company": order.company, "address": order.address}
        status, told = await self._warehouse.ask(
            "POST", self._behind.url, json=parcel, headers={"txn-token": txn_token}
        )
        if status not in (200, 201) or not isinstance(told, dict) or not isinstance(told.get("txn"), str):
            raise AuthServerUnavailable(f"the warehouse did not take it (HTTP {status})")
        await self._database.write(outbox.settle, order.order, "sent", self._clock(), txn=told["txn"])

    async def _exchange(self, token: str, details: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        endpoint = (await self._auth_server.metadata()).token_exchange_endpoint
        if endpoint is None:
            return 400, {"error": FINAL[0], "error_description": "the authorization server exchanges no tokens"}
        form = {
            "grant_type": EXCHANGE,
            "requested_token_type": TXN_TOKEN,
            "audience": self._behind.trust_domain,
            "scope": PURPOSE,
            "subject_token": token,
            "subject_token_type": ACCESS_TOKEN,
            "request_details": base64.urlsafe_b64encode(json.dumps(details).encode()).rstrip(b"=").decode(),
        }
        headers = {"authorization": basic(*self._credentials)}
        status, answer = await self._auth_server.ask("POST", endpoint, data=form, headers=headers)
        return status, answer if isinstance(answer, dict) else {}
