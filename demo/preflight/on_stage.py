"""What the talk needs of this machine beyond the servers: a terminal to be read from, and the Worker's tools."""

from __future__ import annotations

import shutil
import sys

from demo.preflight import Finding
from demo.settings import Settings
from deputize.errors import EnvironmentNotReady

WORKER_BEATS = ("deploy", "where-agents-run")
"""The beats that run a Worker: the shop, and the agent. Without its tools they describe that, and do nothing."""
_COLOURS = {"standard": "16 colours", "256": "256 colours", "truecolor": "16 million colours"}


def examine_terminal(settings: Settings) -> Finding:
    """Whether panels fit, QR codes can be drawn, and a verdict has a colour."""
    from rich.console import Console

    width, height = shutil.get_terminal_size()
    width = settings.width or width
    if not sys.stdout.isatty():
        return Finding("skip", "terminal", "stdout is not a terminal: no prompts, no colour")
    console = Console(legacy_windows=False)
    colours = _COLOURS.get(console.color_system or "", "no colour")
    detail = f"{width}x{height}, {colours}"
    if width < 80 or height < 24:
        return Finding("warn", "terminal", detail, "make it 80x24 or larger: the panels are drawn for that")
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    if encoding != "utf8":
        return Finding("warn", "terminal", f"{detail}, {encoding or 'no encoding'}", "use a UTF-8 locale, for QR codes")
    if console.is_dumb_terminal:
        fix = "use another terminal, or play beat by beat: demo next"
        return Finding("warn", "terminal", f"{detail}; it obeys no escape sequence", fix)
    if console.color_system is None or console.no_color:
        fix = "unset NO_COLOR, or set TERM, if that is not meant: verdicts are told by marks alone"
        return Finding("warn", "terminal", f"{width}x{height}, no colour", fix)
    return Finding("ok", "terminal", detail)


def examine_full_screen() -> Finding:
    """Whether the library is there that draws the full screen."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return Finding("ok", "full screen", f"textual {version('textual')}")
    except PackageNotFoundError:
        fix = "install the demo again; until then play beat by beat: demo next"
        return Finding("warn", "full screen", "textual is not installed", fix)


def examine_worker_tools(settings: Settings) -> Finding:
    """Node, npm and wrangler, without which beats are described and not done."""
    from demo.deploy import tools

    name, (deploy, agents) = "Worker tools", WORKER_BEATS
    if settings.edge == "off":
        return Finding("skip", name, f"edge is off: the beats {deploy} and {agents} are described, not done")
    missing: dict[str, EnvironmentNotReady] = {}
    for beat, folder in ((deploy, tools.default_worker()), (agents, tools.default_agent())):
        try:
            found = tools.find(folder)
        except EnvironmentNotReady as error:
            missing[beat] = error
    if missing:
        # What installs wrangler is npm.
        fixes = dict.fromkeys(error.do for error in missing.values())
        fix = "; ".join(fixes) if shutil.which("npm") is not None else tools.GET_NODE
        beats = f"the beats {deploy} and {agents} are" if len(missing) > 1 else f"the beat {next(iter(missing))} is"
        return Finding("warn", name, f"{next(iter(missing.values())).what}: {beats} described, not done", fix)
    node = ".".join(map(str, tools.node_version(found.node)))
    return Finding("ok", name, f"Node {node}, wrangler {tools.wrangler_version(found)}")
