"""What a step did, and what a beat did: each as it was seen, and held against what the talk expects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Outcome = Literal["declined", "unanswered", "other_account"]
"""What becomes of a consent beside the script's: the human says no; nobody decides in time; another human says yes."""


@dataclass(frozen=True)
class StepResult:
    """What one step did. `observed` holds what `expect` may speak of; `failed` the expectations that did not hold."""

    id: str
    do: str
    ok: bool
    seconds: float
    expected: Mapping[str, Any] = field(default_factory=dict)
    observed: Mapping[str, Any] = field(default_factory=dict)
    failed: tuple[str, ...] = ()
    http_status: int | None = None
    decision: Mapping[str, Any] | None = None
    decisions: tuple[Mapping[str, Any], ...] = ()
    """Every decision seen in this step, for the audit beat; `decision` is the one the step is about."""
    skipped: str | None = None
    error: str | None = None
    unchecked: Mapping[str, str] = field(default_factory=dict)
    """Expectations that this server has no way to show, each with the reason."""
    outcome: Outcome | None = None
    """What became of a consent on stage, where it is not what the script has: no failure, and nothing is expected."""

    @property
    def ungranted(self) -> bool:
        """Whether a consent was asked for on stage and the agent has no grant of it: it is asked for again."""
        return self.outcome is not None and self.observed.get("granted") is not True


@dataclass(frozen=True)
class BeatResult:
    """What one beat did."""

    id: str
    title: str
    topics: tuple[str, ...]
    ok: bool
    seconds: float
    steps: tuple[StepResult, ...]
    skipped: str | None = None
    said: str = ""
    """The sentence at its end; empty where none could be said."""
    recovered: Literal["recorded", "skip"] | None = None
    """How it went on on stage after a live step had failed: by its recorded take, or without the rest of it."""

    @property
    def ungranted(self) -> bool:
        """Whether it waits at a consent that was not given: the next play of it asks again."""
        return any(step.ungranted for step in self.steps)
