"""How each MCP host is configured for a server: one function a host, from a target to text that goes into its file.

Where the formats come from is said at each. None of them holds a secret: hosts that speak HTTP log in by themselves
(OAuth), and the bridge uses the token that is stored on this machine.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Target:
    """The server to be reached: by `url`, or by starting `bridge` (program and arguments) where that is given."""

    name: str
    url: str
    bridge: tuple[str, ...] | None


@dataclass(frozen=True)
class Configuration:
    """What goes where. `command` does the same, None where the host has none."""

    where: str
    format: Literal["json", "toml"]
    content: str
    command: str | None


def claude(target: Target) -> Configuration:
    """Claude Code's documentation, "Connect Claude Code to tools via MCP"; Claude Desktop reads the same form.

    Claude Desktop's own connectors are called from the vendor's side, which cannot reach a server on loopback: there
    it takes the bridge.
    """
    add = ["claude", "mcp", "add"]
    if target.bridge is None:
        entry: dict[str, Any] = {"type": "http", "url": target.url}
        where = "Claude Code: .mcp.json in the project's folder. Claude Desktop: see --stdio"
        add += ["--transport", "http", target.name, target.url]
    else:
        entry = {"type": "stdio", **_started(target.bridge)}
        where = "Claude Desktop: claude_desktop_config.json (Settings, Developer, Edit Config). Claude Code: .mcp.json"
        add += ["--transport", "stdio", target.name, "--", *target.bridge]
    return Configuration(where, "json", _servers("mcpServers", target, entry), shlex.join(add))


def cursor(target: Target) -> Configuration:
    """Cursor's documentation, "Model Context Protocol (MCP)"."""
    entry = {"url": target.url} if target.bridge is None else {"type": "stdio", **_started(target.bridge)}
    where = "~/.cursor/mcp.json, or .cursor/mcp.json in one project"
    return Configuration(where, "json", _servers("mcpServers", target, entry), None)


def vscode(target: Target) -> Configuration:
    """Visual Studio Code's documentation, "MCP configuration reference"."""
    entry = (
        {"type": "http", "url": target.url} if target.bridge is None else {"type": "stdio", **_started(target.bridge)}
    )
    add = ["code", "--add-mcp", json.dumps({"name": target.name, **entry})]
    where = ".vscode/mcp.json in the workspace, or the user's mcp.json (MCP: Open User Configuration)"
    return Configuration(where, "json", _servers("servers", target, entry), shlex.join(add))


def inspector(target: Target) -> Configuration:
    """The MCP Inspector's documentation, "CLI client" and "MCP server configuration" (version 2)."""
    run = ["npx", "@modelcontextprotocol/inspector", "--cli"]
    if target.bridge is None:
        entry: dict[str, Any] = {"type": "streamable-http", "url": target.url}
        run += [target.url, "--transport", "http", "--method", "tools/list"]
    else:
        entry = {"type": "stdio", **_started(target.bridge)}
        # Its own options first: whatever follows the program is the program's.
        run += ["--method", "tools/list", "--", *target.bridge]
    where = f"a file of any name, used as: npx @modelcontextprotocol/inspector --config FILE --server {target.name}"
    return Configuration(where, "json", _servers("mcpServers", target, entry), shlex.join(run))


def codex(target: Target) -> Configuration:
    """Codex's documentation, "Model Context Protocol": a table for each server; `codex mcp login NAME` signs in."""
    add = ["codex", "mcp", "add", target.name]
    if target.bridge is None:
        lines = [f"url = {_toml(target.url)}"]
        command = f"{shlex.join([*add, '--url', target.url])} && {shlex.join(['codex', 'mcp', 'login', target.name])}"
    else:
        program, *arguments = target.bridge
        lines = [f"command = {_toml(program)}", f"args = [{', '.join(map(_toml, arguments))}]"]
        command = shlex.join([*add, "--", *target.bridge])
    content = "\n".join([f"[mcp_servers.{target.name}]", *lines])
    return Configuration("~/.codex/config.toml", "toml", content, command)


Host = Literal["claude", "cursor", "vscode", "inspector", "codex"]
HOSTS: Mapping[Host, Callable[[Target], Configuration]] = {
    "claude": claude,
    "cursor": cursor,
    "vscode": vscode,
    "inspector": inspector,
    "codex": codex,
}
"""Every host that is known, by the name that the command line takes."""


def _started(bridge: tuple[str, ...]) -> dict[str, Any]:
    program, *arguments = bridge
    return {"command": program, "args": arguments}


def _servers(key: str, target: Target, entry: Mapping[str, Any]) -> str:
    return json.dumps({key: {target.name: entry}}, indent=2, ensure_ascii=False)


def _toml(text: str) -> str:
    """A TOML basic string: JSON's escapes are among TOML's, save for DEL, which JSON leaves as it is."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
