"""One exception base: what happened, why, what to do, and the status that a command-line program ends with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Action = Literal[
    "log_in",
    "forget_and_log_in",
    "check_server",
    "restart_server",
    "register_client",
    "name_resource",
    "choose_folder",
    "approve",
    "call_without_token",
    "read_token",
    "check_machine",
]
"""What kind of thing helps. `log_in`: a human has to authorize, by `flow` and for `scopes` where they are named.
`forget_and_log_in`: what is stored is of no use. `check_server`: the URL that the program was given, or the network;
`server` is a better one where that is known. `restart_server`: it listens on this machine and does not answer.
`register_client`: by hand at the authorization server, and the program is told who it is (`ClientIdentity`).
`name_resource`: the authorization server takes another resource than the server's metadata name (RFC 8707).
`choose_folder`: for what is stored. `approve`: a login waits for the human, at `page`, who enters `code` there.
`call_without_token`: the server wants none. `read_token`: what is asked for is in the token itself, or nowhere.
`check_machine`: its network settings, clock or certificates."""


@dataclass(frozen=True)
class Remedy:
    """What would help, for a program that wants to say it in its own words, as a command or a button."""

    action: Action
    flow: str | None = None
    """The name of a login flow: "device" or "browser"."""
    scopes: tuple[str, ...] = ()
    server: str | None = None
    page: str | None = None
    code: str | None = None


class ExplainedError(Exception):
    """Raised anywhere, rendered once by the program that uses this package.

    Args:
        what: what happened, one sentence without a full stop.
        why: the cause as far as it is known; empty when `what` says it all.
        do: what the reader can do now, one sentence without a full stop.
        remedy: the same for a program, None where there is nothing that it could do.
    """

    exit_code = 3

    def __init__(self, what: str, *, why: str = "", do: str = "", remedy: Remedy | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.do = do
        self.remedy = remedy
        for more in filter(None, (why, do)):
            self.add_note(more)  # for who sees the traceback


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
