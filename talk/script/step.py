"""Reading a step: one table of a beat's front matter, checked against its kind."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from talk.playing import KINDS
from talk.playing.kind import Kind, Step, base_key
from talk.script.sense import check_names, check_sense
from talk.script.source import SLUG, Source, Where, fits, nearest, type_name

TITLE_LONGEST = 60

_STEP_KEYS = ("id", "do", "title", "show", "pause", "see", "expect")


def read_step(source: Source, where: Where, table: dict[str, Any], *, bundled: bool = True) -> Step:
    """Read one step; a step with problems comes back as far as it could be read.

    Args:
        bundled: whether it is meant for the bundled shop, whose names it must then use.
    """
    step_id = source.text(where, table, "id", TITLE_LONGEST)
    if step_id and not SLUG.fullmatch(step_id):
        source.wrong((*where, "id"), f"'{step_id}' cannot be an id", "write small letters, digits and hyphens")
    do = source.text(where, table, "do", TITLE_LONGEST)
    kind = KINDS.get(do)
    if kind is None:
        if do:
            fix = f"write one of: {', '.join(KINDS)}{nearest(do, KINDS)}"
            source.wrong((*where, "do"), f"unknown step kind '{do}'", fix)
        return Step(step_id, do, "", MappingProxyType({}), MappingProxyType({}), ())
    source.known(where, table, dict.fromkeys((*_STEP_KEYS, *kind.options)))
    problems = source.count
    titled = kind.options.get("title")
    title = source.text(where, table, "title", TITLE_LONGEST, required=titled is not None and titled.required)
    options, expect = _options(source, where, table, kind), _expect(source, where, table, kind)
    typed = source.count == problems
    show = _show(source, where, table, kind)
    pause, see = _pause(source, where, table, show), _see(source, where, table, show)
    step = Step(step_id, do, title, options, expect, show, pause, see)
    if typed:  # of values of the wrong type there is nothing more to say
        check_sense(source, where, table, step, kind)
        if bundled:
            check_names(source, where, step, kind)
    return step


def _options(source: Source, where: Where, table: dict[str, Any], kind: Kind) -> Mapping[str, Any]:
    options = {name: option.default for name, option in kind.options.items() if option.default is not None}
    for name, option in kind.options.items():
        place = (*where, name)
        if name == "title":  # every step may have one, and it is checked there
            options |= {"title": table["title"]} if isinstance(table.get("title"), str) else {}
        elif name not in table:
            if option.required:
                source.wrong(where, f"the option '{name}' is missing", f"write {name} = {type_name(option.type)}")
        elif not fits(value := table[name], option.type):
            source.wrong(place, f"'{name}' is {value!r}", f"write {type_name(option.type)}")
        else:
            if option.required and value in ("", []):
                source.wrong(place, f"'{name}' is empty", "write it out")
            elif option.type is int and value < 0:
                source.wrong(place, f"'{name}' is {value}", "write zero or more")
            elif option.choices and value not in option.choices:
                do = f"write one of: {', '.join(option.choices)}{nearest(value, option.choices)}"
                source.wrong(place, f"'{name}' is '{value}'", do)
            options[name] = MappingProxyType(value) if isinstance(value, dict) else value
    return MappingProxyType(options)


def _expect(source: Source, where: Where, table: dict[str, Any], kind: Kind) -> Mapping[str, Any]:
    expect = table.get("expect", {})
    place = (*where, "expect")
    if not isinstance(expect, dict):
        source.wrong(place, "'expect' is not a table", "write expect = { ... } or a table [steps.expect]")
        return MappingProxyType({})
    if kind.speaks and not expect:
        observed = ", ".join(kind.observes)
        why = "a step that speaks on the wire must be able to fail"
        source.wrong(
            where, f"a '{kind.name}' step without an expectation", f"write expect = {{ ... }} of: {observed}", why
        )
    for key, value in expect.items():
        name = key if key in kind.observes else base_key(key)
        wanted = kind.observes.get(name)
        if wanted is None:
            known = ", ".join(kind.observes) or "nothing, so leave expect out"
            do_instead = f"expect some of: {known}{nearest(key, kind.observes)}"
            source.wrong((*place, key), f"a '{kind.name}' step cannot observe '{key}'", do_instead)
        elif name != key and wanted is not (list if key.endswith("_has") else int):
            do_instead = f"write {name} = {type_name(wanted)}; _has is for lists, _min and _max are for numbers"
            source.wrong((*place, key), f"'{name}' cannot be matched by '{key}'", do_instead)
        elif not (fits(value, wanted) or (key.endswith("_has") and isinstance(value, str))):
            source.wrong((*place, key), f"'{key}' expects {value!r}", f"write {type_name(wanted)}")
        elif key.endswith("_has") and not value:
            source.wrong((*place, key), f"'{key}' expects nothing", "name what the list must contain")
    return MappingProxyType(expect)


def _show(source: Source, where: Where, table: dict[str, Any], kind: Kind) -> tuple[str, ...]:
    if "show" not in table:
        return kind.shows[:1]
    show = source.texts(where, table, "show")
    for panel in show:
        if panel not in kind.shows:
            fix = f"show some of: {', '.join(kind.shows)}{nearest(panel, kind.shows)}"
            source.wrong((*where, "show"), f"a '{kind.name}' step has no panel '{panel}'", fix)
    return show


def _pause(source: Source, where: Where, table: dict[str, Any], show: tuple[str, ...]) -> tuple[str, ...]:
    """The panels after which the room stops to look: `true` means the last one."""
    given, place = table.get("pause", False), (*where, "pause")
    if given is False:
        return ()
    if not show:
        source.wrong(place, "'pause' in a step that shows nothing", "show a panel, or take pause out")
        return ()
    if given is True:
        return show[-1:]
    if not isinstance(given, list) or not given:
        source.wrong(place, f"'pause' is {given!r}", 'write true, or the panels after which to stop, e.g. ["order"]')
        return ()
    for panel in given:
        if panel not in show:
            fix = f"pause after some of: {', '.join(show)}{nearest(str(panel), show)}"
            source.wrong(place, f"this step does not show the panel {panel!r}", fix)
    return tuple(panel for panel in given if panel in show)


def _see(source: Source, where: Where, table: dict[str, Any], show: tuple[str, ...]) -> tuple[str, ...]:
    """What must be readable on the step's panels."""
    see, place = source.texts(where, table, "see"), (*where, "see")
    if see and not show:
        source.wrong(place, "'see' in a step that shows nothing", "show a panel, or take see out")
        return ()
    if not all(text.strip() for text in see):
        source.wrong(place, "'see' has an empty text", "write out what must be read on the panel")
    return see
