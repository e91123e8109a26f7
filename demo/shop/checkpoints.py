"""Signed checkpoints of the audit log: how long a log was at some time, and its last link, signed with the shop's key.

Who keeps one can tell later whether the log that they are shown is still the one that it was. The key is published by
`jwks_uri` of the protected resource's metadata (RFC 9728 section 2). What is signed is always an extension of what was
signed before: a log that was altered behind a checkpoint gets no other one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from joserfc import jwk, jws

from demo.shop import audit_chain, audit_log
from demo.shop.audit_log import Log
from demo.shop.config import ShopConfig
from demo.shop.database import Database

logger = logging.getLogger(__name__)

TYPE: Final = "audit-checkpoint+jwt"
ALGORITHM: Final = "ES256"
EVERY_SECONDS: Final = 30.0
"""How often the logs that have grown get a checkpoint without being asked for one."""
MOST_AT_ONCE: Final = 200
"""How many logs get one then; the others wait for the next time."""


class Checkpoints:
    """The checkpoints of one shop's logs.

    Args:
        key: the shop's own, as `own_key` gives it.
    """

    def __init__(self, config: ShopConfig, database: Database, key: jwk.ECKey) -> None:
        self._config = config
        self._database = database
        self._key = key
        self._seen = 0

    def jwks(self) -> dict[str, Any]:
        """The public half of the key, as a JWK Set (RFC 7517 section 5)."""
        return {"keys": [self._key.as_dict(private=False)]}

    async def of(self, owner: str) -> tuple[Log, str | None] | None:
        """This owner's log as it is now, and a checkpoint of it (a compact JWS, RFC 7515), made where there is none of
        this size; None where there is no such log.

        The last one that there is, or None, where the log does not follow from it: what was altered is not signed.

        Raises:
            sqlite3.Error: it cannot be kept. Nothing else is lost.
        """
        found = await self._database.read(_state, owner)
        if found is None:
            return None
        log, last, sound = found
        if not sound:
            logger.error("the audit log %s was altered; it gets no checkpoint", log.id)
        if not sound or (last is not None and last[0] == log.size):
            return log, None if last is None else last[1]
        at = self._config.clock()
        payload = {
            "iss": self._config.base_url,
            "iat": int(at),
            "log": log.id,
            "size": log.size,
            "link": log.link.hex(),
            "pruned": log.pruned,
            "written_before": log.written_before,
        }
        header = {"alg": ALGORITHM, "typ": TYPE, "kid": self._key.kid}
        signed = jws.serialize_compact(header, json.dumps(payload).encode(), self._key)
        await self._database.write(_keep, log, at, signed)
        return log, signed

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Make them every now and then, as long as the shop serves."""

        async def run() -> None:
            while True:
                await asyncio.sleep(EVERY_SECONDS)
                try:
                    await self.make()
                except sqlite3.Error as error:  # such as a full disk; the next time may be better
                    logger.error("no checkpoint of the audit log: %s", error)

        task = asyncio.create_task(run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def make(self) -> int:
        """One of each log that has grown since the last time; how many logs that were."""
        owners, seen = await self._database.read(_grown, self._seen)
        for owner in owners:
            await self.of(owner)
        self._seen = seen
        return len(owners)


def own_key(connection: sqlite3.Connection, at: float) -> jwk.ECKey:
    """The shop's signing key, made with its ledger. To be called in a transaction."""
    row = connection.execute("SELECT jwk FROM shop_audit_keys ORDER BY created_at DESC, rowid DESC LIMIT 1").fetchone()
    if row is not None:
        return jwk.ECKey.import_key(json.loads(row["jwk"]))
    key = jwk.ECKey.generate_key("P-256", {"use": "sig", "alg": ALGORITHM}, auto_kid=True)
    values = (key.kid, json.dumps(key.as_dict(private=True)), at)
    connection.execute("INSERT INTO shop_audit_keys (kid, jwk, created_at) VALUES (?, ?, ?)", values)
    return key


def between(connection: sqlite3.Connection, log: str, *, after: int, through: int) -> list[str]:
    """The checkpoints of a log that were made of its sizes after and through these."""
    rows = connection.execute(
        "SELECT jws FROM shop_audit_checkpoints WHERE log = ? AND size > ? AND size <= ? ORDER BY size",
        (log, after, through),
    )
    return [str(row["jws"]) for row in rows]


def _state(connection: sqlite3.Connection, owner: str) -> tuple[Log, tuple[int, str] | None, bool] | None:
    """An owner's log, its last checkpoint (size, and itself), and whether the log follows from that: all of one moment,
    since how much of a log is pruned is signed with its size."""
    connection.execute("BEGIN")
    try:
        return _state_now(connection, owner)
    finally:
        connection.execute("ROLLBACK")


def _state_now(connection: sqlite3.Connection, owner: str) -> tuple[Log, tuple[int, str] | None, bool] | None:
    # The checkpoint first: what is appended meanwhile only makes the log longer than it.
    row = connection.execute(
        "SELECT size, jws FROM shop_audit_checkpoints WHERE log = (SELECT id FROM shop_audit_logs WHERE owner = ?)"
        " ORDER BY size DESC LIMIT 1",
        (owner,),
    ).fetchone()
    last = None if row is None else (int(row["size"]), str(row["jws"]))
    log = audit_log.log_of(connection, owner)
    if log is None:
        return None
    place, link = log.pruned, log.pruned_link
    if last is not None and last[0] >= place:
        told = json.loads(jws.extract_compact(last[1].encode()).payload or b"")
        place, link = last[0], bytes.fromhex(told["link"])
        if place > 0 and audit_log.link_at(connection, owner, place) != link:
            return log, last, False
    rows = connection.execute(
        "SELECT place, link, decision FROM shop_audit WHERE owner = ? AND place > ? AND place <= ? ORDER BY place",
        (owner, place, log.size),
    )
    for one in rows:
        place, link = place + 1, audit_chain.link(link, one["decision"])
        if (one["place"], one["link"]) != (place, link):
            return log, last, False
    return log, last, (place, link) == (log.size, log.link)


def _keep(connection: sqlite3.Connection, log: Log, at: float, signed: str) -> None:
    connection.execute(
        "INSERT OR IGNORE INTO shop_audit_checkpoints (log, size, at, jws) VALUES (?, ?, ?, ?)",
        (log.id, log.size, at, signed),
    )


def _grown(connection: sqlite3.Connection, seen: int) -> tuple[tuple[str, ...], int]:
    rows = connection.execute(
        "SELECT owner, max(seq) AS seq FROM shop_audit WHERE seq > ? GROUP BY owner ORDER BY 2 LIMIT ?",
        (seen, MOST_AT_ONCE),
    ).fetchall()
    return tuple(row["owner"] for row in rows), max((row["seq"] for row in rows), default=seen)
