"""A plan: one running order of beats in sections, with who speaks and for how many minutes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from talk.script.beat import Beat
from talk.script.source import SLUG, Problem, Source, Where, nearest
from talk.script.step import TITLE_LONGEST

ENCORE = "Encore"
"""What stands in the place of a section's title."""
_SLACK_MINUTES = 0.001
"""Sums of halves and tenths are compared with this much room for floating point."""


@dataclass(frozen=True)
class PlannedBeat:
    """A beat's place in a plan: how long, who speaks, and under which section's title.

    `beats` are the talk's, in which it stands under its `id`. An `optional` one may be left out where time is short: no
    later beat of the plan needs it.
    """

    id: str
    minutes: float
    speaker: str
    section: str
    beats: Mapping[str, Beat] = field(repr=False, compare=False)
    optional: bool = False

    @property
    def beat(self) -> Beat:
        """The beat itself, which may be read only now.

        Raises:
            UsageError: something in it is wrong.
        """
        return self.beats[self.id]


@dataclass(frozen=True)
class Section:
    """A stretch of a plan."""

    title: str
    minutes: float


@dataclass(frozen=True)
class Plan:
    """One running order. `beats` are in the order in which they are played, through all `sections`.

    `encores` are beats beside it, for when somebody asks: they take none of the minutes, and the cursor of a run
    never stands on one.
    """

    id: str
    title: str
    minutes: float
    sections: tuple[Section, ...]
    beats: tuple[PlannedBeat, ...]
    encores: tuple[PlannedBeat, ...] = ()

    def find(self, beat_id: str) -> PlannedBeat | None:
        """The place of this beat in the plan, or None."""
        return next((planned for planned in self.beats if planned.id == beat_id), None)

    def encore(self, beat_id: str) -> PlannedBeat | None:
        """The encore that this beat is, or None."""
        return next((planned for planned in self.encores if planned.id == beat_id), None)

    def position(self, beat_id: str) -> int:
        """The beat's index in `beats`, from 0.

        Raises:
            KeyError: it is not in this plan.
        """
        for index, planned in enumerate(self.beats):
            if planned.id == beat_id:
                return index
        raise KeyError(beat_id)


def read_plan(
    path: Path, shown: str, text: str, beats: Mapping[str, Beat], problems: list[Problem], *, whole: bool = True
) -> Plan | None:
    """Read one plan file's `text`; every problem is added to `problems`.

    Args:
        beats: all beats of the talk by id; one whose file is broken is there too, as far as it could be read.
        whole: whether the beats are looked into: what each needs has to come before it.
    """
    if not SLUG.fullmatch(path.stem):
        do = "name the file in small letters, digits and hyphens, e.g. short-version.toml"
        problems.append(Problem(shown, 1, f"'{path.stem}' cannot be a plan's id", do))
    source = Source(shown, text, problems)
    if source.table is None:
        return None
    table = source.table
    source.known((), table, ("title", "minutes", "encores", "sections"))
    title = source.text((), table, "title", TITLE_LONGEST)
    minutes = source.minutes((), table)
    sections: list[Section] = []
    places: dict[Where, PlannedBeat | None] = {}
    for index, entry in enumerate(source.tables((), table, "sections")):
        where: Where = ("sections", index)
        source.known(where, entry, ("title", "minutes", "beats"))
        section = Section(source.text(where, entry, "title", TITLE_LONGEST), source.minutes(where, entry))
        sections.append(section)
        slots = list(enumerate(source.tables(where, entry, "beats")))
        places |= {
            (*where, "beats", n): _place(source, (*where, "beats", n), slot, section, beats) for n, slot in slots
        }
        lasts = [slot.get("minutes") for _, slot in slots]
        _check_sum(source, where, f"the section '{section.title}'", "its beats", section.minutes, lasts)
    _check_sum(source, (), "the plan", "its sections", minutes, [section.minutes for section in sections])
    known = whole and None not in places.values()
    _check_order(source, places, beats, needs=known)
    planned = tuple(place for place in places.values() if place is not None)
    encores = _encores(source, {one.id for one in planned}, beats, needs=known)
    return Plan(path.stem, title, minutes, tuple(sections), planned, encores)


