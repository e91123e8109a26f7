"""Preflight: what this machine and the chosen server are like, one finding each, with the fix."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from demo import local
from demo.errors import DemoError
from demo.evidence import Capability
from demo.settings import Settings

Mark = Literal["ok", "warn", "bad", "skip"]
SKEW_SECONDS = 5.0
"""More than this between our clock and the server's, and tokens look expired, or not yet valid."""


@dataclass(frozen=True)
class Finding:
    """One line of the preflight; `fix` is empty where nothing needs one."""

    mark: Mark
    name: str
    detail: str
    fix: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Look at everything the talk stands on. Starts the local server when that is the one to drive."""
    findings = [_python(), _terminal(settings), _state(settings)]
    if settings.local:
        findings.append(_port(settings))
    findings.append(_keyring())
    base, finding = _server(settings)
    findings.append(finding)
    if base is None:
        findings += [Finding("skip", name, "the server was not reached") for name in ("clock", "authority")]
    else:
        findings += _wire(settings, base)
    from demo.preflight import further  # it needs this module's Finding

    return findings + further(settings)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("ok", "Python", version)


def _terminal(settings: Settings) -> Finding:
    width, height = shutil.get_terminal_size()
    width = settings.width or width
    detail = f"{width}x{height}"
    if not sys.stdout.isatty():
        return Finding("skip", "terminal", "stdout is not a terminal: no prompts, no colour")
    if width < 80 or height < 24:
        return Finding("warn", "terminal", detail, "make it 80x24 or larger: the panels are drawn for that")
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    if encoding != "utf8":
        return Finding("warn", "terminal", f"{detail}, {encoding or 'no encoding'}", "use a UTF-8 locale, for QR codes")
    return Finding("ok", "terminal", detail)


def _state(settings: Settings) -> Finding:
    try:
        settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        tempfile.TemporaryFile(dir=settings.state).close()
    except OSError as error:
        return Finding("bad", "state folder", error.strerror or str(error), "choose another with --state DIR")
    return Finding("ok", "state folder", "writable")


def _port(settings: Settings) -> Finding:
    if (running := local.find(settings.state)) is not None:
        return Finding("ok", "port", f"our own server listens at {running.base_url}")
    if local.port_is_free(settings.port):
        return Finding("ok", "port", f"{settings.port} is free")
    return Finding("warn", "port", f"{settings.port} is taken by something else", "a free one is used; or --port N")


def _keyring() -> Finding:
    from demo.client.store import keyring_name

    name = keyring_name()
    if name is None:
        return Finding("warn", "keyring", "none here", "tokens go to a 0600 file in the state folder; fine for a demo")
    return Finding("ok", "keyring", name)


def _server(settings: Settings) -> tuple[str | None, Finding]:
    if settings.server is not None:
        return settings.server, Finding("skip", "server", f"{settings.server}, as named; see what follows")
    try:
        server, note = local.ensure(settings.state, port=settings.port)
    except DemoError as error:
        return None, Finding("bad", "server", f"{error.what}: {error.why}", error.do)
    return server.base_url, Finding("ok", "server", note or f"{server.base_url}, pid {server.pid}")


def _wire(settings: Settings, base: str) -> list[Finding]:
    from demo.client.agent import Agent
    from demo.client.store import TokenStore

    agent = Agent(base, store=TokenStore.open(settings.state, server=base), timeout=10.0)
    findings: list[Finding] = []
    challenge = None

    def ask() -> str:
        nonlocal challenge
        outcome = agent.tools(token="none")
        challenge = outcome.challenge
        if outcome.status == 401:
            return f"401 without a token, in {1000 * outcome.exchanges[-1].seconds:.0f} ms"
        if outcome.status == 200:
            raise _Unguarded
        raise DemoError(f"HTTP {outcome.status} without a token", do="a protected MCP server answers 401")

    def discover() -> str:
        assert challenge is not None
        found = agent.discover(challenge)
        problem = (found.resource and found.resource.problem) or (found.authority and found.authority.problem)
        if problem:
            raise DemoError(problem, do="do not log in there")
        if found.authority is None:
            raise DemoError("no authorization server metadata", do="publish RFC 9728 and RFC 8414 documents")
        if found.authority.device_authorization_endpoint:
            flow = "device login"
        elif found.authority.authorization_endpoint:
            flow = "browser login"
        else:
            raise DemoError(f"{found.authority.issuer} offers no login", do="see what it offers below")
        return f"{found.authority.issuer}, {flow}"

    try:
        findings.append(_tried("challenge", ask))
    except _Unguarded:
        fix = "nothing, if that is meant: beats that need authority are skipped there"
        findings.append(Finding("warn", "challenge", "it lists its tools to anybody: no auth", fix))
    if challenge is None:
        findings.append(Finding("skip", "authority", "no challenge to follow"))
    else:
        findings.append(_tried("authority", discover))
    findings.append(_clock(agent.skew))
    return findings


class _Unguarded(Exception):
    """The server answers who has no token."""


def capabilities(settings: Settings) -> tuple[Capability, ...]:
    """What the server that `examine` looked at supports, by standard. Nothing is changed there.

    Empty where no local server runs.

    Raises:
        UsageError: the server's URL is none.
    """
    from demo.client.agent import Agent
    from demo.client.capabilities import survey, table
    from demo.client.store import TokenStore
    from demo.settings.tools import VERBS

    running = local.find(settings.state) if settings.local else None
    base = settings.server or (running.base_url if running else None)
    if base is None:
        return ()
    agent = Agent(base, store=TokenStore.open(settings.state, server=base), timeout=10.0)
    return table(survey(agent), {verb: settings.tools.name(verb) for verb in VERBS})


def _clock(skew: float | None) -> Finding:
    if skew is None:
        return Finding("skip", "clock", "no answer with a Date to compare with")
    if abs(skew) > SKEW_SECONDS:
        return Finding("bad", "clock", f"{abs(skew):.0f} s from the server's", "set this machine's clock (NTP)")
    return Finding("ok", "clock", "agrees with the server's")


def _tried(name: str, look: Callable[[], str]) -> Finding:
    with contextlib.suppress(KeyboardInterrupt):
        try:
            return Finding("ok", name, look())
        except DemoError as error:
            return Finding("bad", name, f"{error.what} {error.why}".strip(), error.do)
    return Finding("skip", name, "interrupted")
