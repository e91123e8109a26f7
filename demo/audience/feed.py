"""The performance as the room sees it: read from its recording, line by line, and kept as what is on the screen now.

The presenter's own pages are left out: the code and the address by which the human on stage approves, and the wire.
Nothing here waits for the performance, and the performance knows nothing of this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

from deputize.evidence import Money
from talk.recording.finding import runs
from talk.recording.reader import Event, Tail

PRIVATE: Final = frozenset({"device", "browser", "exchange", "notes"})
"""Panels that are for the presenter: by the first two somebody else could answer in the human's place."""
TRIED: Final = {
    "listMcpShopInventory": "look at the shop",
    "buyMcpShopItem": "buy a shirt",
    "listMcpShopOrders": "look at the orders",
    "getUserInfo": "read the human's profile",
    "setDemoMode": "switch the demo's mode",
    "prettyPlease": "ask nicely",
}
"""The shop's tools, as the chain's action."""
MOST_PANELS: Final = 16
"""Of one beat; the oldest go first."""
LOOK_SECONDS: Final = 1.0
"""Between two looks for a newer recording."""
Curtain = Literal["before", "open", "blank", "after"]


@dataclass(frozen=True)
class Link:
    """A delegation chain as it is drawn: each link is empty until it is known. `verdict` is of the action."""

    human: str = ""
    agent: str = ""
    action: str = ""
    verdict: Literal["", "asked", "allowed", "refused", "revoked"] = ""
    words: str = ""
    """What the verdict is of, in a few words."""


@dataclass(frozen=True)
class Room:
    """What the room sees. `panels` are the recording's events; they are drawn by `page`."""

    curtain: Curtain = "before"
    beat: str = ""
    number: int = 0
    of: int = 0
    recorded: bool = False
    speaker: str = ""
    panels: tuple[Event, ...] = ()
    chain: Link = field(default_factory=Link)
    closing: str = ""
    acted: bool = False
    """Whether the step under way has shown what was done."""


class Feed:
    """Follows the newest recording of a state folder.

    Args:
        state: the presenter's state folder; only its recordings are read.
    """

    def __init__(self, state: Path) -> None:
        self._state = state
        self._tail: Tail | None = None
        self._looked = float("-inf")
        self.room = Room()

    def news(self, now: float) -> list[Room]:
        """The room after each event that was added since the last time; blocking.

        Args:
            now: seconds of a clock that nobody sets.
        """
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            newest = next(iter(runs(self._state)), None)
            if newest is not None and (self._tail is None or self._tail.path != newest):
                self._tail, self.room = Tail(newest), Room()
        found = []
        for event in self._tail.new() if self._tail is not None else ():
            after = step(self.room, event)
            if after != self.room:
                self.room = after
                found.append(after)
        return found


def step(room: Room, event: Event) -> Room:
    """The room after an event; what is no event of ours, or not as it should be, changes nothing."""
    try:
        return _STEPS[event.name](room, event) if event.name in _STEPS else room
    except (KeyError, TypeError, ValueError, AttributeError):
        return room


def _beat(room: Room, event: Event) -> Room:
    header: Mapping[str, Any] = event["header"]
    return replace(
        room,
        curtain="open",
        beat=str(header["title"]),
        number=int(header.get("number") or 0),
        of=int(header.get("of") or 0),
        speaker=str(header.get("speaker") or ""),
        recorded=bool(event.get("recorded")),
        panels=(),
        closing="",
        chain=replace(room.chain, action="", verdict="", words=""),
    )


def _panel(room: Room, event: Event) -> Room:
    name, given = str(event["name"]), event["with"]
    first = next(iter(given.values()), None)
    chain = room.chain
    if isinstance(first, Mapping) and name == "chain":
        agent = first["client"] if str(first["agent"]).startswith("agent_") else first["agent"]
        action = str(first.get("action") or "")
        chain = replace(chain, human=str(first["human"]), agent=str(agent), action=action or chain.action)
    elif isinstance(first, Mapping) and name == "decision" and first.get("tool"):
        chain = replace(chain, action=TRIED.get(str(first["tool"]), "a call"))
    elif isinstance(first, Mapping) and name == "order":
        price = Money(int(first["price"]["amount"]), str(first["price"]["currency"]))
        chain = replace(chain, action=f"bought {first['item']} for {price}", verdict="allowed", words="allowed")
    elif name == "revocation":
        chain = replace(chain, verdict="revoked", words="authority revoked")
    acted = room.acted or chain != room.chain
    if name in PRIVATE:
        return replace(room, chain=chain, acted=acted)
    return replace(room, panels=(*room.panels, event)[-MOST_PANELS:], chain=chain, acted=acted)


def _consent(room: Room, event: Event) -> Room:
    state = event["state"]
    human, agent = str(event.get("human") or room.chain.human), str(event.get("agent") or room.chain.agent)
    amount = f", up to {event['amount']}" if event.get("amount") else ""
    words, verdict = {
        "asked": (f"the agent asks{amount}", "asked"),
        "yes": (f"the human said yes{amount}", "allowed"),
        "no": ("the human said no", "refused"),
        "unanswered": ("nobody answered", "refused"),
        "other": ("another account said yes", "refused"),
    }[state]
    return replace(room, chain=Link(human, agent, "", verdict, words))  # type: ignore[arg-type]  # one of its words


def _result(room: Room, event: Event) -> Room:
    verdict, rule = event.get("verdict"), str(event.get("rule") or "")
    if verdict not in ("allow", "deny"):
        return room
    human = room.chain.human or str(event.get("username") or "")
    refused = verdict == "deny"
    action = room.chain.action if room.acted else "a call"  # what was done before is not what this is about
    words = f"refused: {rule}" if refused else "allowed"
    chain = Link(human, room.chain.agent, action, "refused" if refused else "allowed", words)
    return replace(room, chain=chain)


def _stage(room: Room, event: Event) -> Room:
    curtain = {"open": "open", "blank": "blank", "shown": "open", "closed": "after"}.get(str(event["state"]))
    return room if curtain is None else replace(room, curtain=curtain)  # type: ignore[arg-type]  # one of its words


_STEPS: Final = {
    "beat": _beat,
    "step": lambda room, event: replace(room, acted=False),
    "panel": _panel,
    "consent": _consent,
    "result": _result,
    "closing": lambda room, event: replace(room, closing=str(event["text"])),
    "stage": _stage,
}
