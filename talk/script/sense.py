"""Whether a step makes sense: names that the bundled shop knows, and options that do not contradict one another."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from talk.playing.kind import Contradiction, Kind, Step, base_key
from talk.script.source import Source, Where, nearest
from talk.script.vocabulary import ACCOUNTS, EXPECTED, NAMES, STATUSES, TOOLS, VALUES

ELSEWHERE = 'a beat for another server says server = "other" at its top'
WHY = "the two contradict each other"
REFUSED = (401, 403, 429, 503)
"""Statuses with which a gate refuses."""


def check_names(source: Source, where: Where, step: Step, kind: Kind) -> None:
    """Note every tool, argument, scope, account and expected value that the bundled shop does not know."""

    def known(place: Where, what: str, value: object, values: Collection[object]) -> None:
        if value not in values:
            names = [str(one) for one in values]
            fix = f"write one of: {', '.join(names)}{nearest(str(value), names)}"
            source.wrong(place, f"the bundled shop knows no {what} '{value}'", fix, ELSEWHERE)

    options, tool = step.options, step.options.get("tool")
    if tool is not None:
        known((*where, "tool"), "tool", tool, tuple(TOOLS))
    for option in ("args", "but"):
        for name, value in options.get(option, {}).items():
            if tool in TOOLS and name not in TOOLS[str(tool)]:
                takes = TOOLS[str(tool)]
                some = f"write some of: {', '.join(takes)}{nearest(name, takes)}"
                what = f"the tool {tool} takes no argument '{name}'"
                source.wrong((*where, option, name), what, some if takes else f"leave {option} out", ELSEWHERE)
            elif name in VALUES:
                known((*where, option, name), name, value, VALUES[name])
    for option, what in kind.names.items():
        for value in _each(options.get(option, [])):
            known((*where, option), what, value, NAMES[what])
    for key, wanted in step.expect.items():
        place, name = (*where, "expect", key), base_key(key)
        for what, values in EXPECTED.get(name, {}).items():
            # A challenge may name several scopes (RFC 6750 section 3).
            for value in wanted.split() if isinstance(wanted, str) and name == "scope" else [wanted]:
                if isinstance(value, str):
                    known(place, what, value, values)
        if (listed := kind.names.get(name)) is not None:
            for value in _each(wanted):
                known(place, listed, value, NAMES[listed])
        if name == "human" and isinstance(wanted, str) and "@" in wanted:
            known(place, "account", wanted, ACCOUNTS)


def _each(value: Any) -> Collection[object]:
    return value if isinstance(value, list | tuple) else [value]


def check_sense(source: Source, where: Where, given: Mapping[str, Any], step: Step, kind: Kind) -> None:
    """Note what no server could fulfil: options that contradict one another, statuses and links that are none.

    Args:
        given: the step's table as the beat has it, without defaults.
    """
    who, door = step.options.get("who"), step.options.get("door")
    if door == "open" and "who" in given and who != "nobody":
        what = f"who = '{who}' at the open door, where nobody is asked"
        source.wrong((*where, "who"), what, 'write who = "nobody"', WHY)
    for one in (*kind.contradictions(given, step), *_of_the_expected(step)):
        source.wrong((*where, *one.where), one.what, one.do, WHY)
    for key, wanted in step.expect.items():
        if key in ("status", "refused") and wanted not in STATUSES:
            source.wrong((*where, "expect", key), f"{key} is {wanted!r}", "write an HTTP status, e.g. 200 or 401")
    if isinstance(url := step.options.get("url"), str) and url:
        _check_link(source, (*where, "url"), url)


def _of_the_expected(step: Step) -> Iterator[Contradiction]:
    """What is expected of one answer, and cannot be together."""
    expect = step.expect
    status, verdict, rule = expect.get("status"), expect.get("verdict"), expect.get("rule")

    anonymous = step.options.get("door") == "open" or step.options.get("who") == "nobody"

    def both(key: str, what: str, do: str = "change one of them") -> Contradiction:
        return Contradiction(("expect", key), what, do)

    if verdict == "allow" and status in REFUSED:
        yield both("verdict", f"verdict = 'allow' with status {status}, by which a gate refuses")
    if isinstance(rule, str) and "." in rule and (gate := expect.get("gate")) is not None:
        spoke = "door" if rule.startswith("open.") else rule.partition(".")[0]
        if gate != spoke:
            yield both("gate", f"gate = '{gate}' with the rule '{rule}'", f"write gate = '{spoke}', or another rule")
    if rule in ("allowed", "open.anonymous") and verdict == "deny":
        yield both("rule", f"rule = '{rule}' with verdict = 'deny'")
    if isinstance(rule, str) and "." in rule and rule != "open.anonymous" and verdict == "allow":
        yield both("rule", f"rule = '{rule}', which refuses, with verdict = 'allow'")
    if expect.get("attributed") is True and anonymous:
        what = "attributed = true where nobody says who they are"
        yield both("attributed", what, "write false, or let somebody call")
    if expect.get("order") is True and verdict == "deny":
        yield both("order", "order = true with verdict = 'deny'")
    if "error" in expect and status == 200 and "who" in step.options:
        yield both("error", "an error of a challenge with status 200", "leave one of the two out")
    for key, least in expect.items():
        most = expect.get(f"{base_key(key)}_max") if key.endswith("_min") else None
        if isinstance(most, int) and isinstance(least, int) and least > most:
            yield both(key, f"{key} is {least}, and {base_key(key)}_max is {most}")


def _check_link(source: Source, place: Where, url: str) -> None:
    """A link goes on screen and into a QR code that people scan: nothing but a web address."""
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("https", "http") and bool(parts.hostname) and url.isprintable() and " " not in url
    except ValueError:
        fine = False
    if not fine:
        source.wrong(place, f"'url' is {url!r}, which is no web address", 'write url = "https://..."')
