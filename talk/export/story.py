"""A recording as what happened: beat by beat what was done, decided and said. For a transcript, and as JSON."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from demo.panels.values import safe
from talk.export.cells import is_drawn, lines_of, plain
from talk.recording.reader import header_of, rebuild

if TYPE_CHECKING:
    from talk.recording.reader import Event, Take

WIDTH, ROWS = 80, 24
_CONSENT = {
    "asked": "{agent} asks {human}{amount}",
    "yes": "{human} said yes to {agent}{amount}",
    "no": "{human} said no to {agent}",
    "unanswered": "nobody answered {agent}",
    "other": "somebody else than {human} said yes to {agent}",
}


@dataclass(frozen=True)
class ShownPanel:
    """A panel that was shown. `answer` is its first line: each panel's title answers its question."""

    name: str
    answer: str
    evidence: Mapping[str, Any]


@dataclass(frozen=True)
class Decided:
    """What the server decided in a step."""

    verdict: str
    gate: str | None
    rule: str | None
    user: str | None
    agent: str | None
    order: str | None


@dataclass(frozen=True)
class StepStory:
    """What one step did. `ok` is None where it was broken off, and in a beat that is a take of another performance."""

    id: str
    do: str
    title: str
    ok: bool | None
    skipped: str | None
    error: str | None
    status: int | None
    decision: Decided | None
    panels: tuple[ShownPanel, ...]
    log: tuple[str, ...]
    """In order: the answers of its panels, what became of a consent, and notes about the performance."""


@dataclass(frozen=True)
class BeatStory:
    """What one beat did, as it was last played. Times in seconds; `at` since the run began."""

    id: str
    title: str
    number: int
    of: int
    speaker: str
    minutes: float
    topics: tuple[str, ...]
    recorded: bool
    at: float
    seconds: float
    ok: bool | None
    skipped: str | None
    said: str | None
    steps: tuple[StepStory, ...]


def story(take: Take, beats: Collection[str]) -> list[BeatStory]:
    """What happened in these beats."""
    return [_beat(events) for beat, events in take.beats().items() if beat in beats]


def as_json(take: Take, beats: Collection[str]) -> dict[str, Any]:
    """The machine form: what the recording says of itself, and each beat as a `BeatStory`."""
    head = {name: take.head.get(name) for name in ("run", "plan", "talk", "server", "started_at", "program")}
    return {"schema": 1, **head, "beats": [asdict(one) for one in story(take, beats)]}


def markdown(take: Take, beats: Collection[str], *, title: str) -> str:
    """A transcript: what was done, decided and said."""
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(take.head["started_at"]))
    lines = [f"# {_prose(title)}", "", f"Transcript of the run `{_code(take.head['run'])}` of {when}.", ""]
    for beat in story(take, beats):
        place = f"{beat.number}/{beat.of} " if beat.of else ""
        lines += [f"## {place}{_prose(beat.title)}", ""]
        about = [beat.speaker, f"{beat.minutes:g} min" if beat.minutes else "", "recorded" if beat.recorded else ""]
        lines += [f"*{_prose(', '.join(filter(None, about)))}*", ""]
        for step in beat.steps:
            lines += [f"- **{_prose(step.title or step.id)}** ({_prose(step.do)}): {_outcome(step, beat.recorded)}"]
            lines += [f"  - {_prose(one)}" for one in step.log if one != step.title]
        lines += ["", f"> {_prose(beat.said)}", ""] if beat.said else [""]
    return "\n".join(lines)


def _beat(events: tuple[Event, ...]) -> BeatStory:
    header = header_of(events[0])
    steps: list[list[Event]] = []
    for event in events[1:]:
        if event.name == "step":
            steps.append([])
        if steps:
            steps[-1].append(event)
    end = next((event for event in events if event.name == "end"), None)
    said = next((event["text"] for event in events if event.name == "closing"), None)
    return BeatStory(
        **{name: getattr(header, name) for name in ("id", "title", "number", "of", "speaker", "minutes", "topics")},
        recorded=header.recorded,
        at=events[0].at,
        seconds=round(events[-1].at - events[0].at, 3),
        ok=end.get("ok") if end is not None else None,
        skipped=end.get("skipped") if end is not None else None,
        said=said,
        steps=tuple(map(_step, steps)),
    )


def _step(events: list[Event]) -> StepStory:
    begun = events[0]
    result = next((event for event in events if event.name == "result"), None)
    decision = None
    if result is not None and result.get("verdict"):
        read = {name: result.get(name) for name in ("verdict", "gate", "rule", "agent")}
        decision = Decided(user=result.get("username"), order=result.get("order_id"), **read)
    found = {name: result.get(name) if result is not None else None for name in ("ok", "skipped", "error", "status")}
    panels = {event.line: _panel(event) for event in events if event.name == "panel"}
    log = (panels[event.line].answer if event.line in panels else _note(event) for event in events)
    return StepStory(
        begun["id"],
        begun["do"],
        str(begun.get("title") or ""),
        **found,
        decision=decision,
        panels=tuple(panels.values()),
        log=tuple(filter(None, log)),
    )


def _panel(event: Event) -> ShownPanel:
    lines = lines_of(rebuild(event).within(ROWS), WIDTH, ROWS)
    answer = next((text for line in lines if not is_drawn(line) and (text := plain(line).strip())), "")
    return ShownPanel(event["name"], " ".join(answer.split()), event["with"])


def _note(event: Event) -> str:
    match event.name:
        case "note":
            return str(event["text"])
        case "consent":
            human, agent = (str(event.get(name) or f"the {name}") for name in ("human", "agent"))
            amount = f", up to {event['amount']}" if event.get("amount") else ""
            return _CONSENT.get(event["state"], "{human} was asked").format(human=human, agent=agent, amount=amount)
        case "trouble":
            return f"trouble: {event['text']}"
        case "recovery":
            return f"went on by: {event['how']}"
    return ""


def _outcome(step: StepStory, recorded: bool) -> str:
    if step.skipped:
        return f"skipped, {_prose(step.skipped)}"
    if recorded and step.ok is None:
        return "shown from a recording"
    if step.decision is None:
        said = {True: "done", False: f"not as expected, {_prose(step.error or '')}".rstrip(", "), None: "broken off"}
        return said[step.ok]
    by = f" by `{_code(step.decision.rule)}`" if step.decision.rule else ""
    status = f", HTTP {step.status}" if step.status else ""
    order = f", order `{_code(step.decision.order)}`" if step.decision.order else ""
    return f"**{_prose(step.decision.verdict)}**{by}{status}{order}"


def _prose(text: str) -> str:
    """Text in Markdown, none of it markup (CommonMark 2.4: any ASCII punctuation may be escaped)."""
    return re.sub(r"([\\`*_{}\[\]<>#|!~&])", r"\\\1", " ".join(safe(text).split()))


def _code(text: str) -> str:
    return " ".join(safe(text).replace("`", "'").split())
