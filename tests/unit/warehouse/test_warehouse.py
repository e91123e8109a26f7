"""The warehouse takes each order once, by a transaction token for exactly that order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.auth_server.conftest import House
from tests.unit.auth_server.handing_on import log_in
from tests.unit.warehouse.behind import Warehouse, transaction, warehouse


@pytest.fixture
def behind(house: House, tmp_path: Path) -> Iterator[Warehouse]:
    with warehouse(house, tmp_path / "warehouse.sqlite3") as running:
        yield running


def test_it_takes_an_order_once_by_whatever_good_token(house: House, behind: Warehouse) -> None:
    agent = log_in(house)
    first = behind.take(transaction(house, agent.token))
    assert first.status_code == 201 and first.json()["taken"] is True
    # The shop asks again where an answer was lost, with the same token or a new one.
    again = behind.take(transaction(house, agent.token))
    assert again.status_code == 200
    assert again.json() == {**first.json(), "taken": False}


def test_it_believes_a_rotated_key(house: House, behind: Warehouse) -> None:
    agent = log_in(house)
    assert behind.refusal(transaction(house, agent.token)) is None
    assert behind.refusal("e30.e30.e30") == "signature"
    assert behind.refusal(transaction(house, agent.token, order="order_2"), order="order_2") is None


@pytest.mark.parametrize(
    "order",
    [
        {"amount": "2500"},
        {"amount": True},
        {"more": 1},
        {"address": "x" * 5000},
        {"size": None},
    ],
)
def test_what_is_no_order_is_refused_before_its_token_is_looked_at(behind: Warehouse, order: dict[str, Any]) -> None:
    assert behind.take(None, **order).status_code in (400, 413)


def test_without_the_keys_of_the_authorization_server_it_takes_nothing(
    house: House, behind: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = transaction(house, log_in(house).token)
    from demo.warehouse import app

    async def gone(_: object) -> None:
        raise app.Unavailable("down")

    monkeypatch.setattr(app._Keys, "_read", gone)
    assert behind.take(token).status_code == 503
