"""What several parts of WorkOS's API write alike: timestamps, derived ids, the organization, an agent instance."""

from __future__ import annotations

import hashlib
import sqlite3
from datetime import UTC, datetime
from typing import Any

ORGANIZATION = "org_conference_shop"
ORGANIZATION_NAME = "Conference Shop"
CLIENT_ID = "client_local"
"""The environment's client id, which WorkOS puts into the audience of agent tokens."""


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
    """The id of something that is told about a record and kept nowhere: the same each time it is told."""
    return f"{kind}_{hashlib.sha256(f'{kind} {of}'.encode()).hexdigest()[:26]}"


def membership_of(sub: str) -> str:
    """The id of a user's membership in the organization; every account is a member."""
    return derived_id("om", sub)


def instance_shown(row: sqlite3.Row) -> dict[str, Any]:
    """A row of `authority_workos_instances` as WorkOS shows it and as events tell of it."""
    return {
        "object": "agent_instance",
        "id": row["id"],
        "agent_blueprint_id": row["blueprint_id"],
        "organization_id": ORGANIZATION,
        "organization_membership_id": None if row["sub"] is None else membership_of(row["sub"]),
        "type": "autonomous" if row["sub"] is None else "delegated",
        "created_at": stamp(row["created_at"]),
        "updated_at": stamp(row["created_at"]),
    }
