"""What is said at a beat's end is a claim: it is said where it was seen, with the numbers that were seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from talk.results import StepResult
from talk.runner import closing
from talk.script import Beat, load_talk


def results(beat: Beat, **changed: dict[str, Any]) -> dict[str, StepResult]:
    """Every step as it is expected, but for some."""
    return {
        step.id: replace(
            StepResult(step.id, step.do, True, 0.0, observed=dict(step.expect)),
            **changed.get(step.id.replace("-", "_"), {}),
        )
        for step in beat.steps
    }


def beat(name: str) -> Beat:
    return load_talk(None).beat(name)


@pytest.mark.parametrize("name", sorted(load_talk(None).beats))
def test_where_everything_was_seen_the_sentence_is_said(name: str) -> None:
    said = closing(beat(name), results(beat(name)))
    assert said == beat(name).written()
    assert "{" not in said


@pytest.mark.parametrize(
    "changed", [{"skipped": "it would buy twice"}, {"unchecked": {"replayed": "it says nothing of it"}}]
)
def test_what_was_not_seen_is_not_claimed(changed: dict[str, Any]) -> None:
    said = closing(beat("buy"), results(beat("buy"), again=changed))
    assert said == beat("buy").instead
    assert "does not buy twice" not in said
    assert closing(beat("banned"), results(beat("banned"), out=changed)) == "", "there is nothing else to say"


def test_after_a_red_step_nothing_is_claimed() -> None:
    assert closing(beat("buy"), results(beat("buy"), again={"ok": False})) == ""
    assert closing(beat("limits"), results(beat("limits"), third={"ok": False})) == ""


def test_numbers_are_those_that_were_seen() -> None:
    own = {"unchecked": {"count": "its own tools"}, "observed": {"count": 13}}
    assert closing(beat("mcp"), results(beat("mcp"), tools=own)) == "One protocol, 13 tools."
    assert closing(beat("mcp"), results(beat("mcp"), tools={"skipped": "no door", "observed": {}})) == ""
    longer = {"unchecked": {"lifetime": "its own"}, "observed": {"lifetime": 3600}}
    assert closing(beat("whoami"), results(beat("whoami"), token=longer)) == "A token is worth nothing in an hour."


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(300, "five minutes"), (60, "one minute"), (3600, "an hour"), (7200, "two hours"), (90, "90 seconds")],
)
def test_a_life_is_told_as_people_tell_it(seconds: int, words: str) -> None:
    seen = {"observed": {"lifetime": seconds}}
    assert closing(beat("whoami"), results(beat("whoami"), token=seen)).endswith(f"is worth nothing in {words}.")


def test_a_sentence_rests_on_the_steps_that_it_names() -> None:
    described = {"unchecked": {"kept": "not live"}}
    assert closing(beat("where-agents-run"), results(beat("where-agents-run"), edge=described)).startswith(
        "The process"
    )
    gone = {"skipped": "it cannot be restarted from here"}
    told = closing(beat("where-agents-run"), results(beat("where-agents-run"), restart=gone))
    assert told == beat("where-agents-run").instead
