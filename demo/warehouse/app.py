"""`POST /warehouse/orders`: takes an order, by a transaction token for exactly that order."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet
from joserfc.jws import extract_compact
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from demo.warehouse import PATH
from demo.warehouse.shelves import Parcel, Shelves
from demo.warehouse.transaction_token import Refused, Trust, check, parcel

HEADER: Final = "txn-token"
"""The draft's own header (section 6): a transaction token is no bearer token, and `Authorization` is not looked at."""
LONGEST_BODY: Final = 4096
LONGEST_TOKEN: Final = 8192
KEYS_SECONDS, KEYS_AGAIN_SECONDS, ASK_SECONDS = 300.0, 1.0, 3.0
"""How long the authorization server's keys are believed, how often an unknown one has them read again, and for how long
each question may take."""
_MEMBERS: Final = {
    "order": str,
    "tool": str,
    "amount": int,
    "currency": str,
    "size": str,
    "company": str,
    "address": str,
}


class Unavailable(Exception):
    """The authorization server's keys cannot be read."""


@dataclass
class _Keys:
    """The authorization server's keys, read when they are needed."""

    issuer: str
    found: KeySet | None = None
    read_at: float = float("-inf")

    async def of(self, kid: object) -> ECKey | None:
        """The key with this id, None where there is none.

        Raises:
            Unavailable: they cannot be read.
        """
        age = time.monotonic() - self.read_at
        key = self._find(kid)
        if (key is None and age > KEYS_AGAIN_SECONDS) or age > KEYS_SECONDS:
            self.found, self.read_at = await self._read(), time.monotonic()
            key = self._find(kid)
        return key

    def _find(self, kid: object) -> ECKey | None:
        keys = [] if self.found is None else self.found.keys
        return next((key for key in keys if isinstance(key, ECKey) and key.kid == kid), None)

    async def _read(self) -> KeySet:
        try:
            async with httpx2.AsyncClient(timeout=ASK_SECONDS, trust_env=False, follow_redirects=False) as http:
                about = (await http.get(f"{self.issuer}/.well-known/oauth-authorization-server")).json()
                if about.get("issuer") != self.issuer:  # RFC 8414 section 3.3
                    raise Unavailable("the metadata are of another issuer")
                return KeySet.import_key_set((await http.get(about["jwks_uri"])).json())
        except (httpx2.HTTPError, ValueError, KeyError, AttributeError, JoseError) as error:
            raise Unavailable(str(error)) from error


def routes(trust: Trust, database: Path, clock: Callable[[], float] = time.time) -> list[Route]:
    """The warehouse's one route.

    Raises:
        OSError, sqlite3.Error: its tables cannot be made or opened.
    """
    shelves, keys = Shelves(database), _Keys(trust.issuer)

    async def take(request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > LONGEST_BODY:
                return _error(413, "invalid_request", "too long")
        try:
            order = _order(bytes(body))
        except ValueError:
            return _error(400, "invalid_request", f"a JSON object of {', '.join(_MEMBERS)}")
        try:
            header, claims = await _verified(request.headers.getlist(HEADER), keys)
            txn = check(header, claims, trust, clock(), {**order, "parcel": parcel(order)})
        except Refused as refused:
            return _error(401, "invalid_token", refused.fault)
        except Unavailable:
            return _error(503, "temporarily_unavailable", "the authorization server's keys cannot be read")
        kept = {name: order[name] for name in ("amount", "currency", "size", "company", "address")}
        sent = Parcel(order=order["order"], txn=txn, **kept, user=str(claims.get("sub")), at=clock())
        found, now = await run_in_threadpool(shelves.take, sent)
        if found.order != sent.order:
            return _error(401, "invalid_token", "used")
        return JSONResponse({"order": found.order, "txn": found.txn, "at": found.at, "taken": now}, 201 if now else 200)

    return [Route(PATH, take, methods=["POST"])]


async def _verified(given: list[str], keys: _Keys) -> tuple[dict[str, Any], dict[str, Any]]:
    if len(given) != 1:
        raise Refused("missing")
    if len(given[0]) > LONGEST_TOKEN:
        raise Refused("signature")
    try:
        key = await keys.of(extract_compact(given[0].encode("ascii")).headers().get("kid"))
        if key is None:
            raise Refused("signature")
        found = jwt.decode(given[0], key, algorithms=["ES256"])
    except (JoseError, ValueError, RecursionError):
        raise Refused("signature") from None
    return dict(found.header), dict(found.claims)


def _order(body: bytes) -> dict[str, Any]:
    """The order of a request.

    Raises:
        ValueError: it is none.
    """
    try:
        found = json.loads(body)
    except RecursionError:
        raise ValueError("too deep") from None
    if not isinstance(found, dict) or set(found) != set(_MEMBERS):
        raise ValueError("another object")
    if any(type(found[name]) is not kind for name, kind in _MEMBERS.items()):
        raise ValueError("another kind of value")
    return found


def _error(status: int, error: str, why: str) -> Response:
    return JSONResponse({"error": error, "error_description": why}, status, {"Cache-Control": "no-store"})
