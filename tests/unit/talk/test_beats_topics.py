"""The bundled talk: every topic in both running orders, the minutes of each, and what a screen has room for."""

from __future__ import annotations

import functools
import itertools
from importlib import resources
from typing import Any

import pytest

from talk.script import Beat, Plan, Talk, load_talk
from talk.script.notes import passages, to_say
from talk.script.timing import too_long
from talk.script.vocabulary import TOPICS

PLANS = ("problem-first", "context-first")
BRIEF_TOPICS = {
    "cloudflare-101",
    "workos-101",
    "mcp",
    "deploy-button",
    "github",
    "authless",
    "failure",
    "auth-challenge",
    "oauth",
    "benefits",
    "whoami",
    "buy-shirt",
    "scopes",
    "limits",
    "audit-trail",
    "revoke",
    "future",
    "real-agent",
    "call-to-action",
}
SECTIONS = {
    "problem-first": {
        "The problem": 2,
        "The auth challenge": 3,
        "Live demo": 5,
        "The insights": 3,
        "The future": 2,
    },
    "context-first": {"Context": 3, "The problem": 3, "The solution": 7, "Wrap-up": 2},
}


@functools.cache
def talk() -> Talk:
    return load_talk()


def plan(name: str) -> Plan:
    return talk().plan(name)


def beats() -> list[Beat]:
    return list(talk().beats.values())


def test_both_running_orders_ship_and_no_third() -> None:
    assert set(talk().plans) == set(PLANS)


def test_the_topics_are_the_rows_of_the_brief() -> None:
    assert set(TOPICS) == BRIEF_TOPICS


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("topic", sorted(BRIEF_TOPICS))
def test_every_topic_has_a_beat_in_every_plan(topic: str, name: str) -> None:
    assert [one.beat.id for one in plan(name).beats if topic in one.beat.topics]


@pytest.mark.parametrize("name", PLANS)
def test_no_beat_is_left_out_of_a_plan(name: str) -> None:
    assert {one.beat.id for one in (*plan(name).beats, *plan(name).encores)} == set(talk().beats)


@pytest.mark.parametrize("name", PLANS)
def test_the_agents_own_identity_is_an_encore_of_every_plan(name: str) -> None:
    assert "agent-identity" in [one.beat.id for one in plan(name).encores]


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_lasts_fifteen_minutes_in_the_sections_that_were_agreed(name: str) -> None:
    loaded = plan(name)
    assert loaded.minutes == 15
    assert {section.title: section.minutes for section in loaded.sections} == SECTIONS[name]
    assert sum(one.minutes for one in loaded.beats) == pytest.approx(15)


@pytest.mark.parametrize("name", PLANS)
def test_the_words_of_every_beat_fit_into_its_minutes(name: str) -> None:
    assert [why for one in plan(name).beats if (why := too_long(one)) is not None] == []


@pytest.mark.parametrize("name", PLANS)
def test_what_may_go_where_time_is_short_takes_no_topic_with_it(name: str) -> None:
    staying = {topic for one in plan(name).beats if not one.optional for topic in one.beat.topics}
    assert staying == BRIEF_TOPICS
    assert sum(one.minutes for one in plan(name).beats if one.optional) >= 1


@pytest.mark.parametrize("name", PLANS)
def test_the_two_hand_over_four_times(name: str) -> None:
    speakers = [one.speaker for one in plan(name).beats]
    assert sum(one != other for one, other in itertools.pairwise(speakers)) == 4


@pytest.mark.parametrize("name", PLANS)
def test_where_agents_run_comes_when_the_room_knows_a_shop_an_order_and_a_session(name: str) -> None:
    order = [one.id for one in plan(name).beats]
    assert {"mcp", "authless", "login", "buy"} <= set(order[: order.index("where-agents-run")])


