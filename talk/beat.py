"""A beat: one Markdown file with its steps and expectations as TOML front matter, then the speaker notes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from talk.lines import Where
from talk.reading import Problem, Source, fits, nearest, type_name
from talk.steps import KINDS, Kind, base_key
from talk.topics import TOPICS

FENCE = "+++"
TITLE_LONGEST = 60
SAY_LONGEST = 100
SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
PURCHASE = "buyMcpShopItem"
"""The one tool whose calls carry an idempotency key, and so the only one that `same_as` may repeat."""

DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "door": "protected",
        "who": "agent",
        "token": "stored",
        "account": "alice@example.com",
        "decide": "approve",
        "ask": True,
        "spending": 0,
        "at_most": 30,
        "args": MappingProxyType({}),
        "tool": "listMcpShopInventory",
        "live": True,
    }
)
"""What an option is where a beat does not say; one without a default is then absent. `spending` in cents, 0: none."""

_STEP_KEYS = ("id", "do", "title", "show", "expect")
_BEAT_KEYS = ("title", "topics", "say", "needs", "steps")


@dataclass(frozen=True)
class Step:
    """One step of a beat. `options` are its kind's, with the defaults filled in; `line` is where it starts."""

    id: str
    do: str
    title: str
    options: Mapping[str, Any]
    expect: Mapping[str, Any]
    show: tuple[str, ...]
    line: int


@dataclass(frozen=True)
class Beat:
    """One beat: what it is called, which topics it covers, what it plays, and what to say aloud at its end.

    `needs` names the beats that must have been played before. `notes` are the speaker's, in Markdown.
    """

    id: str
    title: str
    topics: tuple[str, ...]
    say: str
    needs: tuple[str, ...]
    steps: tuple[Step, ...]
    notes: str
    path: Path

    def step(self, step_id: str) -> Step | None:
        """The step called `step_id`, or None."""
        return next((step for step in self.steps if step.id == step_id), None)


def read_beat(path: Path, shown: str, text: str, problems: list[Problem]) -> tuple[Beat, Source] | None:
    """Read one beat file's `text`; every problem is added to `problems`.

    Returns:
        The beat and its source, to check what it says of other beats; None where nothing can be made of the file.
    """
    if not SLUG.fullmatch(path.stem):
        do = "name the file in small letters, digits and hyphens, e.g. buy-shirt.md"
        problems.append(Problem(shown, 1, f"'{path.stem}' cannot be a beat's id", do))
    lines = text.splitlines()
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
    beat = Beat(
        id=path.stem,
        title=source.text((), table, "title", TITLE_LONGEST),
        topics=_topics(source, table),
        say=source.text((), table, "say", SAY_LONGEST),
        needs=source.texts((), table, "needs"),
        steps=tuple(_step(source, ("steps", n), entry) for n, entry in enumerate(source.tables((), table, "steps"))),
        notes="\n".join(lines[end + 1 :]).strip(),
        path=path,
    )
    _unique_ids(source, beat)
    return beat, source


def resolve(beat: Beat, source: Source, beats: Mapping[str, Beat]) -> Beat:
    """Check what a beat says of other beats and of its own earlier steps.

    Returns:
        The beat in which each repeated purchase has the arguments of the first, and `same_as` its full name.
    """
    for need in beat.needs:
        if need == beat.id:
            source.wrong(("needs",), f"the beat '{need}' needs itself", "take its own id out of needs")
        elif need not in beats:
            do = f"write the id of another beat{nearest(need, beats)}"
            source.wrong(("needs",), f"needs names an unknown beat '{need}'", do)
    bought = {f"{need}/{s.id}": s for need in beat.needs if need in beats for s in beats[need].steps if _buys(s)}
    steps: list[Step] = []
    for position, step in enumerate(beat.steps):
        if "same_as" in step.options:
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
    if step.options["tool"] != PURCHASE:
        do = f"leave same_as out, or call {PURCHASE}, whose idempotency key it repeats"
        source.wrong((*where, "same_as"), f"same_as on a call of '{step.options['tool']}'", do)
    if step.options["args"]:
        do = "leave args out: a repeated purchase takes its arguments from the first"
        source.wrong((*where, "args"), "args beside same_as", do)
    if name not in bought:
        do = f"write one of: {', '.join(bought)}{nearest(name, bought)}" if bought else f"call {PURCHASE} before it"
        why = "it looks in this beat's earlier steps and in the beats that needs names"
        source.wrong((*where, "same_as"), f"same_as names no earlier purchase '{wanted}'", do, why)
        return step
    options = {**step.options, "same_as": name, "args": bought[name].options["args"]}
    return replace(step, options=MappingProxyType(options))


def _topics(source: Source, table: dict[str, Any]) -> tuple[str, ...]:
    topics = source.texts((), table, "topics")
    for topic in topics:
        if topic not in TOPICS:
            do = f"write some of: {', '.join(TOPICS)}{nearest(topic, TOPICS)}"
            source.wrong(("topics",), f"unknown topic '{topic}'", do)
    return topics


