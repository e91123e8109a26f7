"""Whatever order a presenter moves in, every beat plays as expected and nothing is bought twice."""

from __future__ import annotations

import json
import random
import sqlite3
import time
from typing import TYPE_CHECKING

import pytest

from demo.policy_file import SHIPPED
from talk.script import load_talk

if TYPE_CHECKING:
    from tests.conftest import Command

MOVES = 12


@pytest.fixture
def demo(demo_with_server_apart: Command) -> Command:
    """With a server that can be restarted."""
    return demo_with_server_apart


@pytest.mark.parametrize("seed", [7, pytest.param(28, marks=pytest.mark.long)])
def test_any_walk_through_the_talk_is_as_expected(demo: Command, seed: int) -> None:
    chance = random.Random(seed)
    plan = load_talk(None).plan("problem-first")
    beats = [planned.beat.id for planned in plan.beats]
    walked: list[str] = []
    for _ in range(MOVES):
        move = chance.choice(["next", "again", "back", "goto", "goto", "restart"])
        if move == "goto":
            line = ["goto", chance.choice(beats)]
        elif move == "restart":
            line = ["stop"]
        else:
            line = [move]
        finished = demo(*line, timeout=120)
        walked.append(" ".join(line))
        nowhere = finished.returncode == 2 and line[0] in ("again", "back")  # nothing played yet, or the first beat
        assert finished.returncode == 0 or nowhere, f"{walked}\n{finished.stdout[-3000:]}\n{finished.stderr}"
    told = json.loads(demo("status", "--json").stdout)
    assert told["run"] is None or told["beat"] in beats
    with sqlite3.connect(f"file:{demo.state / 'server.sqlite3'}?mode=ro", uri=True) as ledger:
        orders = ledger.execute("SELECT COUNT(*) FROM shop_orders").fetchone()[0]
    assert orders == len(set(placed(demo))), "a purchase was made twice"


def test_where_a_refusal_is_meant_nothing_is_bought_under_a_later_consent(demo: Command) -> None:
    for line in (["goto", "limits"], ["goto", "revoke"], ["login"]):
        played = demo(*line, timeout=120)
        assert played.returncode == 0, played.stdout
        if line == ["goto", "limits"]:
            time.sleep(SHIPPED.policy.rate.seconds + 0.5)  # it used up what this agent may call in so long
    before = placed(demo)
    again = demo("goto", "limits", "--json", timeout=120)
    assert again.returncode == 0, again.stderr
    steps = {step["id"]: step for beat in json.loads(again.stdout)["beats"] for step in beat["steps"]}
    assert "earlier consent" in steps["third"]["skipped"]
    assert placed(demo) == before


def placed(demo: Command) -> list[str]:
    """Every order that stands in the shop's own database, by its key: the beat hands its session back, and a new login
    would be another consent."""
    with sqlite3.connect(f"file:{demo.state / 'server.sqlite3'}?mode=ro", uri=True) as ledger:
        return sorted(key for (key,) in ledger.execute("SELECT key FROM shop_keys"))
