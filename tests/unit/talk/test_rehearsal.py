"""The rehearsal: which faults meet which beats, what they do to the wire, and that it goes red where it should."""

from __future__ import annotations

import http.server
import itertools
import os
import random
import sqlite3
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keyring
import pytest

from demo.local_server import local
from deputize.net import free_port
from talk.rehearsal import playing, world
from talk.rehearsal.choosing import everything, packed, representative
from talk.rehearsal.faults import FAULTS
from talk.rehearsal.playing import Cell, Outcome, Pass, Performance, in_order
from talk.rehearsal.presenter import Presenter
from talk.rehearsal.table import Report
from talk.rehearsal.wire import CLEAR, Interference, Wire, response
from talk.results import BeatResult, StepResult
from talk.script import load_talk
from tests.conftest import HANGS

TALK = load_talk(None)
PLANS = [TALK.plan(name) for name in TALK.plans]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_part_has_each_fault_once_where_it_is_felt_and_each_beat(seed: int) -> None:
    beats = [one.beat for one in PLANS[0].beats]
    cells = representative(beats, random.Random(seed))
    assert {cell.fault for cell in cells} == set(FAULTS)
    assert {cell.beat for cell in cells} == {beat.id for beat in beats}
    assert all(FAULTS[cell.fault].felt_at(TALK.beats[cell.beat]) for cell in cells)


def test_each_cell_is_in_one_performance_and_the_beat_after_it_has_no_fault() -> None:
    cells = everything(PLANS[0], random.Random(1))
    beats = [one.id for one in in_order(PLANS[0])]
    assert len(cells) == len(FAULTS) * len(beats)
    passes = packed(cells, [PLANS[0]])
    assert sorted((cell.beat, cell.fault) for one in passes for cell in one.faults) == sorted(
        (cell.beat, cell.fault) for cell in cells
    )
    for one in passes:
        places = [beats.index(cell.beat) for cell in one.faults]
        assert all(later - earlier > 1 for earlier, later in itertools.pairwise(places))


def went(beat: str, fault: str, seconds: float, wrong: str = "") -> Outcome:
    return Outcome("problem-first", beat, fault, 0, "again", "HTTP 500", seconds, wrong)


def test_what_a_fault_costs_is_told_against_the_same_beat_without_one() -> None:
    report = Report(
        (went("buy", "", 1.0), went("buy", "", 3.0), went("buy", "error-500", 7.0), went("mcp", "slow", 9.0))
    )
    assert [(one.beat, one.lost) for one in report.faults] == [("buy", 5.0), ("mcp", None)]
    assert report.ok


@pytest.mark.parametrize(
    "report",
    [Report((went("buy", "slow", 1.0, "hangs"),)), Report((went("buy", "slow", 1.0),), ("server to 10.0.0.1",))],
)
def test_no_recovery_or_a_call_beyond_this_machine_makes_it_red(report: Report) -> None:
    assert not report.ok
    assert report.as_json()["ok"] is False


@pytest.fixture
def origin() -> Iterator[int]:
    class Hello(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.path.encode())

        def log_message(self, *_: object) -> None:
            return None

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_the_wire_spoils_what_it_is_told_to_and_nothing_else(origin: int) -> None:
    def get(path: str) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{origin}{path}", timeout=HANGS) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    broken = Interference(answer=response("502 Bad Gateway", "no"))
    with Wire(origin) as wire:
        with wire.misbehaving(lambda request: broken if request.path == "/mcp" else CLEAR):
            assert get("/mcp") == (502, b"no")
            assert get("/other") == (200, b"/other")
            assert wire.spoilt == 1
        assert get("/mcp") == (200, b"/mcp")
    assert get("/mcp") == (200, b"/mcp")