def _encores(source: Source, inside: set[str], beats: Mapping[str, Beat], *, needs: bool) -> tuple[PlannedBeat, ...]:
    """The beats named in `encores`: each once, none that is `inside` the plan, their needs inside it.

    Args:
        needs: whether these are looked at. Where a place of the plan could not be read, what an encore seems to miss
            may be the very beat of which that is noted already.
    """
    found: dict[str, PlannedBeat] = {}
    for beat_id in source.texts((), source.table or {}, "encores"):
        where: Where = ("encores",)
        if beat_id not in beats:
            do = f"write some of: {', '.join(beats)}{nearest(beat_id, beats)}"
            source.wrong(where, f"unknown beat '{beat_id}'", do)
        elif beat_id in inside:
            source.wrong(where, f"the encore '{beat_id}' is in this plan already", "take it out of one of the two")
        elif beat_id in found:
            source.wrong(where, f"the encore '{beat_id}' is named twice", "leave one of them out")
        else:
            found[beat_id] = PlannedBeat(beat_id, 0.0, "", ENCORE, beats)
        for need in beats[beat_id].needs if needs and beat_id in beats else ():
            if need in beats and need not in inside and need != beat_id:
                what = f"the encore '{beat_id}' needs '{need}', which is not in this plan"
                source.wrong(where, what, f"put {need} into the plan, or take {beat_id} out of encores")
    return tuple(found.values())


def _place(
    source: Source, where: Where, slot: dict[str, Any], section: Section, beats: Mapping[str, Beat]
) -> PlannedBeat | None:
    source.known(where, slot, ("id", "minutes", "speaker", "optional"))
    beat_id = source.text(where, slot, "id", TITLE_LONGEST)
    speaker = source.text(where, slot, "speaker", TITLE_LONGEST)
    minutes = source.minutes(where, slot)
    optional = slot.get("optional", False)
    if not isinstance(optional, bool):
        source.wrong((*where, "optional"), f"'optional' is {optional!r}", "write true or false")
    if beat_id in beats:
        return PlannedBeat(beat_id, minutes, speaker, section.title, beats, optional is True)
    if beat_id:
        do = f"write one of: {', '.join(beats)}{nearest(beat_id, beats)}"
        source.wrong((*where, "id"), f"unknown beat '{beat_id}'", do)
    return None


def _check_order(
    source: Source, places: Mapping[Where, PlannedBeat | None], beats: Mapping[str, Beat], *, needs: bool
) -> None:
    before: set[str] = set()
    optional: set[str] = set()
    for where, planned in places.items():
        if planned is None:
            continue
        if planned.id in before:
            do = "leave one of them out: a run's cursor is a beat's id"
            source.wrong((*where, "id"), f"the beat '{planned.id}' is in this plan twice", do)
        # A need that seems to be missing may be the very beat whose name is misspelt, which is noted already.
        for need in planned.beat.needs if needs else ():
            if need in beats and need != planned.id and need not in before:
                do = f"put {need} somewhere before {planned.id}"
                what = f"the beat '{planned.id}' needs '{need}', which does not come before it"
                source.wrong((*where, "id"), what, do)
            elif need in optional:
                what = f"the beat '{planned.id}' needs '{need}', which is optional"
                source.wrong((*where, "id"), what, f"take optional from {need}: what may go is needed by nothing later")
        before.add(planned.id)
        if planned.optional:
            optional.add(planned.id)


def _check_sum(source: Source, where: Where, what: str, parts: str, wanted: float, lasts: list[Any]) -> None:
    # A length that could not be read is a problem of its own, and its sum would only be a second one.
    if not wanted or not lasts or not all(isinstance(one, int | float) and one > 0 for one in lasts):
        return
    total = sum(lasts)
    if abs(wanted - total) > _SLACK_MINUTES:
        do = f"write minutes = {total:g} here, or change {parts}"
        source.wrong((*where, "minutes"), f"{what} lasts {wanted:g} minutes, but {parts} add up to {total:g}", do)
