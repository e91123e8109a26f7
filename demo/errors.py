"""The one exception that reaches a user: what happened, why, what to do, and the exit code that says so."""

from __future__ import annotations

OK = 0
EXPECTATION = 1
USAGE = 2
ENVIRONMENT = 3
REFUSED = 4
UNREACHABLE = 5
INTERRUPTED = 130


class DemoError(Exception):
    """Raised anywhere, rendered once (`demo.cli.main`).

    Args:
        what: what happened, one sentence without a full stop.
        why: the cause as far as it is known; empty when `what` says it all.
        do: what the reader can do now, as a command or a sentence.
    """

    exit_code = ENVIRONMENT

    def __init__(self, what: str, *, why: str = "", do: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.do = do


class ExpectationFailed(DemoError):
    """A beat's expectation did not hold."""

    exit_code = EXPECTATION


class UsageError(DemoError):
    """The command line, a talk's files or a tool's arguments are wrong."""

    exit_code = USAGE


class EnvironmentNotReady(DemoError):
    """Something on this machine is in the way: a port, a folder, a terminal, a clock."""

    exit_code = ENVIRONMENT


class AuthorizationRefused(DemoError):
    """Authorization was needed and is missing, refused, expired or revoked."""

    exit_code = REFUSED


class ServerUnreachable(DemoError):
    """The server does not answer, or what answers is not the server."""

    exit_code = UNREACHABLE
