"""A beat: one Markdown file with its steps and expectations as TOML front matter, then the speaker notes."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from talk.playing import KINDS
from talk.playing.kind import PURCHASE, Step
from talk.script.source import SLUG, Problem, Source, Where, nearest
from talk.script.step import TITLE_LONGEST, read_step
from talk.script.vocabulary import TOPICS

FENCE = "+++"
SAY_LONGEST = 100
PLACE = re.compile(r"\{([a-z0-9-]+)\.([a-z_]+)(?::(minutes))?\}")
"""A number out of a step's evidence in a sentence: `{step.observable}`, or `{step.observable:minutes}` for seconds."""
SERVERS = ("bundled", "other")
_BEAT_KEYS = ("title", "topics", "say", "instead", "rests_on", "server", "needs", "steps")


@dataclass(frozen=True)
class Beat:
    """One beat: what it is called, which topics it covers, what it plays, and what to say aloud at its end.

    `needs` names the beats that must have been played before. `notes` are the speaker's, in Markdown. What is said is
    a claim: it rests on the steps named in `rests_on`, on every step where that is None, on none where it is empty;
    where one of them was not seen, `instead` is said (`talk.runner`). `server` says for which server the beat is
    written: of the "bundled" shop every name is known, of an "other" none is.
    """

    id: str
    title: str
    topics: tuple[str, ...]
    say: str
    needs: tuple[str, ...]
    steps: tuple[Step, ...]
    notes: str
    path: Path
    instead: str = ""
    rests_on: tuple[str, ...] | None = None
    server: str = "bundled"

    def step(self, step_id: str) -> Step | None:
        """The step called `step_id`, or None."""
        return next((step for step in self.steps if step.id == step_id), None)

    def written(self) -> str:
        """The sentence as it is to be said where everything is as the beat expects: for the speaker notes."""
        steps = {step.id: step for step in self.steps}
        return filled(self.say, lambda step, name: steps[step].expect.get(name)) or self.say


def filled(text: str, value_of: Callable[[str, str], Any]) -> str | None:
    """A sentence with its numbers in words, None where one of them is not known.

    Args:
        value_of: what was observed, by step and observable.
    """
    values = {found[0]: value_of(found[1], found[2]) for found in PLACE.finditer(text)}
    if not all(type(value) is int for value in values.values()):
        return None
    return PLACE.sub(lambda found: _in_minutes(values[found[0]]) if found[3] else _in_words(values[found[0]]), text)


def read_beat(path: Path, shown: str, text: str, problems: list[Problem]) -> tuple[Beat, Source] | None:
    """Read one beat file's `text`; every problem is added to `problems`.

    Returns:
        The beat and its source, to check what it says of other beats; None where nothing can be made of the file.
    """
    if not SLUG.fullmatch(path.stem):
        do = "name the file in small letters, digits and hyphens, e.g. buy-shirt.md"
        problems.append(Problem(shown, 1, f"'{path.stem}' cannot be a beat's id", do))
    lines = text.split("\n")
    end = next((n for n, line in enumerate(lines[1:], 1) if line.rstrip() == FENCE), None)
    if not lines or lines[0].rstrip() != FENCE or end is None:
        what = "no front matter" if not lines or lines[0].rstrip() != FENCE else "the front matter has no end"
        do = f"put the beat's TOML between two lines of {FENCE}, the first of them line 1 of the file"
        problems.append(Problem(shown, 1, what, do))
        return None
    source = Source(shown, "\n".join(lines[1:end]), problems, offset=1)
    if source.table is None:
        return None
    table = source.table
    source.known((), table, _BEAT_KEYS)
    server = table.get("server", SERVERS[0])
    if server not in SERVERS:
        source.wrong(("server",), f"'server' is {server!r}", f"write one of: {', '.join(SERVERS)}")
    beat = Beat(
        id=path.stem,
        title=source.text((), table, "title", TITLE_LONGEST),
        topics=_topics(source, table),
        say=source.text((), table, "say", SAY_LONGEST),
        needs=source.texts((), table, "needs"),
        steps=tuple(
            read_step(source, ("steps", n), entry, bundled=server != "other")
            for n, entry in enumerate(source.tables((), table, "steps"))
        ),
        notes="\n".join(lines[end + 1 :]).strip(),
        path=path,
        instead=source.text((), table, "instead", SAY_LONGEST, required=False),
        rests_on=source.texts((), table, "rests_on") if "rests_on" in table else None,
        server="other" if server == "other" else "bundled",
    )
    _unique_ids(source, beat)
    _check_closing(source, beat)
    return beat, source


