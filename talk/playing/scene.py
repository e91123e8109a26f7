"""What every kind of step is played with, and what it gives back."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType

    from demo.client.mcp.outcome import CallOutcome
    from demo.evidence.shop import Decision
    from talk.cast import Cast
    from talk.results import Outcome, StepResult
    from talk.stage.screen import Stage

RETRY_SECONDS = 20.0
"""The longest that a step waits for a limit it did not ask for."""


@dataclass(frozen=True)
class Scene:
    """One beat being played: the actors, the stage, and what this run has seen so far."""

    run_id: str
    beat: str
    cast: Cast
    stage: Stage
    seen: Callable[[], list[StepResult]]
    strict: bool = False
    """The dry run: everything is the same each time, and nothing is asked of the machine but Python."""

    def key(self, step: str) -> str:
        """The idempotency key of a purchase: of run and step, so that a step played twice never buys twice."""
        beat, _, name = step.rpartition("/")
        return f"{self.run_id}/{beat or self.beat}/{name}"

    def names(self) -> tuple[tuple[str, str], ...]:
        """Ids, each with the name that people use: humans as the login and the shop's decisions of this run name them,
        agents by what their software calls itself."""
        software, found = self.cast.software(), dict(self.cast.granted_by())
        for result in self.seen():
            for decision in result.decisions:
                user, agent, client = (decision.get(name) for name in ("user", "agent", "client"))
                if user and decision.get("username"):
                    found[user] = decision["username"]
                if client in software:
                    found[client] = software[client]
                    # A sub-agent has the client of the agent above it, and is no such software.
                    if top := next(reversed((decision.get("handed_on_by") or "").split()), agent):
                        found[top] = software[client]
        return tuple((found | self.cast.sub_agents()).items())

    def with_retries(self, call: Callable[[], CallOutcome]) -> list[CallOutcome]:
        """Make a call that is about something else than limits: where it is made too often (429), do what the refusal
        says and make it again, twice at most. Every outcome; the last one is the answer."""
        outcomes = [call()]
        while outcomes[-1].status == 429 and len(outcomes) < 3:
            self.wait("the rate limit, as Retry-After says", min(outcomes[-1].retry_after or 1.0, RETRY_SECONDS))
            outcomes.append(call())
        return outcomes

    def wait(self, what: str, seconds: float) -> None:
        """Wait, showing what for."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.stage.waiting(what, left)
            time.sleep(min(0.1, left))


@dataclass
class Played:
    """What a step gave: what can be observed of it, its evidence as panels (drawn when asked for), its decisions."""

    observed: dict[str, Any] = field(default_factory=dict)
    panels: dict[str, Callable[[], RenderableType]] = field(default_factory=dict)
    status: int | None = None
    decision: Decision | None = None
    decisions: list[Decision] = field(default_factory=list)
    unobservable: dict[str, str] = field(default_factory=dict)
    """What another server has no way to show, each with the reason: no expectation of it is checked."""
    outcome: Outcome | None = None
    """What became of a consent that a human was asked for, where it is not what the script has."""
    shown: tuple[str, ...] | None = None
    """Which panels are shown of it, where they are not those of the script."""
    said: bool = False
    """Whether a panel of this step says that already; a line below it might push it off the screen."""
