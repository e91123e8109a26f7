"""The sentence at a beat's end: a claim, said only where the steps that it rests on were seen, with their numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from talk.beat import Beat
    from talk.run import StepResult

PLACE = re.compile(r"\{([a-z0-9-]+)\.([a-z_]+)(?::(minutes))?\}")
"""A number out of a step's evidence: `{step.observable}`, or `{step.observable:minutes}` for one in seconds."""
_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def closing(beat: Beat, results: Mapping[str, StepResult]) -> str:
    """What is said after a play of the beat; empty where nothing can be.

    Its sentence where every step it rests on was played, as expected, with nothing left unchecked; where one was not,
    what the beat has `instead`; after a step that is red, nothing.
    """
    if any(not result.ok for result in results.values()):
        return ""
    rests_on = beat.rests_on if beat.rests_on is not None else tuple(step.id for step in beat.steps)
    told = [results.get(step) for step in rests_on]
    seen = all(one is not None and one.skipped is None and not one.unchecked for one in told)

    def observed(step: str, name: str) -> Any:
        return results[step].observed.get(name) if step in results else None

    sentence = _filled(beat.say, observed) if seen else None
    return sentence or _filled(beat.instead, observed) or ""


def written(beat: Beat) -> str:
    """The sentence as it is to be said where everything is as the beat expects: for the speaker notes."""
    steps = {step.id: step for step in beat.steps}
    return _filled(beat.say, lambda step, name: steps[step].expect.get(name)) or beat.say


def _filled(text: str, value_of: Callable[[str, str], Any]) -> str | None:
    """The text with its numbers in words, None where one of them is not known."""
    values = {found[0]: value_of(found[1], found[2]) for found in PLACE.finditer(text)}
    if not all(type(value) is int for value in values.values()):
        return None
    return PLACE.sub(lambda found: _in_minutes(values[found[0]]) if found[3] else _in_words(values[found[0]]), text)


def _in_words(number: int) -> str:
    return _WORDS[number] if 0 <= number < len(_WORDS) else str(number)


def _in_minutes(seconds: int) -> str:
    """Seconds as people say them: "five minutes", "an hour", "90 seconds"."""
    if seconds == 3600:
        return "an hour"
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length and seconds % length == 0:
            many = seconds // length
            return f"{_in_words(many)} {unit}{'s' * (many != 1)}"
    return f"{seconds} second{'s' * (seconds != 1)}"
