"""What the room makes of a recording, event by event."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from demo.audience import page
from demo.audience.feed import MOST_PANELS, Feed, Link, Room, step
from talk.recording.reader import Event

from .conftest import beat, statement


def after(*events: dict[str, Any], room: Room | None = None) -> Room:
    seen = room or Room()
    for line, event in enumerate(events, 2):
        fields = {name: value for name, value in event.items() if name != "event"}
        seen = step(seen, Event(1.0, event["event"], fields, line))
    return seen


def consent(state: str) -> dict[str, Any]:
    return {"event": "consent", "state": state, "human": "Alice Ito", "agent": "Shirt Agent", "amount": "60.00 USD"}


@pytest.mark.parametrize(
    ("state", "verdict"),
    [("asked", "asked"), ("yes", "allowed"), ("no", "refused"), ("unanswered", "refused"), ("other", "refused")],
)
def test_each_end_of_a_consent_is_a_state_of_the_chain(state: str, verdict: str):
    chain = after(beat("The consent"), consent(state)).chain
    assert (chain.human, chain.agent, chain.verdict) == ("Alice Ito", "Shirt Agent", verdict)


def test_a_human_has_one_name_here_as_on_stage():
    seen = after(beat("A call"), {"event": "result", "verdict": "allow", "username": "alice@example.com"})
    chain = page.parts(seen, page.Totals())["chain"]
    assert "Alice" in chain and "@" not in chain


def test_what_was_done_before_is_not_what_a_refusal_is_about():
    price = {"amount": 2500, "currency": "USD"}
    order = {"event": "panel", "name": "order", "step": "s", "with": {"given": {"item": "Shirt", "price": price}}}
    bought = after(beat("Buy"), consent("yes"), order, {"event": "result", "verdict": "allow", "order_id": "o"})
    assert (bought.chain.action, bought.chain.verdict) == ("bought Shirt for 25.00 USD", "allowed")
    refused = after({"event": "step"}, {"event": "result", "verdict": "deny", "rule": "limits.rate"}, room=bought)
    assert (refused.chain.action, refused.chain.verdict) == ("a call", "refused")
    assert after(beat("Next"), room=refused).chain == Link("Alice Ito", "Shirt Agent")


def test_a_screen_that_is_black_on_stage_shows_nothing_here():
    shown = after(beat("A beat"), statement("Seen"))
    dark = after({"event": "stage", "state": "blank"}, room=shown)
    assert page.parts(dark, page.Totals())["panels"] == ""
    again = after({"event": "stage", "state": "shown"}, room=dark)
    assert "Seen" in page.parts(again, page.Totals())["panels"]


def test_a_beat_of_many_panels_keeps_the_last_ones():
    seen = after(beat("Many"), *(statement(f"Number {number}") for number in range(40)))
    assert len(seen.panels) == MOST_PANELS
    assert "Number 39" in page.parts(seen, page.Totals())["panels"]


def test_a_newer_run_is_followed_from_its_beginning(tmp_path: Path):
    folder = tmp_path / "recordings"
    folder.mkdir()
    feed = Feed(tmp_path)

    def record(run: str, *events: dict[str, Any], at: float) -> None:
        file = folder / f"{run}.jsonl"
        with file.open("a") as opened:
            opened.writelines(json.dumps({"at": 1.0, **event}) + "\n" for event in events)
        os.utime(file, (at, at))

    assert feed.news(0.0) == []
    record("one", beat("Of one"), at=100.0)
    assert [room.beat for room in feed.news(2.0)] == ["Of one"]
    record("two", beat("Of two"), consent("asked"), at=200.0)
    feed.news(4.0)
    assert (feed.room.beat, feed.room.chain.verdict) == ("Of two", "asked")
