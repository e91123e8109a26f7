"""The policy file of a running shop: a change holds at the next call, and what cannot be read opens nothing."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from demo.policy_file import NAME, SHIPPED, PolicyWrong
from demo.shop import audit_log, policy_in_force
from demo.shop.database import Database
from demo.shop.policy_in_force import PolicyInForce
from tests.unit.shop.conftest import World

READ = "listMcpShopInventory"
NOBODY = SHIPPED.text.replace('"alice@example.com",', "").replace('"grace@example.com",', "")
BROKEN = NOBODY.replace("[rate]", "[rates]")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(policy_in_force, "LOOK_SECONDS", 0.0)
    made = tmp_path / "state"
    made.mkdir()
    return made


@pytest.fixture
def shop(open_world: Callable[..., World], folder: Path) -> World:
    return open_world(policy_folder=folder)


def write(folder: Path, *changes: tuple[str, str], text: str = SHIPPED.text) -> None:
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / NAME).write_text(text, "utf-8")


def status(world: World, tool: str = READ, **claims: Any) -> tuple[int, str]:
    answer = world.call(tool, token=world.token(**claims))
    body = answer.json()
    told = body["error"]["data"]["decision"] if "error" in body else body["result"]["_meta"]["demo/decision"]
    return answer.status_code, told["rule"]


def trail(world: World) -> list[tuple[str, str]]:
    """Verdict and rule of the entries about the policy itself."""
    found = world.audit(world.token(sub="user_grace", scope="audit:read"), limit=1000)
    return [(one["verdict"], one["rule"]) for one in found if one["gate"] == "policy"]


def test_each_rule_of_the_file_holds_at_the_next_call_without_a_restart(shop: World, folder: Path) -> None:
    assert status(shop) == (200, "allowed")
    write(folder, ("alice@example.com", "bob@example.com"))
    assert status(shop) == (403, "allowlist.user")
    write(folder, ('listMcpShopInventory = "shop:read"', 'listMcpShopInventory = "user:read"'))
    assert status(shop, scope="shop:read") == (403, "scope.insufficient")
    listed = shop.post("tools/list", token=shop.token()).json()["result"]["tools"]
    assert {one["name"]: one["_meta"]["demo/scope"] for one in listed}[READ] == "user:read", "and is listed so"
    write(folder, ("calls = 10 ", "calls = 1 "))
    assert [status(shop, act={"sub": "agent_fresh"})[1] for _ in range(2)] == ["allowed", "limits.rate"]
    write(folder, ("purchases_per_consent = 2", "purchases_per_consent = 0"))
    refused = shop.buy(token=shop.token())
    assert refused.json()["error"]["data"]["decision"]["rule"] == "limits.quota"
    write(folder, ("open_calls = 30", "open_calls = 1"))
    assert [shop.call(READ, token=None, path="/open/mcp").status_code for _ in range(2)] == [200, 429]
    assert trail(shop) == [("allow", "policy.changed")] * 5


def test_the_metadata_name_the_scopes_of_the_policy_in_force(shop: World, folder: Path) -> None:
    write(folder, ('buyMcpShopItem = "shop:buy"', 'buyMcpShopItem = "demo:mode"'))
    status(shop)
    told = shop.http.get(f"{shop.base}/.well-known/oauth-protected-resource/mcp").json()
    assert "shop:buy" not in told["scopes_supported"]


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", BROKEN.encode(), NOBODY.encode()[:-30], NOBODY.replace("shop:buy", "").encode(), b"#" * 70_000],
    ids=["empty", "no text", "a table that is none", "cut off", "a tool without a scope", "too long"],
)
def test_a_file_that_cannot_be_read_opens_nothing_and_is_on_record_once(
    shop: World, folder: Path, content: bytes
) -> None:
    write(folder, text=NOBODY)
    assert status(shop) == (403, "allowlist.user")
    (folder / NAME).write_bytes(content)
    assert [status(shop) for _ in range(3)] == [(403, "allowlist.user")] * 3
    shop.restart()
    assert status(shop) == (403, "allowlist.user"), "nor after a restart"
    write(folder)
    assert status(shop) == (200, "allowed")
    said = [rule for _, rule in trail(shop)]
    assert said == ["policy.changed", "policy.refused", "policy.refused", "policy.changed"], "once for each start"


def test_a_file_that_may_not_be_read_opens_nothing_and_counts_when_it_may(shop: World, folder: Path) -> None:
    write(folder, text=NOBODY)
    assert status(shop)[0] == 403
    (folder / NAME).unlink()
    os.mkfifo(folder / NAME)
    assert status(shop)[0] == 403
    (folder / NAME).unlink()
    write(folder)
    assert status(shop)[0] == 200


def test_an_editor_that_takes_the_file_away_before_it_puts_it_back_opens_nothing(shop: World, folder: Path) -> None:
    write(folder, text=NOBODY)
    assert status(shop)[0] == 403
    (folder / NAME).unlink()
    assert status(shop)[0] == 403
    write(folder, text=NOBODY)
    assert status(shop)[0] == 403
    (folder / NAME).unlink()
    shop.restart()
    assert status(shop)[0] == 200, "gone at two looks in a row: the shipped policy is in force"
    assert [rule for _, rule in trail(shop)] == ["policy.changed", "policy.changed"]


def test_a_shop_that_never_had_a_good_policy_does_not_open_by_the_shipped_one(
    open_world: Callable[..., World], folder: Path
) -> None:
    (folder / NAME).write_text(BROKEN)
    with pytest.raises(PolicyWrong) as wrong:
        open_world(policy_folder=folder)
    assert wrong.value.faults[0].key == "rate"


def test_what_is_not_on_record_does_not_hold(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(tmp_path / "shop.sqlite3")
    policy = PolicyInForce(SHIPPED, folder, clock=lambda: 1.0)
    with database.transaction() as connection:
        policy.begin(connection)

    def full(*_: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    async def look() -> str:
        await policy.refresh(database)
        return policy.written.digest

    write(folder, text=NOBODY)
    with monkeypatch.context() as broken:
        broken.setattr(audit_log, "record", full)
        assert asyncio.run(look()) == SHIPPED.digest
    assert asyncio.run(look()) != SHIPPED.digest, "and it is tried again"
    database.close()


def test_a_comment_changes_nothing_that_is_worth_a_record(shop: World, folder: Path) -> None:
    write(folder, ("calls = 10 ", "calls = 11 "))
    status(shop)
    write(folder, ("calls = 10 ", "calls = 11 "), ("version = 1", "# a comment\nversion = 1"))
    status(shop)
    assert trail(shop) == [("allow", "policy.changed")]
