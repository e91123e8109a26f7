"""Cursor pagination as WorkOS does it: `limit`, `order`, `before` and `after` an id, and where to go on from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .refused import Refused, unprocessable

DEFAULT, MOST = 10, 100
ORDERS = ("asc", "desc", "normal")


def page(items: Sequence[dict[str, Any]], query: Mapping[str, str], *, order: str = "desc") -> dict[str, Any]:
    """One page of a list.

    Args:
        items: all of it, oldest first; each has an `id`.
        query: of the request.
        order: when the request names none. `normal` is newest first with `before` and `after` exchanged.

    Raises:
        Refused: 422 for a limit, an order or a cursor that is none.
    """
    order = query.get("order", order)
    if order not in ORDERS:
        raise unprocessable("order", f"order is one of: {', '.join(ORDERS)}")
    limit = _limit(query.get("limit"))
    shown = list(items) if order == "asc" else list(items)[::-1]
    ids = [item["id"] for item in shown]
    back, on = ("after", "before") if order == "normal" else ("before", "after")
    start = _index(ids, query.get(on), on) + 1 if query.get(on) else 0
    end = _index(ids, query.get(back), back) if query.get(back) else len(ids)
    if query.get(back) and not query.get(on):
        start = max(start, end - limit)  # the ones right before the cursor, not the first of all
    end = max(start, min(end, start + limit))
    metadata = {
        back: ids[start] if end > start > 0 else None,
        on: ids[end - 1] if start < end < len(ids) else None,
    }
    return {"object": "list", "data": shown[start:end], "list_metadata": metadata}


def _limit(given: str | None) -> int:
    if given is None:
        return DEFAULT
    if not (given.isascii() and given.isdigit() and 1 <= int(given[:9]) <= MOST):
        raise unprocessable("limit", f"limit is a whole number from 1 to {MOST}")
    return int(given[:9])


def _index(ids: list[str], cursor: str | None, name: str) -> int:
    try:
        return ids.index(cursor or "")
    except ValueError:
        raise Refused(422, "unprocessable_entity", f"{name} names nothing in this list") from None
