"""Preflight: what this machine and the chosen server are like, one finding each, with the fix."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from demo.errors import advice
from demo.evidence.shop import Capability
from demo.local_server import local
from demo.preflight import Finding
from demo.preflight.keys_in_files import examine_files
from demo.preflight.on_stage import examine_full_screen, examine_terminal, examine_worker_tools
from demo.preflight.policy import examine_policy
from demo.preflight.workos import examine_workos
from demo.settings import Settings
from deputize import net, private
from deputize.errors import EnvironmentNotReady, ExplainedError

if TYPE_CHECKING:
    from demo.client.agent import Agent
    from demo.client.capabilities import Survey

SKEW_SECONDS = 5.0
"""More than this between two clocks, and tokens look expired, or not yet valid."""
LOOK_SECONDS = 10.0
"""For each thing that is looked at in the server."""


@dataclass(frozen=True)
class Examination:
    """What was found: the lines of the preflight, and what the server supports, by standard (empty: none was seen)."""

    findings: tuple[Finding, ...]
    capabilities: tuple[Capability, ...]


def examine(settings: Settings) -> Examination:
    """Look at everything the talk stands on, each thing once. Starts the local server when that is the one to drive.

    Nothing is changed at the server.

    Raises:
        UsageError: the server's URL is none.
    """
    findings = [_python(), examine_terminal(settings), examine_full_screen(), _state(settings)]
    if settings.local:
        findings.append(_port(settings))
    findings += [_keyring(), examine_worker_tools(settings)]
    base, finding = _server(settings)
    findings.append(finding)
    if base is not None and settings.local:
        findings.append(examine_policy(settings.state, base))
    seen = None
    if base is None:
        findings += [Finding("skip", name, "the server was not reached") for name in ("clock", "issuer")]
    else:
        seen, agent = _look(base, settings.state)
        issuer = seen.authorization_server.issuer if seen.authorization_server is not None else None
        clocks = (agent.skew, agent.recorder.skew(issuer) if issuer is not None else None)
        findings += [*_wire(seen), _clock(*clocks)]
    return Examination((*findings, *further(settings, seen)), _supported(seen, settings))


def further(settings: Settings, seen: Survey | None) -> list[Finding]:
    """WorkOS behind the server, where it is used, and keys in files.

    Args:
        seen: what a look at the server gave, None where there is none.
    """
    named = {settings.workos.api_key_env, settings.client.secret_env or ""} - {""}
    return [*examine_workos(settings, os.environ, seen), examine_files(Path(), os.environ, named)]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("ok", "Python", version)


def _state(settings: Settings) -> Finding:
    try:
        private.folder(settings.state)
        tempfile.TemporaryFile(dir=settings.state).close()
    except EnvironmentNotReady as error:
        return Finding("bad", "state folder", error.why, advice(error))
    except OSError as error:
        return Finding("bad", "state folder", error.strerror or str(error), "choose another with --state DIR")
    return Finding("ok", "state folder", "writable, for this user alone")


def _port(settings: Settings) -> Finding:
    if (running := local.find(settings.state)) is not None:
        return Finding("ok", "port", f"our own server listens at {running.base_url}")
    if net.is_free(settings.port):
        return Finding("ok", "port", f"{settings.port} is free")
    return Finding("warn", "port", f"{settings.port} is taken by something else", "a free one is used; or --port N")


def _keyring() -> Finding:
    from demo.logins import wanted
    from deputize.tokens.os_keyring import keyring_name

    name = keyring_name() if wanted() else None
    if name is None:
        return Finding("warn", "keyring", "none here", "tokens go to a 0600 file in the state folder; fine for a demo")
    return Finding("ok", "keyring", name)


def _server(settings: Settings) -> tuple[str | None, Finding]:
    if settings.server is not None:
        return settings.server, Finding("skip", "server", f"{settings.server}, as named; see what follows")
    try:
        server, note = local.ensure(settings.state, port=settings.port)
    except ExplainedError as error:
        return None, Finding("bad", "server", f"{error.what}: {error.why}", advice(error))
    return server.base_url, Finding("ok", "server", note or f"{server.base_url}, pid {server.pid}")


def _look(base: str, state: Path) -> tuple[Survey, Agent]:
    """One look at the server for all that is said of it, and who looked, who has heard the clocks."""
    from demo.client.agent import Agent
    from demo.client.capabilities import survey
    from demo.logins import token_store

    agent = Agent(base, store=token_store(state, server=base), timeout=LOOK_SECONDS)
    return survey(agent), agent


def _wire(seen: Survey) -> list[Finding]:
    from demo.deploy import checking

    if seen.requires_token is False:
        fix = "nothing, if that is meant: beats that need a login are skipped there"
        door = Finding("warn", "challenge", "it lists its tools to anybody: no auth", fix)
    else:
        door = Finding(*checking.door(seen, "challenge"))
    own = [Finding(*row) for row in checking.own_word(seen)]
    if seen.anonymous is None or not (seen.requires_token or seen.anonymous.challenge):
        return [door, Finding("skip", "issuer", "no challenge to follow"), *own]
    if seen.resource is not None and seen.resource.problem is not None:
        return [door, Finding("bad", "issuer", seen.resource.problem, "do not log in there"), *own]
    return [door, Finding(*checking.issuer(seen)), *own]


def _supported(seen: Survey | None, settings: Settings) -> tuple[Capability, ...]:
    if seen is None or seen.anonymous is None:
        return ()  # nothing was seen: why not is a finding, said once
    from demo.client.capabilities import table
    from demo.settings.tools import VERBS

    return table(seen, {verb: settings.tools.name(verb) for verb in VERBS})


def _clock(server: float | None, issuer: float | None) -> Finding:
    """Which clock is wrong, as far as that can be known.

    Args:
        server, issuer: the clocks of the two servers minus ours in seconds, None where they gave none.
    """
    skews = {"the server": server, "the authorization server": issuer}
    heard = {who: skew for who, skew in skews.items() if skew is not None}
    if not heard:
        return Finding("skip", "clock", "no answer with a Date to compare with")
    off = {who: skew for who, skew in heard.items() if abs(skew) > SKEW_SECONDS}
    if not off:
        return Finding("ok", "clock", f"agrees with {' and '.join(heard)}")
    detail = ", ".join(f"{who}'s is {_said(skew)}" for who, skew in off.items())
    # Two that agree with each other are right, for all that can be known here.
    if len(heard) == 2 and len(off) == 1:
        wrong = next(iter(off))
        why = (
            ": what it issues looks expired to others, or lives too long" if wrong == "the authorization server" else ""
        )
        return Finding("bad", "clock", f"{detail}{why}", f"set {wrong}'s clock (NTP)")
    if len(off) == 2 and abs(heard["the server"] - heard["the authorization server"]) > SKEW_SECONDS:
        return Finding("bad", "clock", f"{detail}: no two agree", "set all three clocks (NTP), this machine's first")
    return Finding("bad", "clock", detail, "set this machine's clock (NTP)")


def _said(skew: float) -> str:
    return f"{abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}"
