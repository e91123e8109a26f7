"""The recordings that ship are what the talk says now: its beats, steps, panels, verdicts and sentences."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from itertools import pairwise

import pytest

from demo.evidence.screen import BeatHeader
from talk.recording.finding import SHIPPED, shipped
from talk.recording.reader import Event, Take, header_of, read
from talk.script import PlannedBeat, load_talk
from talk.script.beat import PLACE
from tests.conftest import ROOT, Command
from tools.recordings import LARGEST, differences

TALK = load_talk(None)
STALE = "the recording is not what the script says; record it again: make recordings"


def recording_of(plan: str) -> Take:
    file = shipped(plan)
    assert file is not None, f"no recording of {plan}: make recordings"
    return read(file)


def steps_of(events: tuple[Event, ...]) -> dict[str, list[Event]]:
    steps: dict[str, list[Event]] = {}
    for event in events:
        if event.name == "step":
            steps[event["id"]] = []
        if steps and event.name in ("panel", "result", "pause"):
            steps[[*steps][-1]].append(event)
    return steps


def header(planned: PlannedBeat, plan: str) -> BeatHeader:
    beats = [one.id for one in TALK.plan(plan).beats]
    of, number = (len(beats), 1 + beats.index(planned.id)) if planned.id in beats else (0, 0)
    speaker, minutes = (planned.speaker, planned.minutes) if of else (planned.section, 0.0)
    return BeatHeader(planned.id, planned.beat.title, number, of, speaker, minutes, planned.beat.topics)


@pytest.mark.parametrize("plan", TALK.plans)
def test_it_has_the_beats_of_the_plan(plan: str) -> None:
    take, beats = recording_of(plan), [*TALK.plan(plan).beats, *TALK.plan(plan).encores]
    assert [*take.beats()] == [planned.id for planned in beats], STALE
    for planned in beats:
        assert header_of(take.beat(planned.id)[0]) == header(planned, plan), STALE


@pytest.mark.parametrize("plan", TALK.plans)
def test_each_step_did_what_its_script_expects_and_shows_its_panels(plan: str) -> None:
    take = recording_of(plan)
    for planned in (*TALK.plan(plan).beats, *TALK.plan(plan).encores):
        steps = steps_of(take.beat(planned.id))
        assert [*steps] == [step.id for step in planned.beat.steps], f"{planned.id}: {STALE}"
        for step in planned.beat.steps:
            where = f"{planned.id} / {step.id}: {STALE}"
            shown = [event["shown_as"] for event in steps[step.id] if event.name == "panel"]
            # Where the agent on the edge is not run, some of its panels have nothing to show.
            assert shown == list(step.show) or (step.do == "edge-agent" and shown and set(shown) < set(step.show)), (
                where
            )
            paused = [one["shown_as"] for one, after in pairwise(steps[step.id])
                      if (one.name, after.name) == ("panel", "pause")]  # fmt: skip
            assert set(paused) >= set(step.pause) & set(shown), where
            (result,) = [event for event in steps[step.id] if event.name == "result"]
            assert result["ok"] and not result["skipped"], where
            for name in ("status", "verdict", "rule"):
                # A step may speak of a decision beside its own, which the recording of it does not have.
                assert name not in step.expect or result[name] in (step.expect[name], None), where


@pytest.mark.parametrize("plan", TALK.plans)
def test_each_beat_ends_with_its_sentence(plan: str) -> None:
    take = recording_of(plan)
    for planned in (*TALK.plan(plan).beats, *TALK.plan(plan).encores):
        said = next((event["text"] for event in take.beat(planned.id) if event.name == "closing"), "")
        # A number in it is of the run: the sentence around it is the script's.
        written = [".+".join(map(re.escape, re.split(f"(?:{_without_groups()})", text)))
                   for text in (planned.beat.say, planned.beat.instead) if text]  # fmt: skip
        assert any(re.fullmatch(one, said) for one in written), f"{planned.id}: {STALE}"


def _without_groups() -> str:
    return PLACE.pattern.replace("([", "(?:[").replace("(minutes)", "minutes")


@pytest.mark.parametrize("plan", TALK.plans)
def test_all_of_it_can_be_drawn_and_it_is_small(plan: str) -> None:
    take = recording_of(plan)
    take.check()
    assert take.path.stat().st_size < LARGEST
    assert take.head["plan"] == plan and take.head["talk"] is None


def test_no_recording_is_left_of_a_plan_that_is_gone() -> None:
    assert {file.stem for file in SHIPPED.glob("*.jsonl")} == set(TALK.plans)


def test_the_picture_in_the_readme_is_made_of_it(demo: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    made = re.search(r"^SCENES := (.+)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert made is not None
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    try:
        exported = demo("export", "problem-first", *made[1].split(), "--format", "svg", "-o", "-")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert exported.stdout == (ROOT / "docs" / "picture.svg").read_text("utf-8"), "make it again: make picture"


def test_a_dry_run_that_shows_something_else_is_told_apart() -> None:
    """What `make dry-run` compares, seen to fail: a verdict, a panel, a sentence, a beat, the order."""
    take = recording_of("problem-first")
    assert differences(take, take) == []
    for name, changes in (
        ("result", {"verdict": "allow", "rule": "allowed"}),
        ("result", {"ok": False}),
        ("panel", {"name": "statement", "with": {"text": "Another panel."}}),
        ("closing", {"text": "Something else."}),
        ("step", {"id": "renamed"}),
        ("beat", {"header": {**take.events[0]["header"], "title": "Another title"}}),
    ):
        at = next(
            at for at, one in enumerate(take.events)
            if one.name == name and one.get("verdict", "deny") == "deny" and one.get("name") != "statement"
        )  # fmt: skip
        event = replace(take.events[at], fields={**take.events[at].fields, **changes})
        assert differences(take, replace(take, events=(*take.events[:at], event, *take.events[at + 1 :]))), (
            name,
            changes,
        )
    assert differences(take, replace(take, events=take.events[: len(take.events) // 2]))
