"""What the second screen shows, in plain values: made of the plan, the story so far and the time alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from demo.presenter.pace import NOT_BEGUN, Pace, pace
from demo.presenter.story import NOTHING, Doing, Story, held
from talk.script.notes import Passage, passages

if TYPE_CHECKING:
    from demo.panels.theme import State
    from talk.run import Cursor
    from talk.script import Plan, PlannedBeat

NO_STAGE = "No stage is open, so nothing can be led from here. Open one: demo stage"
OTHER_COMMAND = "A command plays this run without a stage: nothing can be led from here until it ends"

NOT_NEEDED = "not needed"
"""The word for what a talk does without."""


BeatState = Literal["none", "playing", "ended", "interrupted"]


@dataclass(frozen=True)
class Health:
    """One thing that the talk stands on: a word, and how good that is. `state` "none": the talk does without it."""

    name: str
    word: str
    state: State


@dataclass(frozen=True)
class Place:
    """A beat in the running order. `first` are the first words to say."""

    id: str
    title: str
    number: int
    section: str
    speaker: str
    seconds: int
    optional: bool
    first: str = ""


@dataclass(frozen=True)
class Clock:
    """Whole seconds gone, of those planned."""

    gone: int = 0
    planned: int = 0

    @property
    def over(self) -> bool:
        """Whether more have gone than were planned."""
        return self.gone > self.planned


ZERO = Clock()


@dataclass(frozen=True)
class View:
    """One look at the talk.

    Args:
        trouble: why nothing can be shown; then the rest is empty.
        current: the beat that is on the screen, or was last; None before the first.
        state: what is with it; a crash, or a killed command, interrupts one.
        following: the one after it; None at the end.
        speaker, then: who speaks now, and who next where that is somebody else.
        sentence: what is said at the beat's end.
        skips: what *skip* would leave out, in words.
        detached: why the stage cannot be led from here; empty where it can.
    """

    trouble: str = ""
    plan: str = ""
    beats: tuple[Place, ...] = ()
    current: Place | None = None
    following: Place | None = None
    state: BeatState = "none"
    speaker: str = ""
    then: str = ""
    notes: tuple[Passage, ...] = ()
    sentence: str = ""
    doing: Doing = NOTHING
    talk: Clock = ZERO
    section: Clock = ZERO
    beat: Clock = ZERO
    pace: Pace = NOT_BEGUN
    held: bool = False
    held_seconds: int = 0
    blank: bool = False
    recorded: bool = False
    skips: str = ""
    detached: str = NO_STAGE
    health: tuple[Health, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


@dataclass(frozen=True)
class Seen:
    """What a view is made of.

    Args:
        now: seconds since the run began.
        holds: when the presenter stopped the clock (True) and let it run on (False), on the same clock.
        busy: whether a command plays the run at this moment; None where that was not looked at.
    """

    plan: Plan
    cursor: Cursor
    story: Story
    now: float
    holds: Sequence[tuple[float, bool]] = ()
    busy: bool | None = None
    health: tuple[Health, ...] = ()


@dataclass(frozen=True)
class Standing:
    """How a talk stands: seconds gone since it began without those that were `held`, and what that means for the plan.

    Args:
        stopped: whether the clock stands at this moment.
    """

    gone: float
    held: float
    stopped: bool
    pace: Pace


def standing(seen: Seen) -> Standing:
    """How the talk stands at this moment."""
    signals, began, until = _signals(seen), seen.story.began or 0.0, _until(seen)
    waited = held(signals, began, until)
    elapsed = max(0.0, until - began) if _on_screen(seen) is not None else 0.0
    stopped = bool(signals) and signals[-1][1]
    return Standing(max(0.0, elapsed - waited), waited, stopped, pace(seen.plan, seen.cursor, elapsed, waited))


def view(seen: Seen) -> View:
    """The second screen at this moment."""
    plan, story = seen.plan, seen.story
    stands = standing(seen)
    here = _on_screen(seen)
    encore = here is not None and plan.find(here.id) is None
    next_ = _following(seen)
    spoken = here or next_
    section = here.section if here is not None and not encore else story.section
    idle = seen.busy is False
    stage = story.stage if not idle else "none"
    return View(
        plan=plan.title,
        beats=tuple(_place(plan, one) for one in (*plan.beats, *plan.encores)),
        current=_place(plan, here) if here is not None else None,
        following=_place(plan, next_, first=True) if next_ is not None else None,
        state=_state(seen),
        speaker=spoken.speaker if spoken is not None else "",
        then=next_.speaker if next_ is not None and spoken is not None and next_.speaker != spoken.speaker else "",
        notes=passages(spoken.beat.notes) if spoken is not None else (),
        sentence=(story.closing if here is not None else "") or (spoken.beat.written() if spoken is not None else ""),
        doing=NOTHING if idle else story.doing,
        talk=Clock(int(stands.gone), round(60 * plan.minutes)),
        section=Clock(_gone(seen, story.section_at), _minutes(plan, section)),
        beat=Clock(_gone(seen, story.beat_at), round(60 * here.minutes) if here else 0),
        pace=stands.pace,
        held=stands.stopped,
        held_seconds=int(stands.held),
        blank=stage == "blank",
        recorded=story.recorded and here is not None,
        skips=_skips(seen, here, next_),
        detached="" if stage != "none" else OTHER_COMMAND if seen.busy else NO_STAGE,
        health=seen.health,
    )


def _signals(seen: Seen) -> list[tuple[float, bool]]:
    return sorted([*seen.story.holds, *seen.holds])


def _until(seen: Seen) -> float:
    """Up to when the talk's clock counts: now, or the end of the last beat."""
    here = _on_screen(seen)
    last = here is not None and here == seen.plan.beats[-1]
    return seen.story.ended_at if last and seen.story.ended_at is not None else max(0.0, seen.now)


