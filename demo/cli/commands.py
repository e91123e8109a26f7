"""Every command of `demo`, under the heading that it has in the help. Adding a command is a function and a line here.

A command's module is imported when that command is asked for, so that `demo next` does not wait for the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

TALK: Final = "The talk"
AGENT: Final = "The agent"
HUMAN: Final = "The human in control"
SERVERS: Final = "Servers"
SETUP: Final = "Setup"

VALUES: Final = frozenset({"--server", "--profile", "--state", "--width", "--theme", "--port", "--trace"})
"""The global options that take a value."""


@dataclass(frozen=True)
class Entry:
    """One command.

    Args:
        heading: what it stands under in `demo --help`.
        where: `module:function`, or `module:app` where it has commands of its own.
        own: global options whose name it has for an option of its own: `demo run --json FILE`.
        resumes: whether `demo next` goes on where an interrupted one stopped.
    """

    heading: str
    where: str
    own: frozenset[str] = frozenset()
    resumes: bool = False


COMMANDS: Final[Mapping[str, Entry]] = MappingProxyType(
    {
        "next": Entry(TALK, "demo.cli.performing:next_", resumes=True),
        "again": Entry(TALK, "demo.cli.performing:again", resumes=True),
        "back": Entry(TALK, "demo.cli.performing:back", resumes=True),
        "goto": Entry(TALK, "demo.cli.performing:goto", resumes=True),
        "run": Entry(TALK, "demo.cli.performing:run", own=frozenset({"--json"}), resumes=True),
        "stage": Entry(TALK, "demo.cli.staging:stage", resumes=True),
        "presenter": Entry(TALK, "demo.cli.presenting:presenter", own=frozenset({"--port"})),
        "replay": Entry(TALK, "demo.cli.recordings:replay"),
        "export": Entry(TALK, "demo.cli.recordings:export"),
        "list": Entry(TALK, "demo.cli.looking:list_"),
        "status": Entry(TALK, "demo.cli.looking:status"),
        "notes": Entry(TALK, "demo.cli.looking:notes"),
        "reset": Entry(TALK, "demo.cli.performing:reset"),
        "rehearse": Entry(TALK, "demo.cli.rehearsing:rehearse"),
        "new-talk": Entry(TALK, "demo.cli.new_talk:new_talk"),
        "check": Entry(TALK, "demo.cli.checking:check"),
        "login": Entry(AGENT, "demo.cli.identity:login"),
        "whoami": Entry(AGENT, "demo.cli.identity:whoami"),
        "token": Entry(AGENT, "demo.cli.identity:token"),
        "hand-on": Entry(AGENT, "demo.cli.handing_on:hand_on"),
        "logout": Entry(AGENT, "demo.cli.identity:logout"),
        "tools": Entry(AGENT, "demo.cli.agent:tools"),
        "call": Entry(AGENT, "demo.cli.agent:call"),
        "orders": Entry(AGENT, "demo.cli.agent:orders"),
        "agent": Entry(AGENT, "demo.cli.driving:agent"),
        "connect": Entry(AGENT, "demo.cli.connecting:connect"),
        "audit": Entry(HUMAN, "demo.cli.auditing:audit"),
        "revoke": Entry(HUMAN, "demo.cli.control:revoke"),
        "reinstate": Entry(HUMAN, "demo.cli.control:reinstate"),
        "door": Entry(HUMAN, "demo.cli.control:door"),
        "policy": Entry(HUMAN, "demo.cli.policies:policy"),
        "serve": Entry(SERVERS, "demo.cli.serving:serve", own=frozenset({"--port"})),
        "stop": Entry(SERVERS, "demo.cli.serving:stop"),
        "deploy": Entry(SERVERS, "demo.cli.deploying:deploy"),
        "workos": Entry(SERVERS, "demo.cli.workos:workos"),
        "doctor": Entry(SETUP, "demo.cli.serving:doctor"),
        "trust": Entry(SETUP, "demo.cli.serving:trust"),
    }
)
"""By name, in the order in which the help lists them."""


def command_at(arguments: Sequence[str]) -> int:
    """Where the command's name stands among arguments whose global options stand in front (`demo.cli.main.hoist`).

    A profile may have the name of a command.

    Returns:
        The index of the name, of a `--` before it, or the length where there is neither.
    """
    at = 0
    while at < len(arguments) and arguments[at].startswith("-") and arguments[at] != "--":
        at += 2 if arguments[at] in VALUES else 1
    return min(at, len(arguments))
