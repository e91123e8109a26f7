"""The exit codes of the command (docs/cli.md), and the one error that is the talk's own."""

from __future__ import annotations

from deputize.errors import (
    AuthorizationRefused,
    EnvironmentNotReady,
    ExplainedError,
    ServerUnreachable,
    UsageError,
)

OK = 0
EXPECTATION = 1
USAGE = UsageError.exit_code
ENVIRONMENT = EnvironmentNotReady.exit_code
REFUSED = AuthorizationRefused.exit_code
UNREACHABLE = ServerUnreachable.exit_code
INTERRUPTED = 130


class ExpectationFailed(ExplainedError):
    """A beat's expectation did not hold."""

    exit_code = EXPECTATION
