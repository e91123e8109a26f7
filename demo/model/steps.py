"""The events of a run as its steps: each answer of the model with what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from demo.evidence.model import CallMade, ModelCall, ModelEnd, ModelEvent, ModelRead, ModelStep, ModelTask, ModelWords


class Steps:
    """Puts steps together as events come.

    Args:
        on_step: told of each step when it is whole.
    """

    def __init__(self, on_step: Callable[[ModelStep], None]) -> None:
        self._on_step = on_step
        self._task: ModelTask | None = None
        self.now: ModelStep | None = None
        """The step under way."""

    def take(self, event: ModelEvent) -> None:
        """One event more."""
        if isinstance(event, ModelTask):
            self._task = event
        elif isinstance(event, ModelEnd):
            self._whole()
        elif isinstance(event, ModelWords | ModelCall):
            step = self._at(event.step)
            if isinstance(event, ModelWords):
                self.now = replace(step, words=event.text)
            else:
                self.now = replace(step, calls=(*step.calls, CallMade(event)))
        elif self.now is not None and self.now.calls:
            made = self.now.calls[-1]
            made = replace(made, read=event) if isinstance(event, ModelRead) else replace(made, asked=event)
            self.now = replace(self.now, calls=(*self.now.calls[:-1], made))

    def _at(self, number: int) -> ModelStep:
        if self.now is None or self.now.step != number:
            self._whole()
            assert self._task is not None
            self.now = ModelStep(number, self._task.model, self._task.made_by)
        return self.now

    def _whole(self) -> None:
        if self.now is not None:
            self._on_step(self.now)
        self.now = None


def steps_of(events: Iterable[ModelEvent]) -> tuple[ModelStep, ...]:
    """All steps of a run."""
    whole: list[ModelStep] = []
    steps = Steps(whole.append)
    for event in events:
        steps.take(event)
    if steps.now is not None:
        whole.append(steps.now)
    return tuple(whole)