@pytest.mark.parametrize("name", PLANS)
def test_both_presenters_speak_and_each_for_a_third_of_the_time_at_least(name: str) -> None:
    minutes = dict.fromkeys(("Cloudflare", "WorkOS"), 0.0)
    for one in plan(name).beats:
        minutes[one.speaker] += one.minutes
    assert min(minutes.values()) >= 5


@pytest.mark.parametrize("beat", beats(), ids=lambda beat: beat.id)
def test_a_beat_ends_with_a_sentence_to_say(beat: Beat) -> None:
    assert beat.say[0].isupper()
    assert beat.say[-1] in ".?!"


@pytest.mark.parametrize("beat", beats(), ids=lambda beat: beat.id)
def test_the_notes_begin_with_what_to_say(beat: Beat) -> None:
    first, *_ = passages(beat.notes)
    assert first.label == "Say"
    assert to_say(beat.notes) == first.text


@pytest.mark.parametrize("beat", beats(), ids=lambda beat: beat.id)
def test_a_beat_says_what_must_be_seen(beat: Beat) -> None:
    assert any(step.see for step in beat.steps)


@pytest.mark.parametrize("beat", beats(), ids=lambda beat: beat.id)
def test_a_beat_draws_one_to_five_panels(beat: Beat) -> None:
    assert 1 <= sum(len(step.show) for step in beat.steps) <= 5


@pytest.mark.parametrize("beat", beats(), ids=lambda beat: beat.id)
def test_the_notes_say_what_to_say_what_to_point_at_what_to_answer_and_what_if_it_fails(beat: Beat) -> None:
    for heading in ("**Say.**", "**Point at.**", "**If asked.**", "**If it fails.**"):
        assert beat.notes.count(heading) == 1, heading
    assert len(beat.notes.split()) <= 260, "notes are read at a glance"


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("width", [80, 120])
def test_every_title_and_closing_sentence_fits_whole_on_the_screen(name: str, width: int) -> None:
    from demo import panels
    from demo.evidence.screen import BeatHeader

    loaded = plan(name)
    for number, one in enumerate(loaded.beats, 1):
        beat = one.beat
        header = BeatHeader(beat.id, beat.title, number, len(loaded.beats), one.speaker, one.minutes, beat.topics)
        assert beat.title in drawn(panels.header(header), width)
        assert len(drawn(panels.closing(beat.written()), width).rstrip().splitlines()) <= 2
    for one in loaded.encores:
        header = BeatHeader(one.beat.id, one.beat.title, 0, 0, one.section, 0.0, one.beat.topics)
        assert one.beat.title in drawn(panels.header(header), width)
        assert len(drawn(panels.closing(one.beat.written()), width).rstrip().splitlines()) <= 2


def drawn(renderable: Any, width: int) -> str:
    from rich.console import Console

    console = Console(width=width, height=24, color_system=None)
    with console.capture() as captured:
        console.print(renderable)
    return captured.get()


def test_the_statements_and_links_fit_the_smallest_stage() -> None:
    from demo import panels
    from demo.evidence.screen import Link
    from demo.panels.fit import overflow

    for beat in beats():
        for step in beat.steps:
            given = dict(step.options)
            if step.do == "say":
                assert overflow(panels.statement(given["text"], given.get("title")), 80, 21) is None, beat.id
            elif step.do == "link":
                assert overflow(panels.link(Link(**given)), 80, 21) is None, beat.id


def test_the_address_of_the_code_stands_in_one_place() -> None:
    urls = [str(step.options["url"]) for beat in beats() for step in beat.steps if step.do == "link"]
    assert [url for url in urls if "github.com" in url] == [talk().beat("code").steps[0].options["url"]]
    assert all(url.startswith("https://") for url in urls)


def test_the_talk_is_part_of_the_package() -> None:
    shipped = resources.files("talk")
    assert {f"{name}.toml" for name in PLANS} <= {entry.name for entry in (shipped / "plans").iterdir()}
    assert {f"{beat.id}.md" for beat in beats()} == {entry.name for entry in (shipped / "beats").iterdir()}
