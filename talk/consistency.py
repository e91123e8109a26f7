"""Whether a step makes sense: names that the bundled shop knows, and options that do not contradict one another."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from talk.lines import Where
from talk.reading import Source, nearest
from talk.steps import base_key
from talk.vocabulary import ACCOUNTS, EXPECTED, LISTS, SCOPES, STATUSES, TOOLS, VALUES

ELSEWHERE = 'a beat for another server says server = "other" at its top'
WHY = "the two contradict each other"
REFUSED = (401, 403, 429, 503)
"""Statuses with which a gate refuses."""


def check_names(source: Source, where: Where, options: Mapping[str, Any], expect: Mapping[str, Any], do: str) -> None:
    """Note every tool, argument, scope, account and expected value that the bundled shop does not know."""

    def known(place: Where, what: str, value: object, values: Collection[object]) -> None:
        if value not in values:
            names = [str(one) for one in values]
            mend = f"write one of: {', '.join(names)}{nearest(str(value), names)}"
            source.wrong(place, f"the bundled shop knows no {what} '{value}'", mend, ELSEWHERE)

    tool = options.get("tool")
    if tool is not None:
        known((*where, "tool"), "tool", tool, tuple(TOOLS))
    for option in ("args", "but"):
        for name, value in options.get(option, {}).items():
            if tool in TOOLS and name not in TOOLS[str(tool)]:
                takes = TOOLS[str(tool)]
                some = f"write some of: {', '.join(takes)}{nearest(name, takes)}"
                mend = some if takes else f"leave {option} out"
                what = f"the tool {tool} takes no argument '{name}'"
                source.wrong((*where, option, name), what, mend, ELSEWHERE)
            elif name in VALUES:
                known((*where, option, name), name, value, VALUES[name])
    if do == "login":
        known((*where, "account"), "account", options["account"], ACCOUNTS)
        for scope in options.get("scopes", ()):
            known((*where, "scopes"), "scope", scope, SCOPES)
    for key, wanted in expect.items():
        place, name = (*where, "expect", key), base_key(key)
        for what, values in EXPECTED.get(name, {}).items():
            # A challenge may name several scopes (RFC 6750 section 3).
            for value in wanted.split() if isinstance(wanted, str) and name == "scope" else [wanted]:
                if isinstance(value, str):
                    known(place, what, value, values)
        # Of a list of tools `scopes` says which tool needs which; what an agent may do by WorkOS are permissions.
        if do in ("login", "whoami") or name == "names":
            for what, values in LISTS.get(name, {}).items():
                for value in wanted if isinstance(wanted, list) else [wanted]:
                    known(place, what, value, values)
        if name == "human" and isinstance(wanted, str) and "@" in wanted:
            known(place, "account", wanted, ACCOUNTS)


def check_sense(
    source: Source, where: Where, given: Mapping[str, Any], options: Mapping[str, Any], expect: Mapping[str, Any]
) -> None:
    """Note what no server could fulfil: options that contradict one another, statuses and links that are none.

    Args:
        given: the options as the beat has them, without defaults.
        options: with them.
    """
    do, who, door = given.get("do"), options.get("who"), options.get("door")
    anonymous = door == "open" or who == "nobody"

    def contradicts(key: str, what: str, mend: str) -> None:
        source.wrong((*where, key), what, mend, WHY)

    def is_expected(key: str, what: str, mend: str) -> None:
        source.wrong((*where, "expect", key), what, mend, WHY)

    if door == "open" and "who" in given and who != "nobody":
        contradicts("who", f"who = '{who}' at the open door, where nobody is asked", 'write who = "nobody"')
    if options.get("token", "stored") != "stored" and anonymous:
        at = "at the open door" if door == "open" else "with who = 'nobody'"
        contradicts("token", f"token = '{options['token']}' {at}: no token goes along", "leave one of the two out")
    if "but" in given and "same_as" not in given:
        contradicts("but", "but without same_as", "name the purchase that it departs from, or write args")
    if do == "login" and who in ("nobody", "console"):
        contradicts("who", f"a login of '{who}': no human deputizes it", "leave who out, or name an agent")
    if do == "whoami" and who == "nobody":
        contradicts("who", "whoami of 'nobody', who has no token", "leave who out, or name an agent")
    if do == "burst" and "shares" in given and given.get("shares") == given.get("spares"):
        contradicts("spares", f"'{given['spares']}' both shares the limit and is spared", "name two of them")
    if do == "validate" and "before" in expect and not options.get("revoke"):
        is_expected(
            "before", "before without revoke = true: there is no before", "write revoke = true, or leave it out"
        )
    refused = options.get("decide") == "deny" or expect.get("granted") is False
    if do == "login" and refused:
        for key in expect:
            if key not in ("granted", "error") or (key == "granted" and expect[key] is True):
                why = "the human says no" if options.get("decide") == "deny" else "nothing is granted"
                is_expected(key, f"'{key}' is expected of a login in which {why}", "leave one of the two out")
    elif do == "login" and expect.get("granted") is True and "error" in expect:
        is_expected("error", "an error is expected of a login that is granted", "leave one of the two out")
    _check_expected(is_expected, options, expect, anonymous=anonymous)
    for key, wanted in expect.items():
        if key in ("status", "refused") and wanted not in STATUSES:
            source.wrong((*where, "expect", key), f"{key} is {wanted!r}", "write an HTTP status, e.g. 200 or 401")
    if isinstance(url := options.get("url"), str) and url:
        _check_link(source, (*where, "url"), url)


def _check_expected(
    is_expected: Callable[[str, str, str], None],
    options: Mapping[str, Any],
    expect: Mapping[str, Any],
    *,
    anonymous: bool,
) -> None:
    status, verdict, rule = expect.get("status"), expect.get("verdict"), expect.get("rule")
    if verdict == "allow" and status in REFUSED:
        is_expected("verdict", f"verdict = 'allow' with status {status}, by which a gate refuses", "change one of them")
    if isinstance(rule, str) and "." in rule and (gate := expect.get("gate")) is not None:
        spoke = "door" if rule.startswith("open.") else rule.partition(".")[0]
        if gate != spoke:
            is_expected("gate", f"gate = '{gate}' with the rule '{rule}'", f"write gate = '{spoke}', or another rule")
    if rule in ("allowed", "open.anonymous") and verdict == "deny":
        is_expected("rule", f"rule = '{rule}' with verdict = 'deny'", "change one of them")
    if isinstance(rule, str) and "." in rule and rule != "open.anonymous" and verdict == "allow":
        is_expected("rule", f"rule = '{rule}', which refuses, with verdict = 'allow'", "change one of them")
    if expect.get("attributed") is True and anonymous:
        is_expected(
            "attributed", "attributed = true where nobody says who they are", "write false, or let somebody call"
        )
    if expect.get("order") is True and verdict == "deny":
        is_expected("order", "order = true with verdict = 'deny'", "change one of them")
    if "error" in expect and status == 200 and "who" in options:
        is_expected("error", "an error of a challenge with status 200", "leave one of the two out")
    for key, least in expect.items():
        most = expect.get(f"{base_key(key)}_max") if key.endswith("_min") else None
        if isinstance(most, int) and isinstance(least, int) and least > most:
            is_expected(key, f"{key} is {least}, and {base_key(key)}_max is {most}", "change one of them")


def _check_link(source: Source, place: Where, url: str) -> None:
    """A link goes on screen and into a QR code that people scan: nothing but a web address."""
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("https", "http") and bool(parts.hostname) and url.isprintable() and " " not in url
    except ValueError:
        fine = False
    if not fine:
        source.wrong(place, f"'url' is {url!r}, which is no web address", 'write url = "https://..."')
