"""`kill -9` at any instant loses nothing: each beat is played to its end, the cursor is right, no order is doubled."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from talk.playing.kind import Step
from talk.script import load_talk
from tests.conftest import HANGS

if TYPE_CHECKING:
    from tests.conftest import Command

KILLED_UNTIL = (0.4, 1.6)
"""Seconds. The first kill of a beat comes early, so that a machine on which a beat takes a second is tried, too."""
SEED = 20260728


@pytest.fixture
def demo(demo_apart: Command) -> Command:
    """Processes, which can be killed."""
    return demo_apart


def orders(state: Path) -> list[str]:
    """The idempotency keys of every order in the shop's ledger, in the order in which they were placed."""
    with sqlite3.connect(f"file:{state / 'server.sqlite3'}?mode=ro", uri=True) as ledger:
        placed = ledger.execute("SELECT COUNT(*) FROM shop_orders").fetchone()[0]
        keys = [row[0] for row in ledger.execute("SELECT key FROM shop_keys ORDER BY rowid")]
    assert placed == len(keys), "an order was placed without the key that was asked for"
    return keys


@pytest.mark.parametrize("last", ["authless", pytest.param(None, marks=pytest.mark.long)])
def test_every_beat_is_played_to_its_end_and_nothing_is_bought_twice(demo: Command, last: str | None) -> None:
    beats = [planned.beat.id for planned in load_talk(None).plan("problem-first").beats]
    beats = beats[: beats.index(last) + 1] if last else beats
    chance = random.Random(SEED)
    killed = 0
    for number, beat in enumerate(beats, 1):
        for latest in KILLED_UNTIL:
            process = demo.start("next")
            time.sleep(chance.uniform(0.05, latest))
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=HANGS)
            where = status(demo)
            if (where["beat"], where["done"]) == (beat, True):
                break  # it was faster than the kill, and so the beat is over
            killed += 1
            assert where["beat"] in (beat, beats[number - 2] if number > 1 else None), "the cursor jumped"
        where = status(demo)
        if not (where["beat"] == beat and where["done"]):
            finished = demo("next", timeout=120)
            assert finished.returncode == 0, f"{beat}: {finished.stdout}\n{finished.stderr}"
        where = status(demo)
        assert (where["beat"], where["done"], where["number"]) == (beat, True, number)
    assert killed >= len(beats) // 2, "hardly anything was killed: the test proved nothing"
    bought = orders(demo.state)
    assert len(bought) == len(set(bought))
    assert {key.split("/", 1)[1] for key in bought} == set(purchases(beats))
    assert last or len(bought) >= 4, "hardly anything was bought: the test proved nothing"


def purchases(beats: list[str]) -> list[str]:
    """Every step of these beats that is meant to place an order of its own: "beat/step", of a model "beat/step.1"."""
    talk = load_talk(None)
    steps = [(beat, step) for beat in beats for step in talk.beat(beat).steps]
    found = [f"{beat}/{step.id}" for beat, step in steps if buys(step)]
    models = [(beat, step) for beat, step in steps if step.do == "model"]
    found += [f"{beat}/{step.id}.{at + 1}" for beat, step in models for at in range(step.expect.get("orders", 0))]
    assert found, "nothing is bought: the test would prove nothing"
    return found


def buys(step: Step) -> bool:
    """Whether this step is meant to place an order in this ledger (a Worker has its own), and not to find one again."""
    return step.do != "worker" and step.expect.get("order") is True and not step.options.get("same_as")


def status(demo: Command) -> dict[str, object]:
    told = demo("status", "--json")
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    return {"beat": found.get("beat"), "done": found.get("done", False), "number": found.get("number")}


def test_two_demo_next_at_once_play_one_beat_and_say_so(demo: Command) -> None:
    assert demo("next").returncode == 0
    both: list[subprocess.Popen[str]] = [demo.start("next"), demo.start("next")]
    told = [process.communicate(timeout=90) for process in both]
    codes = sorted(process.returncode for process in both)
    if codes == [0, 3]:
        assert any("another demo command is playing" in errors for _, errors in told)
        assert status(demo)["number"] == 2
    else:  # one was over before the other began
        assert codes == [0, 0]
        assert status(demo)["number"] == 3
