"""A kind of step: its options, what can be observed of it, how it is played, when a server cannot do it.

Plain data and functions: the loader (`talk.script`) checks a beat's steps against it, the runner (`talk.runner`) plays
them. `talk.playing.KINDS` finds a kind by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from talk.cast import Cast
    from talk.playing.other_server import OtherServer
    from talk.playing.scene import Played, Scene

PURCHASE = "buyMcpShopItem"
"""The one tool whose calls carry an idempotency key, and so the only one that `same_as` may repeat."""

NO_TABLE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Step:
    """One step of a beat. `options` are its kind's, with the defaults filled in; `pause` names the panels of `show`
    after which the room stops to look; `see` what must be readable on its panels at the design size."""

    id: str
    do: str
    title: str
    options: Mapping[str, Any]
    expect: Mapping[str, Any]
    show: tuple[str, ...]
    pause: tuple[str, ...] = ()
    see: tuple[str, ...] = ()


@dataclass(frozen=True)
class Option:
    """One option of a kind of step.

    `type` is the Python type of its TOML value. Without a `default` it is absent where a beat does not say; of
    `choices`, where there are any, no other value is allowed.
    """

    type: type = str
    required: bool = False
    default: Any = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contradiction:
    """What no server could fulfil in a step: where in its table, what it is, and what to write instead."""

    where: tuple[str, ...]
    what: str
    do: str


@dataclass(frozen=True)
class Past:
    """What this run has done before: attempted this very step, and been granted scopes in another one."""

    attempted: bool = False
    granted: bool = False


def _always(step: Step, server: OtherServer, past: Past) -> str | None:
    return None


def _none(given: Mapping[str, Any], step: Step) -> Iterator[Contradiction]:
    return iter(())


@dataclass(frozen=True)
class Kind:
    """One kind of step.

    Args:
        name: what a beat's `do` calls it.
        about: one or two sentences for the author of a beat.
        play: plays a step.
        observes: what `expect` may speak of, with the Python type of each value.
        shows: its panels, in their usual order; a step that does not say shows the first.
        names: options and observables whose values the bundled shop must know, and as what.
        why_not: the reason why another server than the bundled one cannot do this step, None where it can. Only what is
            not there is a reason; what is there and behaves otherwise than expected makes the step red.
        contradictions: options and expectations that no server could fulfil together; `given` are those that the beat
            has written itself, without defaults.
        of_this_folder: whether only a server that was started from this state folder can do it.
        draws_itself: whether it shows its panels while it is played, so that none is missing afterwards.
        holds: panels that it leaves on the screen for a while: somebody answers, or a wait counts down.
        ahead: called after each beat of a performance, with whether a beat with such a step is near: makes ready in the
            background what it would wait for, and ends that when it is past. Shows nothing, and returns soon.
    """

    name: str
    about: str
    play: Callable[[Step, Scene], Played]
    options: Mapping[str, Option] = field(default_factory=dict)
    observes: Mapping[str, type] = field(default_factory=dict)
    shows: tuple[str, ...] = ()
    names: Mapping[str, Literal["tool", "account", "scope"]] = field(default_factory=dict)
    why_not: Callable[[Step, OtherServer, Past], str | None] = _always
    contradictions: Callable[[Mapping[str, Any], Step], Iterator[Contradiction]] = _none
    of_this_folder: bool = False
    draws_itself: bool = False
    holds: tuple[str, ...] = ()
    ahead: Callable[[Cast, bool], None] | None = None

    @property
    def speaks(self) -> bool:
        """Whether it speaks to a server, and so must say what it expects."""
        return bool(self.observes)


DOOR = Option(default="protected", choices=("protected", "open"))
SUB_AGENTS = ("scout", "buyer")
"""Who has only what an agent has handed on (`hand-on`)."""
SAMPLES = ("twin", "mallory", "grace", *SUB_AGENTS)
"""Who acts by the word of a sample human alone: a second session of the talk's agent (same human, same software, so the
same agent), the agent of a human who is not on the allowlist, that of another human who is, and sub-agents."""
WHO = Option(default="agent", choices=("agent", "nobody", "console", *SAMPLES))
"""Who calls: the talk's agent, nobody (no token), the human's console, or one of `SAMPLES`."""
AGENTS = Option(default="agent", choices=("agent", *SAMPLES))
TOOL = Option(required=True)

MATCHERS = ("_has", "_min", "_max")
"""Suffixes of an `expect` key: the observed list contains; the observed number is at least, or at most."""


def base_key(key: str) -> str:
    """The observable that an `expect` key speaks of: `names_has` speaks of `names`."""
    return next((key[: -len(suffix)] for suffix in MATCHERS if key.endswith(suffix)), key)


def holds(key: str, wanted: Any, observed: Mapping[str, Any]) -> bool:
    """Whether one expectation holds. A missing observation holds nothing, whatever was wanted."""
    name = base_key(key)
    if name not in observed:
        return False
    seen = observed[name]
    if key.endswith("_has"):
        items = wanted if isinstance(wanted, list) else [wanted]
        return isinstance(seen, list) and all(item in seen for item in items)
    if key.endswith("_min"):
        return isinstance(seen, int | float) and seen >= wanted
    if key.endswith("_max"):
        return isinstance(seen, int | float) and seen <= wanted
    return type(seen) is type(wanted) and bool(seen == wanted)
