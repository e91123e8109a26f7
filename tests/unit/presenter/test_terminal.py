"""The second screen in a terminal: it fits every size, and only its own keys lead the stage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from demo.panels.fit import drawn
from demo.presenter.desk import Desk
from demo.presenter.layout import KEYS, Hand, picked, screen
from demo.presenter.story import Doing
from demo.presenter.terminal import pressed
from demo.presenter.view import NO_STAGE, Health, View, view
from demo.settings import Settings
from talk.recording.remote import RemoteControl
from talk.script.notes import Passage
from talk.stage.keys import Key, KeyDecoder
from tests.unit.presenter.talks import beat, end, seen, stage

OPEN = view(seen(130, "two", stage(0, "open"), beat(0, "one"), end(50, "one"), beat(60, "two")))
HEALTH = (
    Health("server", "up", "allowed"),
    Health("authorization server", "no answer", "refused"),
    Health("Worker", "not needed", "none"),
    Health("network", "not needed", "none"),
)
NASTY = "\x1b[2J\x1b]0;owned\x07 [red]not markup[/red] \u202eabc " + "wide 宽" * 40 + " " + "x" * 300
HOSTILE = replace(
    OPEN,
    speaker=NASTY,
    then=NASTY,
    sentence=NASTY,
    notes=(Passage(NASTY, NASTY * 5),),
    doing=Doing("waiting", NASTY),
    health=(Health(NASTY, NASTY, "refused"),),
    following=replace(OPEN.following, title=NASTY, first=NASTY, speaker=NASTY) if OPEN.following else None,
    detached=NASTY,
)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (60, 20), (40, 15), (120, 40), (160, 45), (20, 8)])
@pytest.mark.parametrize("name", ["open", "hostile", "picking", "held", "trouble"])
def test_it_fills_any_screen_and_leaves_none(name: str, width: int, height: int) -> None:
    shown, hand = {
        "open": (replace(OPEN, health=HEALTH), Hand()),
        "hostile": (HOSTILE, Hand(notice=NASTY)),
        "picking": (OPEN, Hand(picking="t")),
        "held": (replace(OPEN, held=True, held_seconds=30, detached=NO_STAGE), Hand(scroll=999)),
        "trouble": (View(trouble=NASTY, health=HEALTH), Hand()),
    }[name]
    console = Console(width=width, height=height, force_terminal=True)
    with console.capture() as captured:
        console.print(screen(shown, hand, height))
    lines = drawn(screen(shown, hand, height), width)
    assert "\x1b[2J" not in captured.get() and "\x1b]0;" not in captured.get()
    assert all(cell_len(line) <= width for line in lines)
    if (width, height) >= (80, 24):
        assert len(lines) <= height


def test_at_the_design_size_everything_that_matters_is_there() -> None:
    text = "\n".join(drawn(screen(replace(OPEN, health=HEALTH), Hand(), 24), 80))
    wanted = ["The two", "Ben speaks", "That was two.", "Hello, room.", "The three", "2:10", "of 5:00", "1:10"]
    wanted += ["server up", "authorization server no answer", "Worker, network not needed", *(key for key, _ in KEYS)]
    assert [one for one in wanted if one not in text] == []


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(Settings(state=tmp_path))


def typed(data: bytes, desk: Desk, shown: View = OPEN, *, at_once: bool = False) -> Hand:
    hand = Hand()
    decoder = KeyDecoder()
    pieces = [data] if at_once else [data[at : at + 1] for at in range(len(data))]
    for key in [*(key for piece in pieces for key in decoder.feed(piece, 0.0)), *decoder.feed(b"", 9.0)]:
        hand = pressed(key, hand, shown, desk)
    return hand


@pytest.mark.parametrize(
    ("data", "done"),
    [
        (b" ", [("next", None)]),
        (b"\r", [("next", None)]),
        (b"\x1b[6~", [("next", None)]),
        (b"\x1b[C", [("next", None)]),
        (b"\x1b[5~", [("back", None)]),
        (b"\x1b[D", [("back", None)]),
        (b"b", [("back", None)]),
        (b"r", [("again", None)]),
        (b"s", [("skip", None)]),
        (b".", [("blank", None)]),
        (b"h", [("hold", None)]),
        (b"g4\r", [("goto", "four")]),
        (b"gfiv\r", [("goto", "five")]),
        (b"gfo\x7f\x7f\x7f \r", [("next", None)]),  # erased and left, and then Enter and space are one press
        (b"g\x1b[B\x1b[B\r", [("goto", "three")]),
        (b"gq", []),
        (b"gzzz\r", []),
        (b"\x1b", []),
        (b"\x1b[<0;10;10M", []),
        (b"\x1b[200~rbs. \x1b[201~", []),
        (b"bsr.", []),  # at once: a paste that its terminal did not mark
        (b"j", []),
        (b"\x1b[B", []),
        (b"x", []),
        (b"q", []),
    ],
)
def test_keys(data: bytes, done: list[tuple[str, str | None]], desk: Desk, tmp_path: Path) -> None:
    remote = RemoteControl(tmp_path)
    hand = typed(data, desk, at_once=data == b"bsr.")
    assert [(one.do, one.beat) for one in remote.new()] == done
    assert hand.leaving == (data == b"q")


def test_where_no_stage_is_open_only_the_clock_is_held(desk: Desk, tmp_path: Path) -> None:
    remote = RemoteControl(tmp_path)
    shown = replace(OPEN, detached=NO_STAGE)
    assert typed(b" ", desk, shown).notice == NO_STAGE
    typed(b"h", desk, shown)
    typed(b"h", desk, replace(shown, held=True))
    assert [one.do for one in remote.new()] == ["hold", "resume"]


def test_a_beat_is_found_by_its_number_or_a_part_of_its_name() -> None:
    def ids(typed: str) -> list[str]:
        return [one.id for one in picked(OPEN, typed)]

    assert (ids("4"), ids("MORE"), ids("the f"), ids("zzz")) == (["four"], ["more"], ["four", "five"], [])
    assert len(ids("")) == len(OPEN.beats)


def test_notes_scroll_and_the_keys_say_what_they_did(desk: Desk) -> None:
    assert typed(b"j\x1b[B", desk).scroll == 2
    assert typed(b"k", desk).scroll == 0
    assert pressed(Key("text", "s"), Hand(), OPEN, desk).notice == "asked: skip the rest of two"
