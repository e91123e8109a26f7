"""`demo connect` prints what a host reads: well formed, at the right URL, without a secret."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from demo.cli.hosts import HOSTS, Target
from demo.settings import Settings
from deputize import StoredToken, TokenStore
from deputize.errors import UsageError
from tests.conftest import Command

SERVER = "https://shop.example.com/mcp"
BRIDGE = ("/opt/a folder/demo", "serve", "--stdio", "--server", SERVER)
SECRET = "an-access-token-that-must-not-be-printed"


def entry(host: str, target: Target) -> dict[str, Any]:
    """What the host would find under the server's name."""
    chosen = HOSTS[host](target)
    read = {"toml": tomllib.loads, "yaml": yaml, "json": json.loads}[chosen.format](chosen.content)
    (key,) = read
    assert key == {"vscode": "servers", "codex": "mcp_servers", "goose": "extensions"}.get(host, "mcpServers")
    assert list(read[key]) == [target.name]
    found = read[key][target.name]
    assert isinstance(found, dict)
    return found


def yaml(text: str) -> dict[str, Any]:
    """The little of YAML that goose is given: two maps, and in the inner one a JSON value on each line."""
    top, name, *lines = text.split("\n")
    assert all(line.startswith("    ") for line in lines)
    inner = {key: json.loads(value) for key, _, value in (line.strip().partition(": ") for line in lines)}
    return {top.removesuffix(":"): {name.strip().removesuffix(":"): inner}}


@pytest.mark.parametrize("host", HOSTS)
def test_by_url_a_host_gets_the_url_the_type_that_it_knows_and_nothing_else(host: str) -> None:
    types = {"claude": "http", "vscode": "http", "inspector": "streamable-http", "goose": "streamable_http"}
    url = {"gemini": "httpUrl", "goose": "uri"}.get(host, "url")
    wanted: dict[str, Any] = {url: SERVER} | ({"type": types[host]} if host in types else {})
    if host == "goose":
        wanted |= {"name": "shop", "enabled": True, "headers": {}, "env_keys": [], "envs": {}, "timeout": 300}
    assert entry(host, Target("shop", SERVER, None)) == wanted


@pytest.mark.parametrize("host", HOSTS)
def test_by_stdio_a_host_gets_the_bridge_with_its_arguments_apart(host: str) -> None:
    found = entry(host, Target("shop", SERVER, BRIDGE))
    assert found["cmd" if host == "goose" else "command"] == BRIDGE[0]
    assert found["args"] == list(BRIDGE[1:])
    assert not {"url", "httpUrl", "uri"} & set(found)


@pytest.mark.parametrize("host", [host for host in HOSTS if host != "cursor"])
def test_the_command_of_a_host_can_be_pasted_into_a_shell(host: str) -> None:
    by_url = HOSTS[host](Target("shop", SERVER, None)).command
    by_stdio = HOSTS[host](Target("shop", SERVER, BRIDGE)).command
    assert by_url is not None
    assert by_stdio is not None
    assert any(SERVER in word for word in shlex.split(by_url))
    words = shlex.split(by_stdio)
    if host == "vscode":
        assert json.loads(words[-1])["args"] == list(BRIDGE[1:])
    elif host == "goose":
        assert shlex.split(words[-1]) == list(BRIDGE)
    elif host == "gemini":
        assert words[-len(BRIDGE) - 1 :] == [BRIDGE[0], "--", *BRIDGE[1:]]
    else:
        assert words[words.index("--") + 1 :] == list(BRIDGE)


@pytest.mark.parametrize("host", HOSTS)
def test_what_a_person_says_or_runs_buys_one_shirt_with_all_that_the_tool_needs(host: str) -> None:
    for target in (Target("shop", SERVER, None), Target("shop", SERVER, BRIDGE)):
        chosen = HOSTS[host](target)
        assert all(value in chosen.prompt for value in ("Acme", "1 Main Street, Springfield", "M"))
        assert ("buyMcpShopItem" in chosen.prompt) is (chosen.asks == "run")
        assert (chosen.login is None) is (target.bridge is not None)


