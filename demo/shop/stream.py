"""The stream by which the authorization server tells this shop what was revoked: found, opened, and verified again and
again while there are calls (OpenID Shared Signals Framework 1.0, sections 7 and 8.1).

What is needed of the authorization server is discovered. One that has no such streams, or promises no lease with them,
is asked about each token by introspection, as ever. So is one that can, whenever it does not verify the stream in time:
nothing here makes the shop trust more than it was told a moment ago, and nothing delays its start.

The stream is opened before the authorization server is asked about the first token, since an event must reach this shop
when what was answered is revoked.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import secrets
import sqlite3
import time
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from demo.shop import standing
from demo.shop.bounded_http import AuthServerUnavailable
from demo.shop.catalog import LIMITS
from demo.shop.config import ShopConfig
from demo.shop.database import Database
from demo.shop.discovery import AuthServer
from demo.shop.events import PATH, SESSION_REVOKED, TOKEN_CLAIMS_CHANGE
from demo.shop.introspection import basic

logger = logging.getLogger(__name__)

PUSH: Final = "urn:ietf:rfc:8935"
VERIFY_SECONDS: Final = 1.0
"""Between two verifications, and for the answer to one: several fit into a lease."""
IDLE_SECONDS: Final = 30.0
"""After the last call the stream is left alone: a shop that nobody uses asks nobody anything."""
MOST_BACKOFF_SECONDS: Final = 30.0


class NoStreams(Exception):
    """The authorization server has no event streams that this shop could rely on."""


class _Gone(AuthServerUnavailable):
    """The stream is none any more: it is opened again at once, since nobody tells this shop of anything meanwhile."""


@dataclass(frozen=True)
class _Transmitter:
    """Where the authorization server's streams are managed."""

    configuration: str
    verification: str


class EventStream:
    """This shop's stream at its authorization server."""

    def __init__(self, config: ShopConfig, database: Database, auth_server: AuthServer) -> None:
        self._config = config
        self._database = database
        self._auth_server = auth_server
        self._endpoint = (config.reached_at or config.base_url) + PATH
        self._transmitter: _Transmitter | None = None
        self._id: str | None = None
        self._none_until = float("-inf")
        self._expected: tuple[str, float] | None = None
        self._task: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()

    async def ready(self) -> None:
        """Return when the stream is open, or is not to be had now. To be called before introspection."""
        if time.monotonic() < self._none_until:
            return
        if self._task is None or self._task.done():
            # It outlives the request that begins it, and is no part of that one's trace.
            self._task = asyncio.create_task(self._run(), context=contextvars.Context())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._config.answer_timeout):
                await self._tried.wait()

    async def verified(self, state: str | None) -> bool:
        """The stream is verified; False where that was not asked for, or a state that was answered before."""
        expected = self._expected
        if expected is None or state != expected[0]:
            return False
        self._expected = None
        await self._database.write(standing.renew, expected[1], self._config.lease_seconds)
        return True

    async def close(self) -> None:
        """Leave the stream alone."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        backoff = VERIFY_SECONDS
        while time.monotonic() - self._auth_server.used_at < IDLE_SECONDS:
            try:
                if self._id is None:
                    self._id = await self._open()
                self._tried.set()
                await self._verify(self._id)
                backoff = VERIFY_SECONDS
            except NoStreams:
                self._none_until = time.monotonic() + LIMITS.keys_seconds
                self._tried.set()
                return
            except Exception as trouble:  # whatever it answers, it is asked again, and meanwhile nothing is relied on
                logger.info("the event stream is not verified: %s", trouble)
                self._tried.set()
                await self._forsake()
                if isinstance(trouble, _Gone):
                    await asyncio.sleep(0.1)
                    continue
                backoff = min(2 * backoff, MOST_BACKOFF_SECONDS)
            await asyncio.sleep(backoff)

    async def _forsake(self) -> None:
        """Who cannot be asked to verify could not be asked by introspection either: what was kept is not relied on."""
        self._expected = None
        with contextlib.suppress(sqlite3.Error):
            await self._database.write(standing.end)

    async def _open(self) -> str:
        if self._transmitter is None:
            self._transmitter = await self._discover()
        status, found = await self._ask("GET", self._transmitter.configuration)
        if status != 200 or not isinstance(found, list):
            raise AuthServerUnavailable(f"its streams cannot be read (HTTP {status})")
        mine = next((one for one in found if self._is_mine(one)), None)
        if mine is None:
            wanted = {
                "delivery": {"method": PUSH, "endpoint_url": self._endpoint},
                "events_requested": [SESSION_REVOKED, TOKEN_CLAIMS_CHANGE],
            }
            status, mine = await self._ask("POST", self._transmitter.configuration, json=wanted)
            if status != 201 or not isinstance(mine, dict):
                raise AuthServerUnavailable(f"it opens no stream (HTTP {status})")
        id, lease = mine.get("stream_id"), mine.get("lease_seconds")
        if not isinstance(id, str) or not isinstance(lease, int | float) or not lease >= self._config.lease_seconds:
            # Events are taken all the same; but nobody says how late one may come.
            raise NoStreams
        return id

    async def _discover(self) -> _Transmitter:
        parts = urlsplit(self._config.issuer)
        path = parts.path.rstrip("/")
        status, found = await self._auth_server.ask(
            "GET", f"{parts.scheme}://{parts.netloc}/.well-known/ssf-configuration{path}"
        )
        if status >= 500:
            raise AuthServerUnavailable(f"the metadata of its streams cannot be read (HTTP {status})")
        if status != 200 or not isinstance(found, dict) or found.get("issuer") != self._config.issuer:
            raise NoStreams
        methods = found.get("delivery_methods_supported")
        urls = [found.get("configuration_endpoint"), found.get("verification_endpoint")]
        same = [isinstance(url, str) and url.startswith(f"{parts.scheme}://") for url in urls]
        if not all(same) or not isinstance(methods, list) or PUSH not in methods:
            raise NoStreams
        return _Transmitter(str(urls[0]), str(urls[1]))

    def _is_mine(self, given: Any) -> bool:
        delivery = given.get("delivery") if isinstance(given, dict) else None
        return isinstance(delivery, dict) and delivery.get("endpoint_url") == self._endpoint

    async def _verify(self, id: str) -> None:
        assert self._transmitter is not None
        state = secrets.token_urlsafe(16)
        # The lease counts from here: nothing that is revoked later is answered before this shop has heard of it.
        self._expected = (state, standing.steady())
        asked = {"stream_id": id, "state": state}
        async with asyncio.timeout(VERIFY_SECONDS):
            status, _ = await self._ask("POST", self._transmitter.verification, json=asked)
        if status == 404:
            self._id = None
            raise _Gone("it has no such stream any more")
        if status != 204:
            raise AuthServerUnavailable(f"it verifies no stream (HTTP {status})")

    async def _ask(self, method: str, url: str, **options: Any) -> tuple[int, Any]:
        headers = {"authorization": basic(*self._config.introspection)}
        return await self._auth_server.ask(method, url, headers=headers, **options)
