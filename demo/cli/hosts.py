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
    """What goes where, and what follows.

    Args:
        command: does the same as the file; None where the host has none.
        login: how a person logs the host in at the server; None where it has the bridge's login.
        prompt: what buys a shirt: words for the assistant, or where there is none (`asks` is "run") a command.
    """

    where: str
    format: Literal["json", "toml", "yaml"]
    content: str
    command: str | None
    login: str | None
    prompt: str
    asks: Literal["say", "run"] = "say"


SHIRT = {"company": "Acme", "mailingAddress": "1 Main Street, Springfield", "tshirtSize": "M"}


def prompt(target: Target) -> str:
    """What a person says to an assistant. All that the tool needs is in it, so that no model has to guess or ask."""
    company, address, size = SHIRT.values()
    return (
        f"Use the tools of {target.name}. Buy me one conference T-shirt, size {size}; company: {company}; mailing "
        f"address: {address}. Buy it once. Then tell me the order's id, its price, and what is left to spend."
    )


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
    login = f"claude mcp login {target.name} (in a session: /mcp)"
    return _configuration(target, where, _servers("mcpServers", target, entry), shlex.join(add), login)


def cursor(target: Target) -> Configuration:
    """Cursor's documentation, "Model Context Protocol (MCP)"."""
    entry = {"url": target.url} if target.bridge is None else {"type": "stdio", **_started(target.bridge)}
    where = "~/.cursor/mcp.json, or .cursor/mcp.json in one project"
    login = f"in Cursor's settings for MCP, connect {target.name}"
    return _configuration(target, where, _servers("mcpServers", target, entry), None, login)


def vscode(target: Target) -> Configuration:
    """Visual Studio Code's documentation, "MCP configuration reference"."""
    entry = (
        {"type": "http", "url": target.url} if target.bridge is None else {"type": "stdio", **_started(target.bridge)}
    )
    add = ["code", "--add-mcp", json.dumps({"name": target.name, **entry})]
    where = ".vscode/mcp.json in the workspace, or the user's mcp.json (MCP: Open User Configuration)"
    login = f"in VS Code run MCP: List Servers, start {target.name}, and allow it to sign in"
    return _configuration(target, where, _servers("servers", target, entry), shlex.join(add), login)


def inspector(target: Target) -> Configuration:
    """The MCP Inspector's documentation, "CLI client" and "MCP server configuration" (version 2). No model is in it."""
    run = ["npx", "@modelcontextprotocol/inspector", "--cli"]
    called = ["--method", "tools/call", "--tool-name", "buyMcpShopItem", "--tool-arg"]
    called += [f"{name}={value}" for name, value in SHIRT.items()]
    if target.bridge is None:
        entry: dict[str, Any] = {"type": "streamable-http", "url": target.url}
        reached = [target.url, "--transport", "http"]
        listed, buy = [*run, *reached, "--method", "tools/list"], [*run, *reached, *called]
    else:
        entry = {"type": "stdio", **_started(target.bridge)}
        # Its own options first: whatever follows the program is the program's.
        listed, buy = [*run, "--method", "tools/list", "--", *target.bridge], [*run, *called, "--", *target.bridge]
    where = f"a file of any name, used as: npx @modelcontextprotocol/inspector --config FILE --server {target.name}"
    content = _servers("mcpServers", target, entry)
    login = None if target.bridge is not None else "run it in a terminal, and it opens the browser"
    return Configuration(where, "json", content, shlex.join(listed), login, shlex.join(buy), "run")


def codex(target: Target) -> Configuration:
    """Codex's documentation, "Model Context Protocol": a table for each server.

    `codex mcp add NAME --url` logs in at once where the server asks for it, and `codex mcp login NAME` later.
    """
    add = ["codex", "mcp", "add", target.name]
    if target.bridge is None:
        lines = [f"url = {_toml(target.url)}"]
        command = shlex.join([*add, "--url", target.url])
    else:
        program, *arguments = target.bridge
        lines = [f"command = {_toml(program)}", f"args = [{', '.join(map(_toml, arguments))}]"]
        command = shlex.join([*add, "--", *target.bridge])
    content = "\n".join([f"[mcp_servers.{target.name}]", *lines])
    login = f"codex mcp login {target.name} (codex mcp add does it at once)"
    return _configuration(target, "~/.codex/config.toml", content, command, login, "toml")


def gemini(target: Target) -> Configuration:
    """Gemini CLI's documentation, "MCP servers with Gemini CLI": `httpUrl` is streamable HTTP, `url` alone SSE."""
    entry = {"httpUrl": target.url} if target.bridge is None else _started(target.bridge)
    add = ["gemini", "mcp", "add", "--scope", "user"]
    if target.bridge is None:
        add += ["--transport", "http", target.name, target.url]
    else:
        # What follows the name is the program's, as with the others; `--` keeps its options from Gemini's own.
        add += [target.name, target.bridge[0], "--", *target.bridge[1:]]
    where = "~/.gemini/settings.json, or .gemini/settings.json in one project (a folder that you trust)"
    login = f"/mcp auth {target.name}, in a session of gemini"
    return _configuration(target, where, _servers("mcpServers", target, entry), shlex.join(add), login)


def goose(target: Target) -> Configuration:
    """goose's documentation, "Configuration Overview", extensions: `streamable_http` and `stdio`."""
    entry: dict[str, Any] = {"type": "streamable_http" if target.bridge is None else "stdio", "name": target.name}
    entry["enabled"] = True
    if target.bridge is None:
        entry |= {"uri": target.url, "headers": {}}
        run = ["goose", "session", "--with-streamable-http-extension", target.url]
    else:
        program, *arguments = target.bridge
        entry |= {"cmd": program, "args": arguments}
        run = ["goose", "session", "--with-extension", shlex.join(target.bridge)]
    entry |= {"env_keys": [], "envs": {}, "timeout": 300}
    # A scalar, list or map of JSON is one of YAML (YAML 1.2 section 1.3).
    lines = [
        f"    {key}: {_toml(value) if isinstance(value, str) else json.dumps(value)}" for key, value in entry.items()
    ]
    content = "\n".join(["extensions:", f"  {target.name}:", *lines])
    where = "~/.config/goose/config.yaml (Windows: %APPDATA%\\Block\\goose\\config\\config.yaml)"
    login = "start a session, and it opens the browser"
    return _configuration(target, where, content, shlex.join(run), login, "yaml")


Host = Literal["claude", "cursor", "vscode", "codex", "gemini", "goose", "inspector"]
HOSTS: Mapping[Host, Callable[[Target], Configuration]] = {
    "claude": claude,
    "cursor": cursor,
    "vscode": vscode,
    "codex": codex,
    "gemini": gemini,
    "goose": goose,
    "inspector": inspector,
}
"""Every host that is known, by the name that the command line takes."""


def _configuration(
    target: Target,
    where: str,
    content: str,
    command: str | None,
    login: str,
    format: Literal["json", "toml", "yaml"] = "json",
) -> Configuration:
    """The configuration of an assistant, which needs no login of its own over the bridge."""
    return Configuration(
        where, format, content, command, login if target.bridge is None else None, prompt(target), "say"
    )


def _started(bridge: tuple[str, ...]) -> dict[str, Any]:
    program, *arguments = bridge
    return {"command": program, "args": arguments}


def _servers(key: str, target: Target, entry: Mapping[str, Any]) -> str:
    return json.dumps({key: {target.name: entry}}, indent=2, ensure_ascii=False)


def _toml(text: str) -> str:
    """A TOML basic string: JSON's escapes are among TOML's, save for DEL, which JSON leaves as it is."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
