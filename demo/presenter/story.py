"""What has happened in a talk so far, as its recording tells it: one event after the other, into a few plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from talk.recording.reader import Event

Kind = Literal["", "step", "waiting", "pause", "asked", "consent", "trouble"]


@dataclass(frozen=True)
class Doing:
    """What the stage is at now: which kind of thing, and the words for it."""

    kind: Kind = ""
    words: str = ""


NOTHING = Doing()


@dataclass(frozen=True)
class Story:
    """All times are seconds since the run began. `began` is when its first beat did, None before that."""

    began: float | None = None
    beat: str | None = None
    """The beat on the screen; an encore, too, on which the run's cursor never stands."""
    beat_at: float = 0.0
    section: str = ""
    section_at: float = 0.0
    ended_at: float | None = None
    """When the beat on the screen ended; None while it plays."""
    step: str = ""
    doing: Doing = NOTHING
    closing: str = ""
    recorded: bool = False
    """Whether a take is played in the place of the live beat."""
    stage: Literal["none", "open", "blank"] = "none"
    """The full-screen session, as it says itself; a killed one never said that it ended."""
    holds: tuple[tuple[float, bool], ...] = ()
    """When the talk's clock was stopped (True) or ran on."""

    def after(self, event: Event, sections: Mapping[str, str]) -> Story:
        """The story with one event more.

        Args:
            sections: the title of each beat's section in the plan.
        """
        match event.name:
            case "beat":
                beat = str(event["header"]["id"])
                section = sections.get(beat, self.section)
                return replace(
                    self._running(event.at),
                    began=self.began if self.began is not None else event.at,
                    beat=beat,
                    beat_at=event.at,
                    section=section,
                    section_at=event.at if section != self.section else self.section_at,
                    ended_at=None,
                    doing=NOTHING,
                    closing="",
                    recorded=event.get("recorded") is True,
                )
            case "step":
                title = str(event.get("title") or event["id"])
                return replace(self._running(event.at), step=title, doing=Doing("step", title))
            case "waiting" if self.doing.kind != "asked":  # else it is for the answer
                return replace(self, doing=Doing("waiting", f"waiting for {event['what']}"))
            case "pause":
                return replace(self, doing=Doing("pause", "the room is looking: go on when you are"))
            case "go":
                return replace(self._running(event.at), doing=NOTHING)
            case "consent":
                return replace(self, doing=_consent(event))
            case "trouble":
                return replace(self, doing=Doing("trouble", str(event["text"])))
            case "panel" if self.doing.kind == "waiting":
                return replace(self, doing=Doing("step", self.step))
            case "recovery":
                return replace(self, doing=NOTHING)
            case "closing":
                return replace(self, closing=str(event.get("text") or ""), doing=NOTHING)
            case "end" if event["beat"] == self.beat:  # one that was left out ends without having begun
                return replace(self, ended_at=event.at, doing=NOTHING)
            case "stage":
                return self._staged(event)
        return self

    def _staged(self, event: Event) -> Story:
        match event.get("state"):
            case "hold":
                return replace(self, holds=(*self.holds, (event.at, True)))
            case "blank":
                return replace(self, stage="blank")
            case "shown":
                return replace(self, stage="open")
            case "resumed":
                return self._running(event.at)
            case "open":
                return replace(self._running(event.at), stage="open")
            case "closed":
                return replace(self._running(event.at), stage="none", doing=NOTHING)
        return self

    def _running(self, at: float) -> Story:
        """The talk goes on, and its clock with it: nobody has to remember that it was stopped, by whichever side."""
        return replace(self, holds=(*self.holds, (at, False)))


def _consent(event: Event) -> Doing:
    human, agent, amount = (str(event.get(name) or "") for name in ("human", "agent", "amount"))
    human = human or "the human"
    if event["state"] == "asked":
        limit = f", up to {amount}" if amount else ""
        return Doing("asked", f"{human} is asked by {agent or 'the agent'}{limit}: answer on the stage")
    said = {"yes": f"{human} said yes", "no": f"{human} said no", "other": "another account said yes"}
    return Doing("consent", said.get(str(event["state"]), "nobody has answered"))


def held(signals: Iterable[tuple[float, bool]], since: float, until: float) -> float:
    """How many seconds between `since` and `until` the clock stood.

    Args:
        signals: when it was stopped (True) and when it ran on (False), in any order.
    """
    total, stopped_at = 0.0, None
    for at, stopped in [*sorted(signals), (until, False)]:
        if stopped and stopped_at is None:
            stopped_at = at
        elif not stopped and stopped_at is not None:
            total += max(0.0, min(at, until) - max(stopped_at, since))
            stopped_at = None
    return total
