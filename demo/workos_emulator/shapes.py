"""What all of WorkOS's API writes alike: timestamps, derived ids, the organization, lists page by page."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from .api import Refused, unprocessable

ORGANIZATION = "org_conference_shop"
ORGANIZATION_NAME = "Conference Shop"
CLIENT_ID = "client_local"
"""The environment's client id, which WorkOS puts into the audience of agent tokens."""
PAGE_DEFAULT, PAGE_MOST = 10, 100
ORDERS = ("asc", "desc", "normal")


def stamp(at: float) -> str:
    """POSIX seconds as WorkOS writes a time: ISO 8601 in UTC, milliseconds, `Z`."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds(text: str) -> float:
    """A time as WorkOS takes it (ISO 8601 ending in `Z`), in POSIX seconds.

    Raises:
        ValueError: it is none.
    """
    if not text.endswith("Z"):
        raise ValueError(text)
    return datetime.fromisoformat(text).timestamp()


def derived_id(kind: str, of: str) -> str:
    """The id of something that is derived from a record and kept nowhere: the same each time."""
    return f"{kind}_{hashlib.sha256(f'{kind} {of}'.encode()).hexdigest()[:26]}"


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
        return PAGE_DEFAULT
    if not (given.isascii() and given.isdigit() and 1 <= int(given[:9]) <= PAGE_MOST):
        raise unprocessable("limit", f"limit is a whole number from 1 to {PAGE_MOST}")
    return int(given[:9])


def _index(ids: list[str], cursor: str | None, name: str) -> int:
    try:
        return ids.index(cursor or "")
    except ValueError:
        raise Refused(422, "unprocessable_entity", f"{name} names nothing in this list") from None
