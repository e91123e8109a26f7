"""A performance is written down as it is seen, and the same panels come out of the file again."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from demo import panels
from demo.evidence.screen import BeatHeader, Link
from demo.panels.fit import drawn
from deputize.errors import UsageError
from talk.recording.reader import Event, Tail, read, rebuild
from talk.recording.writer import Recording, file_of
from talk.stage.screen import Stage

HEADER = BeatHeader("opening", "Who is there?", 1, 2, "Ann", 0.5)
LINK = panels.link(Link("The code", "https://example.com/code"))
HEAD = {"recording": 1, "run": "r", "plan": "p", "started_at": 0}
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"


def recorded(state: Path) -> tuple[Stage, Recording]:
    recording = Recording(state)
    recording.begin("run_1", plan="short", talk=None, server="", started_at=0.0)
    return Stage(Console(file=io.StringIO(), width=80), recording=recording), recording


def test_a_panel_of_a_recording_is_drawn_as_it_was(tmp_path: Path) -> None:
    stage, recording = recorded(tmp_path)
    stage.header(HEADER)
    stage.begin_step("code", "link", "Where the code is")
    stage.show("link", LINK)
    stage.closing("Take it home.")
    stage.end("opening", ok=True, skipped=None)
    recording.close()
    take = read(file_of(tmp_path, "run_1"))
    assert [event.name for event in take.events] == ["beat", "step", "panel", "closing", "end"]
    assert drawn(rebuild(take.events[2]), 60) == drawn(LINK, 60)
    assert list(take.beats()) == ["opening"]


def test_a_token_is_never_in_it(tmp_path: Path) -> None:
    stage, _ = recorded(tmp_path)
    stage.note(f"who wrote {JWT} here?")
    assert JWT not in file_of(tmp_path, "run_1").read_text()


def test_what_an_authorization_request_carries_is_not_in_it(tmp_path: Path) -> None:
    stage, _ = recorded(tmp_path)
    stage.note("open https://as.example/authorize?client_id=demo&state=s3cret&code_challenge=x and come back")
    stage.show("link", panels.link(Link("Back", "https://as.example/?code=s3cret&state=s3cret")))
    text = file_of(tmp_path, "run_1").read_text()
    assert "s3cret" not in text
    assert "client_id=demo" in text and "code_challenge=x" in text


def test_one_that_a_crash_cut_short_is_carried_on(tmp_path: Path) -> None:
    stage, recording = recorded(tmp_path)
    stage.note("one")
    recording.close()
    file = file_of(tmp_path, "run_1")
    with file.open("ab") as opened:
        opened.write(b'{"at": 1.0, "event": "no')
    assert [event["text"] for event in read(file).events] == ["one"]
    tail = Tail(file)
    assert [event["text"] for event in tail.new()] == ["one"]
    later, _ = recorded(tmp_path)
    later.note("two")
    assert [event["text"] for event in read(file).events] == ["one", "two"]
    assert [event["text"] for event in tail.new()] == ["two"]


def test_a_disk_that_is_full_ends_the_recording_and_not_the_talk(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    recording = Recording(tmp_path, file=full)
    recording.begin("run_1", plan="short", talk=None, server="", started_at=0.0)
    console = Console(file=io.StringIO(), width=80)
    stage = Stage(console, recording=recording)
    stage.header(HEADER)
    stage.end("opening", ok=True, skipped=None)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().count("no longer recorded") == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not JSON\n",
        "{}\n",
        json.dumps(HEAD | {"recording": 99}) + "\n",
        json.dumps(HEAD) + '\n[]\n{"at": 1, "event": "go"}\n',
    ],
    ids=["empty", "no JSON", "no head", "another version", "a line that is none"],
)
def test_what_is_no_recording_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "some.jsonl"
    file.write_text(text)
    with pytest.raises(UsageError):
        read(file)


@pytest.mark.parametrize("name", ["import_module", "functools", "Callable", "Any", "theme", "__getattr__"])
def test_a_recording_names_panels_and_nothing_else_of_this_program(name: str) -> None:
    with pytest.raises(UsageError, match="no panel"):
        rebuild(Event(0.0, "panel", {"name": name, "with": {}}))


@pytest.mark.parametrize("head", ['{"recording": 1, "run": ', '{"recording": ' + "[" * 100_000, '{"recording": 1}'])
def test_a_broken_first_line_does_not_stop_who_follows(tmp_path: Path, head: str) -> None:
    file = tmp_path / "some.jsonl"
    file.write_text(head + '\n{"at": 1, "event": "go"}\n')
    assert [event.name for event in Tail(file).new()] == ["go"]