def test_a_person_is_led_from_the_login_over_the_limit_to_the_purchase_and_by_stdio_to_the_stored_login(
    demo: Command,
) -> None:
    local = demo("connect", "gemini", "--port", "7999").stdout
    steps = [line[:2] for line in local.splitlines() if line[:2] in ("1.", "2.", "3.", "4.")]
    assert steps == ["1.", "2.", "3.", "4."]
    assert "serve --port 7999" in local and "/mcp auth conference-shop" in local and "It may spend up to" in local
    elsewhere = demo("connect", "gemini", "--server", SERVER).stdout
    assert "demo serve" not in elsewhere and "It may spend up to" in elsewhere
    bridged = demo("connect", "gemini", "--stdio", "--server", SERVER).stdout
    assert "It may spend up to" not in bridged and "demo login" in bridged


@pytest.mark.parametrize("text", ["\x7f", 'quo"te', "back\\slash", "tab\t", "ümläut", "\x01"])
def test_what_goes_into_toml_comes_out_of_it(text: str) -> None:
    assert entry("codex", Target("shop", SERVER, (text, text))) == {"command": text, "args": [text]}


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("stdio", [[], ["--stdio"]])
def test_no_secret_is_printed_and_no_file_changed_and_the_machine_form_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], host: str, stdio: list[str]
) -> None:
    from demo.cli.app import app

    TokenStore.open(tmp_path, server=SERVER, use_keyring=False).put(
        "agent",
        StoredToken(
            access_token=SECRET,
            refresh_token=f"{SECRET}-refresh",
            expires_at=9e9,
            scope=(),
            issuer="https://example.com",
            token_endpoint="https://example.com/token",
            client_id="demo-agent",
        ),
    )
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    monkeypatch.setenv("DEMO_STATE", str(tmp_path))
    app(["--server", SERVER, "--json", "connect", host, *stdio], standalone_mode=False)
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert set(told) == {"schema", "host", "where", "format", "content", "command", "login", "prompt", "asks"}
    assert (told["schema"], told["host"]) == (1, host)
    assert SERVER in told["content"]
    assert SECRET not in said.out + said.err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_the_bridge_that_is_printed_starts(demo: Command) -> None:
    told = json.loads(demo("connect", "claude", "--stdio", "--json", "--server", SERVER).stdout)
    (found,) = json.loads(told["content"])["mcpServers"].values()
    assert Path(found["command"]).is_absolute()
    ran = subprocess.run(
        [found["command"], *found["args"]], input="", capture_output=True, text=True, timeout=60, env=demo.environment()
    )
    assert (ran.returncode, ran.stdout) == (0, "")
    assert f"bridging stdin and stdout to {SERVER}" in ran.stderr


def test_a_person_is_told_where_it_goes_and_how_authority_is_given(demo: Command) -> None:
    said = demo("connect", "codex", "--stdio", "--server", SERVER).stdout
    assert "~/.codex/config.toml" in said
    assert f"demo login --server {SERVER}" in said


def test_the_local_server_is_named_by_url_for_hosts_and_started_by_the_bridge(demo: Command) -> None:
    said = json.loads(demo("connect", "vscode", "--json", "--port", "7999").stdout)
    assert json.loads(said["content"]) == {
        "servers": {"conference-shop": {"type": "http", "url": "http://127.0.0.1:7999/mcp"}}
    }
    bridged = json.loads(demo("connect", "vscode", "--json", "--port", "7999", "--stdio").stdout)
    assert json.loads(bridged["content"])["servers"]["conference-shop"]["args"][-4:] == [
        "--state",
        str(demo.state),
        "--port",
        "7999",
    ]


def test_an_unknown_host_is_a_slip_that_lists_the_known(demo: Command) -> None:
    said = demo("connect", "emacs")
    assert said.returncode == 2
    assert all(host in said.stderr for host in HOSTS)


@pytest.mark.parametrize("name", ["two words", "a.b", '"', "-x"])
def test_a_name_that_some_host_would_not_take_is_refused(name: str) -> None:
    from demo.cli.app import app

    with pytest.raises(UsageError, match="no name for a server"):
        app(["--server", SERVER, "connect", "codex", f"--name={name}"], standalone_mode=False)


def test_a_login_command_names_what_is_not_the_default(tmp_path: Path) -> None:
    from demo.cli.connecting import login_command
    from demo.settings import default_state

    assert login_command(Settings(state=default_state())) == "demo login"
    elsewhere = login_command(Settings(server=SERVER, state=tmp_path / "a folder"))
    assert elsewhere == f"demo login --server {SERVER} --state '{tmp_path}/a folder'"
    assert sys.executable not in elsewhere
