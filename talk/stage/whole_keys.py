"""Textual's driver of a terminal, with escape sequences read whole.

Textual 8.2 gives up on a sequence that it does not know, or whose rest comes late, and gives its letters out as keys:
an answer of the terminal (`ESC ] 11 ; rgb: ...`) or a Left arrow over a slow line would then answer a consent. Here
the sequences are split by their grammar (`talk.stage.keys.Splitter`), and Textual's own parser names each.
"""

from __future__ import annotations

import os
import selectors
import time

from textual import events
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from talk.stage.keys import ESCAPE, PASTED, Splitter, pasted, seven_bit

_CHUNK = 4096
_LOOKS = 0.1
"""How often the thread sees whether it shall end, and whether a lone ESC was the Escape key."""


class WholeKeysDriver(LinuxDriver):
    """Reads the terminal for a session."""

    def run_input_thread(self) -> None:
        """Read keys until the session ends or the terminal goes."""
        splitter = Splitter()
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                data = b""
                if selector.select(_LOOKS):
                    try:
                        data = os.read(self.fileno, _CHUNK)
                    except OSError:  # Linux says EIO of a terminal that was closed
                        data = b""
                    if not data:
                        self._app.call_later(self._app.exit)
                        return
                for message in messages(splitter.feed(data, time.monotonic())):
                    self.process_message(message)


def messages(pieces: list[str]) -> list[Message]:
    """What Textual makes of characters and whole sequences that arrived at once; a paste is no key."""
    typed = [piece for piece in pieces if len(piece) == 1 and piece.isprintable()]
    if len(typed) >= PASTED and len(set(typed)) > 1:  # pasted, in a terminal that does not say so
        return [events.Paste("".join(pieces).replace("\r", "\n"))]
    made: list[Message] = []
    for piece in pieces:
        if (text := pasted(piece)) is not None:
            made.append(events.Paste(text))
        elif piece == ESCAPE:
            made.append(events.Key("escape", ESCAPE))
        else:
            # A parser for each: one that does not know the sequence would wait for more of it, or take it to pieces.
            read = list(XTermParser().feed(seven_bit(piece)))
            made += read if len(read) == 1 else []
    return made
