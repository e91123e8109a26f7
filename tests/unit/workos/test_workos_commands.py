"""`demo workos ...`: prepare the environment, keep the key, see what it saw."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from demo.cli import workos
from demo.client.workos.environment import KEY_SLOT
from demo.client.workos.tenant import WorkOSRefused
from demo.settings import Settings
from demo.settings.workos import WorkOSSettings
from deputize.errors import UsageError
from deputize.tokens.store import TokenStore
from tests.unit.workos.conftest import World


@pytest.fixture
def settings(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("WORKOS_API_KEY", world.tenant().environment.api_key)
    told = WorkOSSettings(authkit=world.base, base_url=world.base)
    return Settings(server=world.shop, state=tmp_path / "state", json=True, workos=told)


def run(settings: Settings, *arguments: str, typed: str | None = None) -> Result:
    app = typer.Typer()
    app.add_typer(workos.workos, name="workos")
    app.callback()(lambda: None)
    return CliRunner().invoke(app, ["workos", *arguments], obj=settings, input=typed)


def test_prepare_asks_the_server_what_it_is_called(world: World, settings: Settings) -> None:
    told = json.loads(run(settings, "prepare").stdout)["prepared"]
    assert told[0] == {"what": f"resource {world.shop}", "made": False}
    assert told[-1]["made"] is True
    assert not any(one["made"] for one in json.loads(run(settings, "prepare").stdout)["prepared"])
    named = run(replace(settings, json=False), "prepare", "--resource", "https://shop.example/mcp")
    assert "made   resource https://shop.example/mcp" in named.stdout


def test_events_tell_of_a_login(world: World, settings: Settings) -> None:
    world.agent()
    (event,) = json.loads(run(settings, "events").stdout)["events"]
    assert (event["event"], event["user"]) == ("session.created", "user_alice")
    assert "session.created" in run(replace(settings, json=False), "events").stdout


def test_what_was_granted_is_shown_and_revoked(world: World, settings: Settings) -> None:
    agent = world.agent()
    (grant,) = json.loads(run(settings, "grants", "alice@example.com").stdout)["grants"]
    assert grant["client_id"] == "demo-agent" and "shop:buy" in grant["scopes"]
    ended = json.loads(run(settings, "grants", "alice@example.com", "--revoke", "demo-agent").stdout)
    assert (ended["revoked"], ended["grants"]) == ("demo-agent", [])
    assert agent.call("listMcpShopInventory", {}, refresh=False).status == 401
    assert "No software" in run(replace(settings, json=False), "grants", "alice@example.com").stdout
    again = run(settings, "grants", "alice@example.com", "--revoke", "demo-agent")
    assert isinstance(again.exception, WorkOSRefused) and again.exception.status == 404


def test_the_key_is_kept_and_not_repeated(world: World, settings: Settings) -> None:
    result = run(settings, "key", typed="sk_test_0123456789\n")
    assert result.exit_code == 0 and "sk_test" not in result.output
    assert TokenStore.open(settings.state, server=world.base).kept(KEY_SLOT) == "sk_test_0123456789"


def test_what_is_no_key_is_not_kept(settings: Settings) -> None:
    result = run(settings, "key", typed="hunter2\n")
    assert isinstance(result.exception, UsageError)
    assert "hunter2" not in f"{result.exception.what}{result.exception.why}{result.output}"