def resolve(beat: Beat, source: Source, needed: Mapping[str, Beat], *, known: Collection[str]) -> Beat:
    """Check what a beat says of other beats and of its own earlier steps.

    Args:
        needed: the beats that it needs, as far as there are any of these names.
        known: the ids of all beats.

    Returns:
        The beat in which each repeated purchase has the arguments of the first, and `same_as` its full name.
    """
    for need in beat.needs:
        if need == beat.id:
            source.wrong(("needs",), f"the beat '{need}' needs itself", "take its own id out of needs")
        elif need not in known:
            do = f"write the id of another beat{nearest(need, known)}"
            source.wrong(("needs",), f"needs names an unknown beat '{need}'", do)
    bought = {f"{name}/{step.id}": step for name, other in needed.items() for step in other.steps if _buys(step)}
    steps: list[Step] = []
    # Where a step or a needed beat could not be read, that is the problem, and it is noted already.
    unreadable = any(not other.steps for other in needed.values())
    unreadable |= any(step.do not in KINDS for step in beat.steps)
    for position, step in enumerate(beat.steps):
        if "same_as" in step.options and not unreadable:
            step = _repeated(source, ("steps", position), step, beat.id, bought)
        elif _buys(step):
            bought[f"{beat.id}/{step.id}"] = step
        steps.append(step)
    return replace(beat, steps=tuple(steps))


def _buys(step: Step) -> bool:
    return step.do == "call" and step.options.get("tool") == PURCHASE and "same_as" not in step.options


def _repeated(source: Source, where: Where, step: Step, beat: str, bought: Mapping[str, Step]) -> Step:
    wanted = step.options["same_as"]
    name = wanted if "/" in wanted else f"{beat}/{wanted}"
    if step.options.get("tool", PURCHASE) != PURCHASE:  # that it is missing, or no text, is noted as that
        do = f"leave same_as out, or call {PURCHASE}, whose idempotency key it repeats"
        source.wrong((*where, "same_as"), f"same_as on a call of '{step.options['tool']}'", do)
    if step.options["args"]:
        do = "leave args out: a repeated purchase takes its arguments from the first, but for those that `but` changes"
        source.wrong((*where, "args"), "args beside same_as", do)
    if name not in bought:
        do = f"write one of: {', '.join(bought)}{nearest(name, bought)}" if bought else f"call {PURCHASE} before it"
        why = "it looks in this beat's earlier steps and in the beats that needs names"
        source.wrong((*where, "same_as"), f"same_as names no earlier purchase '{wanted}'", do, why)
        return step
    for option in ("door", "who"):
        here, there = step.options[option], bought[name].options[option]
        # One that is no choice is noted as that.
        if here != there and {here, there} <= set(KINDS["call"].options[option].choices):
            what = f"{option} = '{here}' where '{wanted}' has '{there}'"
            why = "an idempotency key is its caller's: another one's finds no order"
            source.wrong((*where, "same_as"), what, f"write {option} = '{there}'", why)
    options = {**step.options, "same_as": name, "args": bought[name].options["args"]}
    return replace(step, options=MappingProxyType(options))


def _topics(source: Source, table: dict[str, Any]) -> tuple[str, ...]:
    topics = source.texts((), table, "topics")
    for topic in topics:
        if topic not in TOPICS:
            do = f"write some of: {', '.join(TOPICS)}{nearest(topic, TOPICS)}"
            source.wrong(("topics",), f"unknown topic '{topic}'", do)
    return topics


def _check_closing(source: Source, beat: Beat) -> None:
    """Note where what is said rests on, or counts, what no step of the beat shows."""
    steps = {step.id: step for step in beat.steps}
    for step in beat.rests_on or ():
        if step not in steps:
            do = f"write some of: {', '.join(steps)}{nearest(step, steps)}"
            source.wrong(("rests_on",), f"it rests on a step '{step}', which this beat has not", do)
    for key, text in (("say", beat.say), ("instead", beat.instead)):
        for found in PLACE.finditer(text):
            name, observable = found[1], found[2]
            kind = KINDS.get(steps[name].do) if name in steps else None
            if name not in steps:
                do = f"name one of: {', '.join(steps)}{nearest(name, steps)}"
                source.wrong((key,), f"{found[0]} names a step that this beat has not", do)
            elif kind is not None and kind.observes.get(observable) is not int:
                numbers = [one for one, type_ in kind.observes.items() if type_ is int]
                do = f"write one of: {', '.join(numbers) or 'nothing'}{nearest(observable, numbers)}"
                source.wrong((key,), f"a '{steps[name].do}' step observes no number '{observable}'", do)
        if (rest := PLACE.sub("", text)) and ("{" in rest or "}" in rest):
            do = "write {step.observable}, or {step.observable:minutes}"
            source.wrong((key,), f"'{key}' has a brace that names no number", do)


def _unique_ids(source: Source, beat: Beat) -> None:
    first: dict[str, int] = {}
    for position, step in enumerate(beat.steps):
        if step.id and step.id in first:
            do = f"give it another id: line {source.line(('steps', first[step.id]))} has this one already"
            source.wrong(("steps", position, "id"), f"two steps are called '{step.id}'", do)
        first.setdefault(step.id, position)


_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


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
