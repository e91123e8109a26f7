"""What went wrong in a live step, in one line of plain words."""

from __future__ import annotations

import errno
import re
import sqlite3
from http import HTTPStatus
from typing import Any

from deputize.errors import EnvironmentNotReady, ExplainedError
from talk.playing.kind import base_key
from talk.results import StepResult

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
CLOCK_OFF = 120.0
"""Seconds by which two clocks may differ without a word."""
_AUTHORIZATION_SERVER = ("/oauth2/", "/device", "/account", "/.well-known/oauth-authorization-server")
_OURS = {"page": "the sample human could not use its page", "code_mismatch": "its page shows another code"}
"""What ends a login without an error code of the authorization server's."""
_VERDICTS = {"allow": "allowed", "deny": "refused"}


def error_of(failed: Exception) -> ExplainedError:
    """An exception that ended a step, as the error that a user is shown."""
    if isinstance(failed, ExplainedError):
        return failed
    if isinstance(failed, sqlite3.Error):
        return EnvironmentNotReady("the run cannot be written down", why=str(failed), do="see to the state folder")
    if isinstance(failed, OSError) and failed.errno in _FULL:
        return EnvironmentNotReady("the disk is full", why=str(failed.filename or ""), do="free some")
    return ExplainedError(
        f"something broke that should not have: {type(failed).__name__}", why=str(failed), do="try again"
    )


def in_words(failed: ExplainedError | StepResult, *, server: str = "", ahead: float | None = None) -> str:
    """One line on what went wrong, without codes and addresses where the matter has a word.

    Args:
        server: the server's base URL, whose places are then called by what they are.
        ahead: seconds by which this machine's clock is ahead of the server's, None where nobody knows; said where it is
            far off, since what a wrong clock does looks like anything else.
    """
    said = _said(failed)
    if server:
        said = re.sub(rf"{re.escape(server)}\b(/[^\s,:;)]*)?", lambda found: _place(found[1] or ""), said)
    if ahead is not None and abs(ahead) > CLOCK_OFF:
        said += f" (this machine's clock is {abs(ahead) / 60:.0f} min {'ahead' if ahead > 0 else 'behind'})"
    return said


def _place(path: str) -> str:
    return "the authorization server" if path.startswith(_AUTHORIZATION_SERVER) else "the shop"


def _said(failed: ExplainedError | StepResult) -> str:
    if isinstance(failed, ExplainedError):
        return " ".join((f"{failed.what}: {failed.why}" if failed.why else failed.what).split())
    if failed.error:
        return " ".join(failed.error.split())
    seen = failed.observed
    for key in ("verdict", "before", "after"):
        if key in failed.failed and seen.get(key) in _VERDICTS:
            wanted, got = (_VERDICTS.get(str(value), str(value)) for value in (failed.expected[key], seen[key]))
            ruled = got == "refused" and seen.get("rule") and key != "before"  # the rule is of the later call
            by = f" by the rule {seen['rule']}" if ruled else "" if key == "before" else _status(failed)
            call = {"before": "the call before it", "after": "the call after it"}.get(key, "the call")
            return f"{call} was {got}{by}, where the script has it {wanted}"
    if "granted" in failed.failed:
        error = str(seen.get("error", "no reason was given"))
        return f"the agent got no grant ({_OURS.get(error, error)})"
    if "status" in failed.failed:
        return f"the answer is {_phrase(seen.get('status'))}, where the script has {_phrase(failed.expected['status'])}"
    first = failed.failed[0]
    more = f", and {len(failed.failed) - 1} more" if len(failed.failed) > 1 else ""
    return f"{base_key(first)} is {_value(seen, first)}, where the script has {failed.expected[first]!r}{more}"


def _phrase(status: Any) -> str:
    """A status with its name (RFC 9110 section 15): people read the name."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return "none" if status is None else str(status)


def _status(failed: StepResult) -> str:
    status = failed.observed.get("status", failed.http_status)
    return f" (HTTP {status})" if status is not None else ""


def _value(seen: Any, key: str) -> str:
    name = base_key(key)
    return repr(seen[name]) if name in seen else "not said"
