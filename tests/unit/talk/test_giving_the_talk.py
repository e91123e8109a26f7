"""The page for speakers says what the plans say: beats, minutes, who speaks, what may go; and it counts right."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from talk.script import Plan, load_talk
from talk.script.timing import seconds_to_say

PAGE = (Path(__file__).parents[3] / "docs" / "giving-the-talk.md").read_text("utf-8")
HEADINGS = {"problem-first": "Problem first", "context-first": "Context first"}
NUMBERS = ("none", "once", "twice", "three times", "four times", "five times")


def plan(name: str) -> Plan:
    return load_talk().plan(name)


def part(name: str) -> str:
    """What stands under the heading of a plan."""
    return PAGE.partition(f"### {HEADINGS[name]}\n")[2].partition("\n#")[0]


def rows(name: str) -> list[list[str]]:
    """The rows of its table, without the head."""
    table = [line for line in part(name).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


@pytest.mark.parametrize("name", HEADINGS)
def test_the_table_has_the_plans_beats_minutes_speakers_and_what_may_go(name: str) -> None:
    given = plan(name)
    wanted: list[tuple[str, ...]] = []
    for section in given.sections:
        wanted.append((f"**{section.title}**", f"**{section.minutes:g}**", ""))
        for one in given.beats:
            if one.section == section.title:
                beat = f"{one.id}, optional" if one.optional else one.id
                wanted.append((beat, f"{one.minutes:g}", one.speaker))
    assert [tuple(row[:3]) for row in rows(name)] == wanted


@pytest.mark.parametrize("name", HEADINGS)
def test_how_long_each_of_the_two_speaks_is_counted(name: str) -> None:
    said = " ".join(part(name).split())
    for speaker in ("Cloudflare", "WorkOS"):
        minutes = sum(one.minutes for one in plan(name).beats if one.speaker == speaker)
        assert re.search(rf'"{speaker}"(?: speaks)? for {re.escape(f"{minutes:g}")}\b', said), (speaker, minutes)


@pytest.mark.parametrize("name", HEADINGS)
def test_how_often_they_hand_over_is_counted(name: str) -> None:
    speakers = [one.speaker for one in plan(name).beats]
    turns = sum(one != other for one, other in itertools.pairwise(speakers))
    assert f"They hand over {NUMBERS[turns]} in either order" in " ".join(PAGE.split())


@pytest.mark.parametrize("name", HEADINGS)
def test_how_long_the_words_take_is_counted(name: str) -> None:
    minutes = sum(seconds_to_say(one.beat) for one in plan(name).beats) / 60
    assert f"are {minutes:.1f} minutes at 140 words a minute" in " ".join(PAGE.split())


def test_what_it_cuts_first_is_what_may_go_and_every_beat_that_it_names_there_is() -> None:
    cut = PAGE.partition("## What do we cut first?")[2].partition("\n## ")[0]
    first = cut.partition("(all optional)")[0]
    for name in HEADINGS:
        assert {one.id for one in plan(name).beats if one.optional} == set(re.findall(r"\*([a-z-]+)\*", first))
    named = set(re.findall(r"(?<!\*)\*([a-z]+(?:-[a-z]+)*)\*(?!\*)", PAGE))
    assert named <= set(load_talk().beats)
