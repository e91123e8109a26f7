"""Lists as WorkOS pages them: by cursor, both ways, and strictly."""

from __future__ import annotations

import pytest

from demo.workos_emulator.api import Refused
from demo.workos_emulator.shapes import page

ITEMS = [{"id": f"n{number}"} for number in range(7)]


def ids(**query: str) -> list[str]:
    return [item["id"] for item in page(ITEMS, query)["data"]]


def test_the_newest_come_first_unless_asked_otherwise() -> None:
    assert ids(limit="2") == ["n6", "n5"]
    assert ids(limit="2", order="asc") == ["n0", "n1"]


@pytest.mark.parametrize("order", ["asc", "desc", "normal"])
def test_every_page_once_and_then_the_end(order: str) -> None:
    on = "before" if order == "normal" else "after"
    seen: list[str] = []
    query = {"limit": "3", "order": order}
    while True:
        told = page(ITEMS, query)
        seen += [item["id"] for item in told["data"]]
        cursor = told["list_metadata"][on]
        if cursor is None:
            break
        query = query | {on: cursor}
    expected = [item["id"] for item in ITEMS]
    assert seen == (expected if order == "asc" else expected[::-1])


def test_going_back_gives_the_ones_right_before() -> None:
    assert ids(limit="2", before="n1", order="desc") == ["n3", "n2"]
    told = page(ITEMS, {"limit": "2", "before": "n1", "order": "desc"})
    assert told["list_metadata"] == {"before": "n3", "after": "n2"}
    assert page(ITEMS, {"limit": "2", "before": "n5"})["list_metadata"]["before"] is None


@pytest.mark.parametrize(
    "query", [{"limit": "0"}, {"limit": "101"}, {"limit": "ten"}, {"limit": "-1"}, {"order": "up"}, {"after": "n9"}]
)
def test_what_is_no_page_is_a_422(query: dict[str, str]) -> None:
    with pytest.raises(Refused) as refused:
        page(ITEMS, query)
    assert refused.value.status == 422
    body = refused.value.body()
    assert body["code"] == "unprocessable_entity"
    field = next(iter(query))
    blamed = None if field == "after" else [{"field": field, "code": "invalid"}]  # a cursor is of no form that is wrong
    assert body.get("errors") == blamed
