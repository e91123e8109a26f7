"""The second screen in a terminal: the whole of it, redrawn when something changed, and keys that lead the stage."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from demo.presenter.layout import Hand, picked, screen
from demo.presenter.view import View

if TYPE_CHECKING:
    from rich.console import Console

    from demo.presenter.desk import Desk
    from talk.recording.remote import Do
    from talk.stage.keys import Key

LOOK_SECONDS: Final = 0.1
NOTICE_SECONDS: Final = 3.0
TURNS: Final[Mapping[str, Do]] = MappingProxyType({" ": "next", "b": "back", "r": "again", "s": "skip", ".": "blank"})
ROWS: Final[Mapping[str, int]] = MappingProxyType({"[A": -1, "OA": -1, "[B": 1, "OB": 1, "k": -1, "j": 1})
ERASE: Final = frozenset({"\x7f", "\x08"})


def pressed(key: Key, hand: Hand, shown: View, desk: Desk) -> Hand:
    """What one key does. A paste, and a key that means nothing here, do nothing."""
    if hand.picking is not None:
        return _pick(key, hand, shown, desk)
    hand = replace(hand, notice="")
    if key.kind == "paste":
        return hand
    if key.goes_on:
        return _sent(hand, desk, "next", shown)
    if key.goes_back:
        return _sent(hand, desk, "back", shown)
    if (by := ROWS.get(key.text or key.sequence)) is not None:
        return replace(hand, scroll=max(0, hand.scroll + by))
    letter = key.text.lower()
    if letter == "g":
        return replace(hand, picking="", at=0)
    if letter == "q":
        return replace(hand, leaving=True)
    if letter == "h":
        return _sent(hand, desk, "resume" if shown.held else "hold", shown)
    if (do := TURNS.get(letter)) is not None:
        return _sent(hand, desk, do, shown)
    return hand


def _pick(key: Key, hand: Hand, shown: View, desk: Desk) -> Hand:
    typed = hand.picking or ""
    found = picked(shown, typed)
    if (by := ROWS.get(key.sequence)) is not None:
        return replace(hand, at=max(0, min(len(found) - 1, hand.at + by)))
    if key.kind == "enter":
        done = replace(hand, picking=None, at=0)
        return _sent(done, desk, "goto", shown, found[hand.at].id) if hand.at < len(found) else done
    if key.kind == "text" and (key.text.isalnum() or key.text in "-_"):
        if key.text == "q" and not typed:
            return replace(hand, picking=None, at=0)
        return replace(hand, picking=(typed + key.text)[:40], at=0)
    if key.sequence in ERASE:
        return replace(hand, picking=typed[:-1], at=0) if typed else replace(hand, picking=None, at=0)
    return hand


def _sent(hand: Hand, desk: Desk, do: Do, shown: View, beat: str | None = None) -> Hand:
    if shown.detached and do not in ("hold", "resume"):
        return replace(hand, notice=shown.detached)
    what = {"next": "next", "back": "back", "again": "once more", "blank": "blank"}.get(do, do)
    if do == "skip":
        what = f"skip {shown.skips}"
    trouble = desk.send(do, beat)
    return replace(
        hand, scroll=0 if do in ("next", "back", "goto") else hand.scroll, notice=trouble or f"asked: {what}"
    )


def follow(desk: Desk, console: Console) -> None:
    """Show the second screen until the presenter leaves it, or the terminal is gone. Needs a terminal."""
    import contextlib

    from rich.control import Control

    from demo.panels import theme
    from talk.stage.keys import listening

    hand, last, drawn = Hand(), View(), None
    said_at = 0.0
    with contextlib.suppress(EOFError), console.screen(style=theme.base() or None) as whole, listening() as keys:
        while not hand.leaving:
            shown = desk.view()
            if shown.current != last.current:
                hand = replace(hand, scroll=0)
            last = shown
            now = (shown, hand, console.size)
            if now != drawn:
                drawn = now
                with console:  # one write: from the top, or each second of the clock would scroll the screen away
                    console.control(Control.home())
                    whole.update(screen(shown, hand, console.height))
            for key in keys.pressed(LOOK_SECONDS):
                hand = pressed(key, hand, shown, desk)
                said_at = time.monotonic()
            if hand.notice and time.monotonic() - said_at > NOTICE_SECONDS:
                hand = replace(hand, notice="")
