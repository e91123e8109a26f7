"""A warehouse on a socket beside an authorization server, and the shop's part in getting a transaction token."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
from starlette.applications import Starlette

from demo.warehouse import PATH
from demo.warehouse.app import routes
from demo.warehouse.transaction_token import Trust
from deputize.net import free_port
from tests.conftest import HANGS
from tests.unit.auth_server.conftest import RESOURCE_SERVER, House
from tests.unit.auth_server.handing_on import ACCESS_TOKEN, TOKEN_EXCHANGE
from tests.unit.shop.conftest import serving

TXN_TOKEN = "urn:ietf:params:oauth:token-type:txn_token"
TO = {"size": "M", "company": "Acme", "address": "1 Main St"}
ABOUT = {"order": "order_1", "tool": "buyMcpShopItem", "amount": 2500, "currency": "USD"}
ORDER = {**ABOUT, "parcel": hashlib.sha256(b'["M","Acme","1 Main St"]').hexdigest()}


def exchange(house: House, token: str, *, details: Any = ORDER, **given: Any) -> httpx2.Response:
    """Ask for a transaction token as the shop does; None leaves a field out."""
    encoded = base64.urlsafe_b64encode(json.dumps(details).encode()).rstrip(b"=").decode()
    fields = {
        "grant_type": TOKEN_EXCHANGE,
        "requested_token_type": TXN_TOKEN,
        "audience": f"{house.base}/internal",
        "scope": "order.ship",
        "subject_token": token,
        "subject_token_type": ACCESS_TOKEN,
        "request_details": encoded,
        **given,
    }
    auth = given.pop("auth", RESOURCE_SERVER)
    fields.pop("auth", None)
    fields = {name: value for name, value in fields.items() if value is not None}
    return house.http.post("/oauth2/token", data=fields, auth=auth)


def transaction(house: House, token: str, **order: Any) -> str:
    """A transaction token for this order."""
    answer = exchange(house, token, details={**ORDER, **order})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


class Warehouse:
    """One that runs."""

    def __init__(self, base: str) -> None:
        self._url = base + PATH

    def take(self, token: str | None, **order: Any) -> httpx2.Response:
        """Hand it an order, by this token."""
        headers = {} if token is None else {"txn-token": token}
        with httpx2.Client(trust_env=False, timeout=HANGS) as http:
            return http.post(self._url, json={**ABOUT, **TO, **order}, headers=headers)

    def refusal(self, token: str | None, **order: Any) -> str | None:
        """Why it does not take it; None where it does."""
        answer = self.take(token, **order)
        return None if answer.is_success else str(answer.json()["error_description"])


@contextmanager
def warehouse(house: House, database: Path) -> Iterator[Warehouse]:
    """A warehouse that trusts this authorization server."""
    port = free_port()
    app = Starlette(routes=routes(Trust(house.base, f"{house.base}/internal"), database, house.clock))
    with serving(app, port):
        yield Warehouse(f"http://127.0.0.1:{port}")
