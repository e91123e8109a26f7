"""What is given to parsers of outside input: values that JSON can carry, good ones changed a little, bytes damaged; and
how long one is tried.

`make test` tries the same examples each time; the long tests try many more, and others each time, but in CI.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

LONG: Final = 25
"""Times as many examples as `make test` has."""

TEXTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "",
            " ",
            "\x00",
            "\ud800",
            "\u202e",
            "e\u0301" * 50,
            "https://[",
            "http://[::1",
            "http://a:99999999/",
            "//x",
            "urn:x",
            "javascript:alert(1)",
            "http://127.0.0.1:1/" + "a" * 3000,
            "shop:buy",
            "-1",
            "1e999",
            "9" * 400,
            "%00%ff%zz",
            "=?;,\"'<>\\",
            "a=b; c",
            "user_alice",
            "demo-agent",
        ]
    ),
)
NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([0, -1, 2**31, 2**63, 2**64, 10**30, 10**400, 1e300, float("inf"), float("nan"), -0.0]),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
JSONS: SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=12,
)


class Deep(bytes):
    """Bytes that a report names and does not print."""

    def __repr__(self) -> str:
        return f"{bytes(self[:6])!r}, and so on for {len(self)} bytes"


DEEP: Final = [Deep(b"[" * 50_000 + b"]" * 50_000), Deep(b'{"a":' * 20_000 + b"1" + b"}" * 20_000)]
"""Nested beyond what any parser bears."""


def _places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way, *(place for name, one in inside for place in _places(one, (*way, name)))]


@st.composite
def changed(draw: Callable[[SearchStrategy[Any]], Any], good: Any) -> Any:
    """A good value with up to three of its parts replaced, removed, or said twice."""
    value = copy.deepcopy(good)
    for _ in range(draw(st.integers(0, 3))):
        way = draw(st.sampled_from(_places(value)))
        if not way:
            if draw(st.integers(0, 9)) == 0:
                return draw(JSONS)
            continue
        *path, last = way
        holder = value
        for step in path:
            holder = holder[step]
        match draw(st.sampled_from(["replace", "replace", "remove", "add", "wrap"])):
            case "replace":
                holder[last] = draw(JSONS)
            case "remove":
                del holder[last]
            case "wrap":
                holder[last] = [holder[last]] * draw(st.integers(1, 3))
            case "add" if isinstance(holder, dict):
                holder[draw(TEXTS)] = draw(JSONS)
    return value


def as_json(value: Any) -> bytes:
    """A value as it goes over the wire; half a surrogate pair as the escape that JSON allows."""
    return json.dumps(value).encode()


@st.composite
def damaged(draw: Callable[[SearchStrategy[Any]], Any], good: bytes) -> bytes:
    """Good bytes of which some were cut out, doubled, or overwritten."""
    data = bytearray(good)
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(0, len(data))))
        to = min(len(data), at + draw(st.integers(0, 12)))
        match draw(st.sampled_from(["cut", "double", "over", "end"])):
            case "cut":
                del data[at:to]
            case "double":
                data[at:at] = data[at:to]
            case "over":
                data[at:to] = draw(st.binary(max_size=12))
            case "end":
                del data[at:]
    return bytes(data)


def documents(good: Any) -> SearchStrategy[bytes]:
    """JSON documents near a good one, and bytes that are none."""
    return st.one_of(
        changed(good).map(as_json),
        damaged(as_json(good)),
        JSONS.map(as_json),
        st.binary(max_size=60),
        st.sampled_from(DEEP),
    )


@dataclass(frozen=True)
class Parser:
    """One parser: what it is given, and what must hold of all of it. Raises AssertionError where it does not."""

    name: str
    inputs: SearchStrategy[Any]
    holds: Callable[[Any], None]
    examples: int = 60

    def __str__(self) -> str:
        return self.name

    def briefly(self) -> None:
        """The same examples each time."""
        self._try(settings(max_examples=self.examples, derandomize=True, database=None))

    def at_length(self) -> None:
        """Others each time, but in CI: what is red there must be so here, too."""
        same = "CI" in os.environ
        self._try(settings(max_examples=LONG * self.examples, derandomize=same, database=None, print_blob=True))

    def _try(self, how: settings) -> None:
        how = settings(how, deadline=None, suppress_health_check=list(HealthCheck))
        how(given(self.inputs)(lambda one: self.holds(one)))()


def only(*documented: type[Exception]) -> Callable[[Callable[[Any], Any]], Callable[[Any], None]]:
    """What a parser may raise: these errors, which it says that it raises, and nothing else."""

    def around(parse: Callable[[Any], Any]) -> Callable[[Any], None]:
        def holds(value: Any) -> None:
            try:
                parse(value)
            except documented:
                return

        return holds

    return around
