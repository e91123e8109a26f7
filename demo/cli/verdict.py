"""What a command that plays says at its end, and its exit code: of the beats that it played, and of a whole run."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import typer

from demo.cli.context import say_json, settings_of
from demo.cli.streams import aside
from demo.errors import ENVIRONMENT, EXPECTATION, OK, ExpectationFailed

if TYPE_CHECKING:
    from talk.director import Director
    from talk.results import BeatResult


def concluded(context: typer.Context, director: Director, results: list[BeatResult]) -> int:
    """The exit code of a command that played a beat, and with --json its result.

    Raises:
        ExpectationFailed: a step is not as expected.
    """
    if settings_of(context).json:
        from talk.report import as_json

        say_json(as_json(director.plan.id, director.server, results, sum(result.seconds for result in results)))
    from talk.trouble import in_words

    for beat in results:
        for step in beat.steps:
            if not step.ok and beat.recovered is None:
                raise ExpectationFailed(
                    f"beat {beat.id}, step {step.id}: not as expected",
                    why=in_words(step),
                    do="go on with demo next, or play this beat again with demo again",
                )
    return OK


def verdict(
    director: Director,
    results: list[BeatResult],
    seconds: float,
    unwritten: list[str],
    lacking: str | None,
    *,
    aside_only: bool,
) -> int:
    """Say how it went, on stderr where stdout is a report's, and what could not be written. Returns the exit code: a
    red beat counts for more than a report that is missing."""
    from talk.report import failure
    from talk.trouble import in_words

    red = [(beat, step) for beat in results for step in beat.steps if not step.ok and beat.recovered is None]
    said = failure if director.strict else in_words
    for beat, step in red:
        aside(f"red: {director.plan.id} / {beat.id} / {step.id}: {said(step)}\n")
    steps = sum(len(beat.steps) for beat in results)
    skipped = sum(1 for beat in results if beat.skipped)
    left = sum(1 for beat in results for step in beat.steps if step.skipped)
    unchecked = Counter(why for beat in results for step in beat.steps for why in step.unchecked.values())
    recovered = Counter(beat.recovered for beat in results if beat.recovered is not None)
    counts = f"{_beats(len(results))}, {steps - left} of {steps} steps played, {len(red)} not as expected"
    counts += f", {left} skipped in {_beats(skipped)}"
    if recovered["recorded"]:
        counts += f", {_beats(recovered['recorded'])} from the recording"
    if recovered["skip"]:
        counts += f", {_beats(recovered['skip'])} given up after a failure"
    say = (lambda line: aside(f"{line}\n")) if aside_only else director.stage.note
    say(f"{counts}, {seconds:.1f} s")
    for why, number in unchecked.most_common():
        say(f"{number} expectations not checked: {why}")
    if stays := bool(results) and results[-1].ungranted:
        say(f"the run stays at {results[-1].id}, which needs a grant")
    if lacking is not None:
        aside(f"red: {director.plan.id}: {lacking}\n")
        aside("name a --profile with a login (demo --profile NAME login), or allow it with --max-skipped N\n")
    for line in unwritten:
        aside(f"not written: {line}\n")
    unfinished = stays and not director.stage.person  # a script is told; who was asked knows what they said
    return EXPECTATION if red or lacking is not None or unfinished else ENVIRONMENT if unwritten else OK


def _beats(number: int) -> str:
    return f"{number} beat" if number == 1 else f"{number} beats"