def test_the_fence_lets_nothing_leave_the_machine_and_writes_down_what_tried(origin: int, tmp_path: Path) -> None:
    log = tmp_path / "outside.log"
    program = f"""
import contextlib, socket, urllib.request
assert urllib.request.urlopen("http://127.0.0.1:{origin}/").status == 200
for leave in (lambda: socket.create_connection(("192.0.2.1", 80), 5), lambda: socket.getaddrinfo("a.test", 80)):
    with contextlib.suppress(OSError):
        leave()
        print("left")
"""
    fenced = {**os.environ, "PYTHONPATH": str(world._FENCE), "REHEARSAL_OUTSIDE": str(log)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=fenced, check=True, timeout=30, capture_output=True, text=True
    )
    assert done.stdout == ""
    assert [line.rpartition(" ")[2] for line in log.read_text().splitlines()] == ["192.0.2.1", "a.test"]


def test_a_purchase_made_twice_for_one_step_is_found(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "server.sqlite3") as database:
        database.execute("CREATE TABLE shop_orders (id TEXT)")
        database.execute("CREATE TABLE shop_keys (caller TEXT, key TEXT, order_id TEXT)")
        database.executemany("INSERT INTO shop_orders VALUES (?)", [("a",), ("b",)])
        database.executemany(
            "INSERT INTO shop_keys VALUES (?, ?, ?)", [("x", "run/buy/1", "a"), ("x", "run/buy/2", "b")]
        )
        database.commit()
        assert playing._bought_twice(tmp_path) == ""
        database.execute("UPDATE shop_keys SET caller = order_id, key = 'run/buy/1'")
        database.commit()
        assert "run/buy/1" in playing._bought_twice(tmp_path)
        database.execute("DELETE FROM shop_keys")
        database.commit()
        assert playing._bought_twice(tmp_path) != ""
    database.close()


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a performance changes in its process is as it was afterwards."""
    before = keyring.get_keyring()
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    yield
    keyring.set_keyring(before)


def performed(state: Path, *cells: Cell) -> dict[str, Outcome]:
    lines: list[Mapping[str, Any]] = []
    port = free_port()
    try:
        Performance(Pass("problem-first", cells, str(state), port), lines.append).play()
    finally:
        local.stop(state)  # in a rehearsal the process of the performance is ended, and its world with it
    return {line["outcome"]["beat"]: Outcome.read(line["outcome"]) for line in lines if "outcome" in line}


@pytest.mark.usefixtures("apart")
def test_a_beat_that_meets_a_fault_is_tried_again_and_the_next_one_is_as_ever(tmp_path: Path) -> None:
    went = performed(tmp_path, Cell("mcp", "error-500"))
    assert (went["mcp"].how, went["mcp"].wrong) == ("again", "")
    assert (went["authless"].how, went["authless"].wrong) == ("not felt", "")


@pytest.mark.usefixtures("apart")
def test_a_talk_whose_recovery_is_broken_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise ZeroDivisionError("a recovery that does not recover")

    monkeypatch.setattr(Presenter, "_choose_recovery", broken)
    assert "ZeroDivisionError" in performed(tmp_path, Cell("mcp", "error-500"))["mcp"].wrong


def test_a_beat_that_ends_red_with_nobody_asked_is_no_recovery() -> None:
    red = BeatResult("buy", "", (), False, 0.0, (StepResult("first", "call", False, 0.0, error="HTTP 500"),))
    performance, planned = Performance(Pass("problem-first", (), "", 0), print), PLANS[0].beats[0]
    performance.world = SimpleNamespace(director=SimpleNamespace(play=lambda _: red))  # type: ignore[assignment]
    assert "HTTP 500" in performance._command(planned).broken


def test_a_performance_that_hangs_is_ended_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "START_SECONDS", 0.01)
    outcomes: list[Outcome] = []
    world.play("problem-first", (Cell("mcp", "slow"),), outcomes.append)
    assert [one.how for one in outcomes] == ["broken"]
    assert "hangs" in outcomes[0].wrong


@pytest.mark.long
def test_a_server_that_is_killed_in_mid_beat_is_there_again_at_the_next_try() -> None:
    outcomes: list[Outcome] = []
    world.play("problem-first", (Cell("mcp", "server-killed", 1),), outcomes.append)
    assert {(one.beat, one.how, one.wrong) for one in outcomes} >= {("mcp", "again", ""), ("authless", "not felt", "")}