def _gone(seen: Seen, since: float) -> int:
    """Whole seconds since then without those that were held; none before the first beat."""
    if _on_screen(seen) is None:
        return 0
    until = _until(seen)
    return int(max(0.0, until - since - held(_signals(seen), since, until)))


def _on_screen(seen: Seen) -> PlannedBeat | None:
    """The beat that the room sees, or saw last: as the recording says, or without one the run."""
    for beat in (seen.story.beat, seen.cursor.beat):
        if beat is not None and (found := seen.plan.find(beat) or seen.plan.encore(beat)) is not None:
            return found
    return None


def _following(seen: Seen) -> PlannedBeat | None:
    """The beat that comes next, from where the run's cursor stands: past what the presenter left out, and after an
    encore where the plan was. One that was interrupted comes once more."""
    plan, cursor = seen.plan, seen.cursor
    if cursor.beat is None or plan.find(cursor.beat) is None:
        return plan.beats[0]
    at = plan.position(cursor.beat)
    if cursor.done or (_state(seen) == "playing" and seen.story.beat in (cursor.beat, None)):
        at += 1
    return plan.beats[at] if at < len(plan.beats) else None


def _state(seen: Seen) -> BeatState:
    story = seen.story
    if story.beat is None and seen.cursor.beat is None:
        return "none"
    ended = story.ended_at is not None if story.beat is not None else seen.cursor.done
    return "ended" if ended else "interrupted" if seen.busy is False else "playing"


def _skips(seen: Seen, here: PlannedBeat | None, next_: PlannedBeat | None) -> str:
    if here is not None and _state(seen) == "playing":
        return f"the rest of {here.id}"
    return next_.id if next_ is not None else ""


def _place(plan: Plan, one: PlannedBeat, *, first: bool = False) -> Place:
    number = 1 + plan.position(one.id) if plan.find(one.id) else 0
    said = passages(one.beat.notes) if first else ()
    words = said[0].text if said else ""
    return Place(one.id, one.beat.title, number, one.section, one.speaker, round(60 * one.minutes), one.optional, words)


def _minutes(plan: Plan, section: str) -> int:
    return next((round(60 * one.minutes) for one in plan.sections if one.title == section), 0)
