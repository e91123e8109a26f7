"""The last checkpoint of each log that this client has verified: a file in the state folder, against which a log that
was cut or rewritten is told from one that only grew."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from demo.client.audit.chain import Checkpoint
from demo.evidence.audit import LogCheck
from deputize import net, private

FILE: Final = "audit-checkpoints.json"
MOST_LOGS: Final = 10_000
"""Logs that are remembered of one server; an admin may verify them all."""


def recall(state: Path, server: str) -> dict[str | None, Checkpoint]:
    """The checkpoints of this server's logs, by the user whose they are.

    What cannot be read is nothing that was verified, and so nothing that one may go by.
    """
    found: dict[str | None, Checkpoint] = {}
    kept = _read(state).get(server)
    for user, one in kept.items() if isinstance(kept, dict) else ():
        with suppress(TypeError):
            found[user or None] = Checkpoint(**one)
    return found


def remember(state: Path, server: str, checks: Iterable[LogCheck]) -> None:
    """Keep what was just verified; a log with a finding stays remembered as it was.

    Raises:
        OSError: it cannot be written.
    """
    kept = _read(state)
    known = kept.get(server)
    logs: dict[str, Any] = dict(known) if isinstance(known, dict) else {}
    for one in checks:
        if not one.findings and one.signed_at is not None and one.key is not None:
            checkpoint = Checkpoint(one.log, one.size, one.link, one.signed_at, one.key, one.written_before)
            logs[one.user or ""] = asdict(checkpoint)
    kept[server] = dict(list(logs.items())[-MOST_LOGS:])
    private.write(private.folder(state) / FILE, json.dumps(kept))


def forget(state: Path, server: str) -> None:
    """Forget one server's logs: the next verification begins again.

    Raises:
        OSError: it cannot be written.
    """
    kept = _read(state)
    if kept.pop(server, None) is not None:
        private.write(state / FILE, json.dumps(kept))


def forget_local(state: Path) -> None:
    """Forget the logs of the servers of this machine, whose data goes with a reset."""
    kept = _read(state)
    others = {server: logs for server, logs in kept.items() if not net.is_loopback(urlsplit(server).hostname or "")}
    if others != kept:
        private.write(state / FILE, json.dumps(others))


def _read(state: Path) -> dict[str, Any]:
    try:
        kept = json.loads((state / FILE).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return kept if isinstance(kept, dict) else {}
