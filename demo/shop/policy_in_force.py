"""The policy that the shop decides by now: a file of the state folder, read again while the shop runs.

A change takes hold as a whole, once it is on record. A file that cannot be read changes nothing: the last good policy
stays in force, over a restart as well, since the ledger keeps its text.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from demo import policy_file
from demo.evidence.shop import Decision
from demo.policy_file import Fault, Policy, PolicyWrong, Written
from demo.shop import audit_log
from demo.shop.database import Database
from demo.shop.policy import Ruling, allow, deny

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0
"""Between two looks at the file. A change holds this long after it was saved, at most, where somebody calls."""
ABSENT: Final = 2
"""How many looks in a row must find no file before the shipped policy is in force: an editor that saves takes the old
file away before it puts the new one there, and nobody is to come in by that gap."""
KEPT: Final = 100
"""Texts of policies that were in force: an entry of the audit log names one by its digest."""


class PolicyInForce:
    """The policy of a shop.

    Args:
        shipped: what is in force where there is no file.
        folder: where a `policy.toml` may lie; None: nowhere.
        clock: POSIX seconds, for the record.
        monotonic: seconds, for when to look again.
    """

    def __init__(
        self,
        shipped: Written,
        folder: Path | None,
        *,
        clock: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shipped = shipped
        self._folder = folder
        self._clock = clock
        self._monotonic = monotonic
        self._written = shipped
        self._from_file = False
        self._seen: bytes | None = None
        self._absent = ABSENT
        self._fault: Fault | None = None
        self._next = 0.0
        self._busy = False

    @property
    def written(self) -> Written:
        """What is in force, with its text."""
        return self._written

    @property
    def source(self) -> str:
        """Where it was read: the file's name, or "shipped"."""
        return policy_file.NAME if self._from_file else "shipped"

    def current(self) -> Policy:
        """What is in force."""
        return self._written.policy

    def about(self) -> dict[str, Any]:
        """What anybody may know: which one it is, and whether a newer file was refused; nothing of what it says."""
        return {
            "digest": self._written.digest,
            "source": self.source,
            "refused": self._fault is not None,
            "line": self._fault.line if self._fault is not None else None,
        }

    def begin(self, connection: sqlite3.Connection) -> None:
        """Find out what is in force as the shop starts.

        Raises:
            PolicyWrong: the file cannot be read, and there never was a good one: to fall back on the shipped policy
                might let in whom it was to keep out.
        """
        last = _last(connection)
        if last is not None:
            self._written, self._from_file = last, True
        try:
            content = policy_file.of_folder(self._folder) if self._folder is not None else None
            found = self._shipped if content is None else policy_file.read(content)
        except (PolicyWrong, OSError) as wrong:
            fault = _as_wrong(wrong)
            if last is None:
                raise fault from wrong
            self._note_refusal(connection, fault.faults[0])
            self._fault = fault.faults[0]
            return
        if content is None and last is not None and self._folder is not None:
            self._absent = 1
            return
        self._note(connection, found, content is not None)
        self._take(found, content)

    async def refresh(self, database: Database) -> None:
        """Look at the file, once in `LOOK_SECONDS`, and put in force what it says, once that is on record.

        A file or a ledger that cannot be read or written leaves all as it is; the next look tries again.
        """
        if self._folder is None or self._busy or self._monotonic() < self._next:
            return
        self._busy = True
        try:
            await self._look(database, self._folder)
        except sqlite3.Error:
            logger.exception("a change of the policy cannot be recorded, so it does not hold yet")
        finally:
            self._next = self._monotonic() + LOOK_SECONDS
            self._busy = False

    async def _look(self, database: Database, folder: Path) -> None:
        try:
            content = policy_file.of_folder(folder)
            self._absent = self._absent + 1 if content is None else 0
            if content is None:
                if self._absent < ABSENT or not (self._from_file or self._fault):
                    return
                found = self._shipped
            elif content == self._seen:
                return
            else:
                found = policy_file.read(content)
        except (PolicyWrong, OSError) as wrong:
            fault = _as_wrong(wrong).faults[0]
            if fault != self._fault:
                await database.write(self._note_refusal, fault)
                self._fault = fault
            self._seen = content if isinstance(wrong, PolicyWrong) else None
            return
        await database.write(self._note, found, content is not None)
        self._take(found, content)

    def _take(self, found: Written, content: bytes | None) -> None:
        self._written, self._from_file, self._seen, self._fault = found, content is not None, content, None

    def _note(self, connection: sqlite3.Connection, found: Written, from_file: bool) -> None:
        """Keep the text, and record the change where what it says is another thing than before."""
        if from_file:
            connection.execute(
                "INSERT OR REPLACE INTO shop_policies (digest, text, at) VALUES (?, ?, ?)",
                (found.digest, found.text, self._clock()),
            )
            connection.execute(
                "DELETE FROM shop_policies WHERE seq <= (SELECT max(seq) FROM shop_policies) - ?", (KEPT,)
            )
        connection.execute("UPDATE shop_policies SET in_force = (digest = ?)", (found.digest if from_file else "",))
        if found.digest != self._written.digest:
            changed = allow("policy.changed", digest=found.digest[:12], before=self._written.digest[:12])
            self._record(connection, changed)

    def _note_refusal(self, connection: sqlite3.Connection, fault: Fault) -> None:
        where = f"line {fault.line}" if fault.line is not None else "it cannot be read"
        self._record(connection, deny("policy.refused", where=where, digest=self._written.digest[:12]))

    def _record(self, connection: sqlite3.Connection, ruling: Ruling) -> None:
        audit_id = audit_log.new_audit_id()
        audit_log.record(connection, Decision(audit_id=audit_id, at=self._clock(), **vars(ruling)))


def _last(connection: sqlite3.Connection) -> Written | None:
    """The policy that a file put in force and nothing has replaced since; None where there is none that can be read."""
    row = connection.execute("SELECT text FROM shop_policies WHERE in_force").fetchone()
    if row is None:
        return None
    try:
        return policy_file.read(row["text"].encode())
    except PolicyWrong:  # A version of this program wrote it whose policies had other keys.
        return None


def _as_wrong(error: PolicyWrong | OSError) -> PolicyWrong:
    if isinstance(error, PolicyWrong):
        return error
    return PolicyWrong((Fault(f"it cannot be read: {error.strerror or error}"),))
