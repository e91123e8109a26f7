"""One exception base: what happened, why, what to do, and the status that a command-line program ends with."""

from __future__ import annotations


class ExplainedError(Exception):
    """Raised anywhere, rendered once by the program that uses this package.

    Args:
        what: what happened, one sentence without a full stop.
        why: the cause as far as it is known; empty when `what` says it all.
        do: what the reader can do now, as a command or a sentence.
    """

    exit_code = 3

    def __init__(self, what: str, *, why: str = "", do: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.do = do


class UsageError(ExplainedError):
    """What was asked for is wrong: an argument, a file's content."""

    exit_code = 2


class EnvironmentNotReady(ExplainedError):
    """Something on this machine is in the way: a port, a folder, a terminal, a clock."""

    exit_code = 3


class AuthorizationRefused(ExplainedError):
    """Authorization was needed and is missing, refused, expired or revoked."""

    exit_code = 4


class ServerUnreachable(ExplainedError):
    """The server does not answer, or what answers is not the server."""

    exit_code = 5
