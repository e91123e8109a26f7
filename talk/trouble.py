"""What went wrong in a live step, in one line of plain words."""

from __future__ import annotations

import errno
import sqlite3
from typing import Any

from demo.errors import DemoError, EnvironmentNotReady
from talk.playing.kind import base_key
from talk.run import StepResult

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_VERDICTS = {"allow": "allowed", "deny": "refused"}


def error_of(failed: Exception) -> DemoError:
    """An exception that ended a step, as the error that a user is shown."""
    if isinstance(failed, DemoError):
        return failed
    if isinstance(failed, sqlite3.Error):
        return EnvironmentNotReady("the run cannot be written down", why=str(failed), do="see to the state folder")
    if isinstance(failed, OSError) and failed.errno in _FULL:
        return EnvironmentNotReady("the disk is full", why=str(failed.filename or ""), do="free some")
    return DemoError(f"something broke that should not have: {type(failed).__name__}", why=str(failed), do="try again")


def in_words(failed: DemoError | StepResult) -> str:
    """One line on what went wrong, without codes where the matter has a word."""
    if isinstance(failed, DemoError):
        return " ".join((f"{failed.what}: {failed.why}" if failed.why else failed.what).split())
    if failed.error:
        return " ".join(failed.error.split())
    seen = failed.observed
    for key in ("verdict", "before", "after"):
        if key in failed.failed and seen.get(key) in _VERDICTS:
            wanted, got = (_VERDICTS.get(str(value), str(value)) for value in (failed.expected[key], seen[key]))
            by = f" by the rule {seen['rule']}" if got == "refused" and seen.get("rule") else _status(failed)
            call = {"before": "the call before it", "after": "the call after it"}.get(key, "the call")
            return f"{call} was {got}{by}, where the script has it {wanted}"
    if "granted" in failed.failed:
        return f"the agent got no grant ({seen.get('error', 'no reason was given')})"
    if "status" in failed.failed:
        return f"the answer is HTTP {seen.get('status', 'none')}, where the script has {failed.expected['status']}"
    first = failed.failed[0]
    more = f", and {len(failed.failed) - 1} more" if len(failed.failed) > 1 else ""
    return f"{base_key(first)} is {_value(seen, first)}, where the script has {failed.expected[first]!r}{more}"


def _status(failed: StepResult) -> str:
    status = failed.observed.get("status", failed.http_status)
    return f" (HTTP {status})" if status is not None else ""


def _value(seen: Any, key: str) -> str:
    name = base_key(key)
    return repr(seen[name]) if name in seen else "not said"
