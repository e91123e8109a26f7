"""Claude Code, Codex and Gemini CLI log in at the shop by themselves, with the configuration that we print, and buy.

The model alone is not theirs: `hosts/scripted_model.py` speaks its vendor's documented API and decides one thing.
Without a network the documents by which Claude Code and Codex name themselves cannot be read; they log in all the same.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

from demo.cli.hosts import HOSTS, Host, Target
from tests.journeys.terminal import Pty
from tests.peers.browser import SECONDS, opened, world
from tests.peers.installed import HERE, Peers
from tests.peers.our_agent import server as serving

NAME = "conference-shop"
PROGRAMS = {
    "claude": ("@anthropic-ai/claude-code", "cli-wrapper.cjs"),  # what its install script, which is not run, replaces
    "codex": ("@openai/codex", "bin/codex.js"),
    "gemini": ("@google/gemini-cli", "bundle/gemini.js"),
}


@dataclass(frozen=True)
class Assistant:
    """One of them in a home of its own, with our configuration in the file that `demo connect` names."""

    host: Host
    peers: Peers
    target: Target
    model: str
    home: Path

    def configure(self, file: str, more: str = "") -> None:
        """Write the configuration into the file."""
        where = self.home / file
        where.parent.mkdir(exist_ok=True)
        where.write_text(HOSTS[self.host](self.target).content + more, "utf-8")

    @property
    def prompt(self) -> str:
        """What `demo connect` has a person say to it."""
        return HOSTS[self.host](self.target).prompt

    @cached_property
    def environment(self) -> dict[str, str]:
        """Nothing of the person's own, and no other model than the scripted one."""
        base = {"ANTHROPIC_BASE_URL": self.model, "GOOGLE_GEMINI_BASE_URL": self.model}
        keys = dict.fromkeys(("ANTHROPIC_API_KEY", "GEMINI_API_KEY", "SCRIPTED_KEY"), "scripted")
        kept = {name: value for name, value in world(self.home).items() if name in ("PATH", "HOME", "BROWSER", "LANG")}
        return kept | base | keys | {"TERM": "xterm-256color", "DISPLAY": ":none", "GEMINI_CLI_TRUST_WORKSPACE": "true"}

    def command(self, *arguments: str) -> list[str]:
        """The command line of the program that npm installed."""
        package, script = PROGRAMS[self.host]
        return [self.peers.node, str(self.peers.folder / "node_modules" / package / script), *arguments]

    def says(self, *arguments: str, **more: str) -> str:
        """All that it says, when it ends well."""
        ran = subprocess.run(
            self.command(*arguments),
            cwd=self.home,
            env=self.environment | more,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    def at_a_terminal(self, *arguments: str) -> Pty:
        """It with a person in front of it."""
        return Pty(self.command(*arguments), self.environment, cwd=self.home, width=100, height=40)


@pytest.fixture(scope="module")
def model() -> Iterator[str]:
    with serving([sys.executable, str(HERE / "hosts" / "scripted_model.py")], {}) as running:
        yield running.url


@pytest.fixture
def assistant(peers: Peers, server: str, model: str, tmp_path: Path) -> Callable[[Host], Assistant]:
    return lambda host: Assistant(host, peers, Target(NAME, f"{server}/mcp", None), model, tmp_path)


def test_claude_code_logs_in_and_buys(assistant: Callable[[Host], Assistant], alice: Callable[[str], None]) -> None:
    claude = assistant("claude")
    claude.says("mcp", "add", "--transport", "http", NAME, claude.target.url)
    with closing(claude.at_a_terminal("mcp", "login", NAME)) as terminal:
        while_it_runs(lambda: alice(opened(claude.home)), terminal)
        assert terminal.wait() == 0, terminal.screen
    # Its tools at once, where it would connect meanwhile, and look for tools when asked.
    at_once = {"ENABLE_TOOL_SEARCH": "false", "MCP_CONNECTION_NONBLOCKING": "false"}
    offline = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
    said = claude.says("-p", claude.prompt, "--allowedTools", f"mcp__{NAME}__buyMcpShopItem", **at_once, **offline)
    assert "user_alice" in said and "order_" in said


def test_codex_logs_in_and_buys(assistant: Callable[[Host], Assistant], alice: Callable[[str], None]) -> None:
    codex = assistant("codex")
    provider = f'name = "scripted"\nbase_url = "{codex.model}/v1"\nenv_key = "SCRIPTED_KEY"\nwire_api = "responses"'
    yes = 'default_tools_approval_mode = "approve"'
    codex.configure(".codex/config.toml", f"\n{yes}\n[model_providers.scripted]\n{provider}\n")
    with ThreadPoolExecutor(1) as person:
        decided = person.submit(lambda: alice(opened(codex.home)))
        codex.says("mcp", "login", NAME)
        decided.result(SECONDS)
    how = ["--skip-git-repo-check", "-s", "read-only", "-c", "model_provider=scripted", "-c", "model=scripted"]
    said = codex.says("exec", *how, codex.prompt)
    assert "user_alice" in said and "order_" in said


def test_gemini_cli_logs_in_and_buys(assistant: Callable[[Host], Assistant], alice: Callable[[str], None]) -> None:
    gemini = assistant("gemini")
    gemini.configure(".gemini/settings.json")
    settings = gemini.home / ".gemini" / "settings.json"
    key = {"security": {"auth": {"selectedType": "gemini-api-key"}}}
    settings.write_text(json.dumps(json.loads(settings.read_text("utf-8")) | key), "utf-8")
    with closing(gemini.at_a_terminal("-y", "-m", "gemini-2.5-flash")) as terminal:
        terminal.until("Type your message", SECONDS)
        terminal.type(f"/mcp auth {NAME}")
        enter(terminal, "Do you want to continue")
        terminal.type("\r")
        while_it_runs(lambda: alice(opened(gemini.home)), terminal)
        terminal.until("reloaded tools", SECONDS)
        terminal.type(gemini.prompt)
        enter(terminal, r"I read: (.|\n)*user_alice")


def enter(terminal: Pty, expected: str) -> None:
    """Enter, as a person does who looks up: what comes all at once is taken for pasted, and Enter with it, and a busy
    program may miss one."""
    for _ in range(3):
        terminal.read_for(1.0)
        terminal.type("\r")
        try:
            terminal.until(expected, 20.0)
            return
        except AssertionError:
            if terminal.process.poll() is not None:
                raise
    terminal.until(expected, SECONDS)


def while_it_runs(act: Callable[[], None], terminal: Pty) -> None:
    """A person acts elsewhere, while the terminal is read on."""
    with ThreadPoolExecutor(1) as person:
        acting = person.submit(act)
        deadline = time.monotonic() + SECONDS
        while not acting.done():
            assert time.monotonic() < deadline, terminal.screen
            terminal.read_for(0.1)
        acting.result()