def _unique_ids(source: Source, beat: Beat) -> None:
    first: dict[str, int] = {}
    for position, step in enumerate(beat.steps):
        if step.id and step.id in first:
            do = f"give it another id: line {first[step.id]} has this one already"
            source.wrong(("steps", position, "id"), f"two steps are called '{step.id}'", do)
        first.setdefault(step.id, step.line)


def _step(source: Source, where: Where, table: dict[str, Any]) -> Step:
    """Read one step; a step with problems comes back as far as it could be read."""
    step_id = source.text(where, table, "id", TITLE_LONGEST)
    if step_id and not SLUG.fullmatch(step_id):
        source.wrong((*where, "id"), f"'{step_id}' cannot be an id", "write small letters, digits and hyphens")
    do = source.text(where, table, "do", TITLE_LONGEST)
    kind = KINDS.get(do)
    if kind is None:
        if do:
            mend = f"write one of: {', '.join(KINDS)}{nearest(do, KINDS)}"
            source.wrong((*where, "do"), f"unknown step kind '{do}'", mend)
        return Step(step_id, do, "", MappingProxyType({}), MappingProxyType({}), (), source.line(where))
    source.known(where, table, dict.fromkeys((*_STEP_KEYS, *kind.options)))
    return Step(
        id=step_id,
        do=do,
        title=source.text(where, table, "title", TITLE_LONGEST, required="title" in kind.required),
        options=_options(source, where, table, kind),
        expect=_expect(source, where, table, do, kind),
        show=_show(source, where, table, do, kind),
        line=source.line(where),
    )


def _options(source: Source, where: Where, table: dict[str, Any], kind: Kind) -> Mapping[str, Any]:
    options: dict[str, Any] = {name: DEFAULTS[name] for name in kind.options if name in DEFAULTS}
    for name, wanted in kind.options.items():
        place = (*where, name)
        if name == "title":  # every step may have one, and it is checked there
            options |= {"title": table["title"]} if isinstance(table.get("title"), str) else {}
        elif name not in table:
            if name in kind.required:
                source.wrong(where, f"the option '{name}' is missing", f"write {name} = {type_name(wanted)}")
        elif not fits(value := table[name], wanted):
            source.wrong(place, f"'{name}' is {value!r}", f"write {type_name(wanted)}")
        else:
            if name in kind.required and value in ("", []):
                source.wrong(place, f"'{name}' is empty", "write it out")
            elif wanted is int and value < 0:
                source.wrong(place, f"'{name}' is {value}", "write zero or more")
            elif name in kind.choices and value not in kind.choices[name]:
                do = f"write one of: {', '.join(kind.choices[name])}{nearest(value, kind.choices[name])}"
                source.wrong(place, f"'{name}' is '{value}'", do)
            options[name] = MappingProxyType(value) if isinstance(value, dict) else value
    return MappingProxyType(options)


def _expect(source: Source, where: Where, table: dict[str, Any], do: str, kind: Kind) -> Mapping[str, Any]:
    expect = table.get("expect", {})
    place = (*where, "expect")
    if not isinstance(expect, dict):
        source.wrong(place, "'expect' is not a table", "write expect = { ... } or a table [steps.expect]")
        return MappingProxyType({})
    if kind.speaks and not expect:
        observed = ", ".join(kind.observes)
        why = "a step that speaks on the wire must be able to fail"
        source.wrong(where, f"a '{do}' step without an expectation", f"write expect = {{ ... }} of: {observed}", why)
    for key, value in expect.items():
        name = key if key in kind.observes else base_key(key)
        wanted = kind.observes.get(name)
        if wanted is None:
            known = ", ".join(kind.observes) or "nothing, so take it away"
            do_instead = f"expect some of: {known}{nearest(key, kind.observes)}"
            source.wrong((*place, key), f"a '{do}' step cannot observe '{key}'", do_instead)
        elif name != key and wanted is not (list if key.endswith("_has") else int):
            do_instead = f"write {name} = {type_name(wanted)}; _has is for lists, _min and _max are for numbers"
            source.wrong((*place, key), f"'{name}' cannot be matched by '{key}'", do_instead)
        elif not (fits(value, wanted) or (key.endswith("_has") and isinstance(value, str))):
            source.wrong((*place, key), f"'{key}' expects {value!r}", f"write {type_name(wanted)}")
        elif key.endswith("_has") and not value:
            source.wrong((*place, key), f"'{key}' expects nothing", "name what the list must contain")
    return MappingProxyType(expect)


def _show(source: Source, where: Where, table: dict[str, Any], do: str, kind: Kind) -> tuple[str, ...]:
    if "show" not in table:
        return kind.shows[:1]
    show = source.texts(where, table, "show")
    for panel in show:
        if panel not in kind.shows:
            mend = f"show some of: {', '.join(kind.shows)}{nearest(panel, kind.shows)}"
            source.wrong((*where, "show"), f"a '{do}' step has no panel '{panel}'", mend)
    return show
