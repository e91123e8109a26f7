"""The `[tools]` table of demo.toml: what the shop's verbs are called at a server with tool names of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from deputize.errors import UsageError

VERBS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "listMcpShopInventory": (),
        "buyMcpShopItem": ("company", "mailingAddress", "tshirtSize", "idempotencyKey"),
        "listMcpShopOrders": (),
        "getUserInfo": (),
        "setDemoMode": ("mode",),
        "clearDemoMode": (),
        "prettyPlease": (),
    }
)
"""The shop's verbs with their arguments (docs/wire.md): the left-hand sides of the table."""


@dataclass(frozen=True)
class ServersTool:
    """A server's own tool in a verb's place.

    Args:
        tool: its name.
        arguments: the verb's argument to the tool's; None for one that the tool does not take.
    """

    tool: str
    arguments: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class ToolMap:
    """Verbs to a server's tools; a verb that is not in it has the same name there."""

    tools: Mapping[str, ServersTool] = field(default_factory=dict)

    def name(self, verb: str) -> str:
        """What the server calls it."""
        return self.tools[verb].tool if verb in self.tools else verb

    def call(self, verb: str, arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """A call in the shop's words in the server's: its tool, and the arguments that the tool takes."""
        if verb not in self.tools:
            return verb, dict(arguments)
        theirs = self.tools[verb].arguments
        named = {theirs.get(name, name): value for name, value in arguments.items()}
        return self.tools[verb].tool, {name: value for name, value in named.items() if name is not None}


def read_tools(table: Any, where: str) -> ToolMap:
    """Read the table.

    Args:
        table: verb to a tool's name, or to `{ tool = NAME, arguments = { OURS = THEIRS } }`; `false` in the place of
            THEIRS leaves that argument out.
        where: the file and the table's name, for the error.

    Raises:
        UsageError: something in it is wrong; the file and the key are named.
    """
    if not isinstance(table, dict):
        raise UsageError(f"{where} is no table", do=f"write it as [{where.split()[-1]}]")
    return ToolMap(MappingProxyType({verb: _tool(verb, value, f"{where}.{verb}") for verb, value in table.items()}))


def _tool(verb: str, value: Any, where: str) -> ServersTool:
    if verb not in VERBS:
        raise UsageError(
            f"{where}: the talk has no verb {verb!r}", do=f"use one of: {', '.join(VERBS)}{_nearest(verb, VERBS)}"
        )
    if isinstance(value, str):
        value = {"tool": value}
    if not isinstance(value, dict):
        raise UsageError(f"{where} is {value!r}", why="it must be the tool's name", do=f'write {verb} = "NAME"')
    for key in value:
        if key not in ("tool", "arguments"):
            raise UsageError(f"{where}: unknown key {key!r}", do='write { tool = "NAME", arguments = { ... } }')
    name, arguments = value.get("tool", verb), value.get("arguments", {})
    if not isinstance(name, str) or not name.strip():
        raise UsageError(f"{where}.tool is {name!r}", why="it must be a tool's name", do="demo tools lists them")
    if not isinstance(arguments, dict):
        raise UsageError(f"{where}.arguments is {arguments!r}", do="write arguments = { OURS = THEIRS }")
    return ServersTool(name, MappingProxyType(_arguments(verb, arguments, f"{where}.arguments")))


def _arguments(verb: str, given: dict[str, Any], where: str) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for ours, theirs in given.items():
        if ours not in VERBS[verb]:
            takes = ", ".join(VERBS[verb]) or "no arguments"
            why = f"{verb} takes: {takes}"
            raise UsageError(f"{where}: {verb} has no argument {ours!r}", why=why, do="take it out, or spell it so")
        if theirs is not False and (not isinstance(theirs, str) or not theirs):
            why = "it must be the tool's name for it, or false where the tool takes none"
            raise UsageError(f"{where}.{ours} is {theirs!r}", why=why, do=f'write {ours} = "NAME"')
        found[ours] = theirs or None
    named = [theirs for theirs in found.values() if theirs is not None]
    twice = next((name for name in named if named.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"{where}: two arguments become {twice!r}", do="give each a name of its own")
    return found


def _nearest(word: str, known: Mapping[str, Any]) -> str:
    from difflib import get_close_matches  # only where something is misspelt

    close = get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""
