"""Keys from the presenter's terminal, without ever blocking: each escape sequence is one key, a paste is no key at all.

The sequences are read by their grammar (ECMA-48, 5.4 and 8.3; xterm's "Control Sequences"), not from a list of known
ones. blessed 1.52 and prompt_toolkit 3.0.53 were tried instead: a sequence that is not in their list (a mouse report,
an answer of the terminal) comes out of both in pieces, and its letters would then answer a consent.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

ESCAPE = "\x1b"
_C1 = {"\x9b": "[", "\x8f": "O", "\x9d": "]", "\x90": "P", "\x98": "X", "\x9e": "^", "\x9f": "_"}
"""Introducers of one character (ECMA-48, 5.3), and the letter that follows ESC in their form of two."""
_STRINGS = "]PX^_"
_STRING_END = re.compile(r"[\x07\x18\x1a\x9c]|\x1b\\|\x1b(?=[^\\])")
_PARAMETERS = re.compile(r"[0-?]*[ -/]*")
_PASTE, _PASTE_END = "200~", "\x1b[201~"
_BOUND: dict[str, Literal["enter", "forward"]] = {
    "[6~": "forward",  # PageDown: what a clicker sends
    "[C": "forward",  # Right
    "OC": "forward",  # Right, in application mode
    "OM": "enter",  # Enter of the keypad, in application mode
}
_BACK = frozenset({"[5~", "[D", "OD"})
"""PageUp and Left: what a clicker sends to go back."""
SPLIT_SECONDS = 0.25
"""A lone ESC with nothing behind it for so long is the Escape key, and what comes then is a key of its own."""
PASTED = 3
"""So many characters that arrive at once, not all the same, were not typed."""
_CHUNK, _LONGEST = 4096, 64 * 1024


@dataclass(frozen=True)
class Key:
    """One key.

    `kind`: "text" types the one character of `text`; "enter"; "forward" is PageDown or Right; "paste" is many
    characters at once, in `text` with newlines as `"\\n"`; "other" is any key that means nothing here, and
    `sequence` is what it sent (without ESC), for a screen to which it means something.
    """

    kind: Literal["text", "enter", "forward", "paste", "other"]
    text: str = ""
    sequence: str = field(default="", compare=False)

    @property
    def goes_on(self) -> bool:
        """Whether it is Enter, or what a clicker sends for it."""
        return self.kind in ("enter", "forward")

    @property
    def goes_back(self) -> bool:
        """Whether it is what a clicker sends to go back: PageUp or Left."""
        return self.sequence in _BACK


class Splitter:
    """Splits a terminal's bytes, which may arrive in any pieces, into characters and whole escape sequences."""

    def __init__(self) -> None:
        # A byte that is no UTF-8 is kept apart: it may be an introducer of one byte, of a terminal with 8-bit controls.
        self._bytes = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._held = ""
        self._since = 0.0
        self._told = False

    def feed(self, data: bytes, now: float) -> list[str]:
        """What is complete with `data`, read at `now` (monotonic seconds); data may be empty.

        An ESC that stays alone is the Escape key, and what comes later may go on with it all the same; a paste that the
        terminal marks (bracketed paste) is one sequence.
        """
        text = re.sub(r"[\udc80-\udc9f]", lambda found: chr(ord(found[0]) - 0xDC00), self._bytes.decode(data))
        pieces: list[str] = []
        if self._held and now - self._since > SPLIT_SECONDS:
            goes_on = _continued(self._held, text)
            alone = self._held == ESCAPE and not self._told and not (text and goes_on)
            if alone or (not goes_on and pasted(self._held) is not None):
                pieces.append(self._held)
            self._told = self._held == ESCAPE
            self._held = self._held if goes_on else ""
        if text:
            text, self._held, self._since, self._told = self._held + text, "", now, False
        at = 0
        while at < len(text):
            end = at + 1 if text[at] != ESCAPE and text[at] not in _C1 else _end(text, at)
            if end is None:
                self._held = text[at:]
                break
            pieces.append(text[at:end])
            at = end
        return pieces


class KeyDecoder:
    """Makes keys of a terminal's bytes, which may arrive in any pieces."""

    def __init__(self) -> None:
        self._splitter = Splitter()

    def feed(self, data: bytes, now: float) -> list[Key]:
        """The keys that are complete with `data`, read at `now` (monotonic seconds); data may be empty."""
        return _together([_key(piece) for piece in self._splitter.feed(data, now) if piece != ESCAPE])


def _key(piece: str) -> Key:
    if piece[0] != ESCAPE and piece[0] not in _C1:
        return _plain(piece)
    text = pasted(piece)
    return Key(_BOUND.get(_name(piece), "other"), sequence=_name(piece)) if text is None else Key("paste", text)


def _plain(character: str) -> Key:
    if character in "\r\n":
        return Key("enter")
    return Key("text", character) if character.isprintable() else Key("other", sequence=character)


def _name(sequence: str) -> str:
    """The sequence without its introducer's ESC: `"[C"`, in whichever form it came."""
    return _C1[sequence[0]] + sequence[1:] if sequence[0] in _C1 else sequence[1:]


def seven_bit(piece: str) -> str:
    """A sequence in its form with ESC, whichever it came in; a character as it is."""
    return ESCAPE + _name(piece) if piece[0] in _C1 else piece


def _end(text: str, at: int) -> int | None:
    """Where the sequence that begins at `at` ends; None where its end has not come yet."""
    if text[at] == ESCAPE:
        if at + 1 == len(text):
            return None
        kind, start = text[at + 1], at + 2
        if kind == ESCAPE:
            return at + 1
    else:
        kind, start = _C1[text[at]], at + 1
    if kind == "[":
        return _end_of_control(text, start)
    if kind == "O":  # SS3: one character, in some terminals with a modifier before it
        while start < len(text) and text[start] in "0123456789;":
            start += 1
        return None if start == len(text) else start + ("@" <= text[start] <= "~")
    if kind in _STRINGS:  # what a terminal answers: up to ST or BEL
        found = _STRING_END.search(text, start)
        return found.end() if found and found[0] != ESCAPE else found.start() if found else None
    return start  # Alt with a key


def _end_of_control(text: str, start: int) -> int | None:
    """The end of a control sequence (CSI) whose parameters begin at `start`."""
    if text[start : start + 1] == "M":  # a mouse report as X10 wrote it: three characters more, any at all
        return start + 4 if len(text) >= start + 4 else None
    if text[start : start + 1] == "[":  # a function key of the Linux console: one character more
        return start + 2 if len(text) >= start + 2 else None
    found = _PARAMETERS.match(text, start)
    end = found.end() if found else start
    if text[start : end + 1] == _PASTE:
        closed = text.find(_PASTE_END, end)
        return None if closed < 0 and len(text) - end < _LONGEST else closed + len(_PASTE_END) if closed > 0 else end
    # Anything but a final character breaks the sequence off, and is a key of its own (Enter, above all).
    return None if end == len(text) else end + ("@" <= text[end] <= "~")


def _continued(held: str, text: str) -> bool:
    """Whether a sequence left open is continued, however late: what was not bound must do nothing at any speed."""
    if held == ESCAPE:
        return text[:1] in ("[", "O", "")
    return _name(held)[:1] in ("[", "O") and not _name(held).startswith(("[M", f"[{_PASTE}"))


def pasted(sequence: str) -> str | None:
    """The text that a terminal marked as pasted (bracketed paste), with newlines as `"\\n"`; None for anything else."""
    if sequence[0] not in (ESCAPE, *_C1) or not _name(sequence).startswith(f"[{_PASTE}"):
        return None
    return re.sub(r"\r\n?", "\n", sequence.partition(_PASTE)[2].removesuffix(_PASTE_END))


def _together(keys: list[Key]) -> list[Key]:
    """The keys, with what a terminal pasted without saying so as the paste that it is."""
    typed = [key.text for key in keys if key.kind == "text"]
    if len(typed) < PASTED or len(set(typed)) == 1:
        return keys
    made: list[Key] = []
    for key in keys:
        if key.kind not in ("text", "enter"):
            made.append(key)
        elif made and made[-1].kind == "paste":
            made[-1] = Key("paste", made[-1].text + (key.text or "\n"))
        else:
            made.append(Key("paste", key.text or "\n"))
    return made


class Keys:
    """Reads keys from a terminal that `listening` has put into cbreak mode."""

    def __init__(self) -> None:
        self._decoder = KeyDecoder()

    def pressed(self, seconds: float = 0.0) -> list[Key]:
        """The keys pressed within `seconds`: it returns with the first of them and with what came at once with it.

        Raises:
            EOFError: the terminal has gone.
            KeyboardInterrupt: Ctrl-C, where the platform gives it as a key.
        """
        if sys.platform == "win32":  # pragma: no cover  # the same contract by the platform's own call
            return _windows_keys(seconds)
        import select

        data = b""
        while len(data) < _LONGEST and select.select([sys.stdin], [], [], 0.0 if data else seconds)[0]:
            try:
                read = os.read(sys.stdin.fileno(), _CHUNK)
            except OSError as error:  # Linux says EIO of a terminal that was closed
                raise EOFError from error
            if read == b"":
                raise EOFError
            data += read
        return self._decoder.feed(data, time.monotonic())


def _windows_keys(seconds: float) -> list[Key]:  # pragma: no cover
    import msvcrt

    console: Any = msvcrt
    deadline = time.monotonic() + seconds
    while not console.kbhit():
        if time.monotonic() >= deadline:
            return []
        time.sleep(0.02)
    keys: list[Key] = []
    while console.kbhit() and len(keys) < _LONGEST:
        character = console.getwch()
        if character == "\x03":
            raise KeyboardInterrupt
        if character in "\x00\xe0" and console.kbhit():  # a function key: a code follows
            keys.append(Key("forward" if console.getwch() in "QM" else "other"))
        else:
            keys.append(_plain(character))
    return _together(keys)


@contextlib.contextmanager
def listening() -> Iterator[Keys]:
    """Put the terminal into cbreak mode (keys arrive at once and are not echoed; Ctrl-C still interrupts)."""
    if sys.platform == "win32":  # pragma: no cover
        yield Keys()
        return
    import termios

    with _mode(termios.ICANON | termios.ECHO, leave=termios.TCSADRAIN):
        # A key struck before the question was on the screen is no answer to it.
        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
        yield Keys()


@contextlib.contextmanager
def hushed(wanted: bool) -> Iterator[None]:
    """While it lasts, keys struck in between are not echoed into the picture (Ctrl-C still interrupts)."""
    if not wanted or sys.platform == "win32":
        yield
        return
    import termios

    with _mode(termios.ECHO, leave=termios.TCSAFLUSH):
        yield


@contextlib.contextmanager
def _mode(off: int, *, leave: int) -> Iterator[None]:
    """Switch local modes of the terminal off, and on again at the end; what stops the program comes between (Ctrl-Z,
    `fg`), the shell has set its own mode then, and ours is set again at SIGCONT.

    Args:
        off: flags of `c_lflag` (termios(3)).
        leave: when the mode of before is set: TCSADRAIN, or TCSAFLUSH, which throws away what was typed.
    """
    import termios

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    ours = [*before[:6], list(before[6])]
    ours[0] &= ~termios.IXON  # Ctrl-S would freeze the picture, and the talk with it
    ours[3] &= ~off
    ours[6][termios.VQUIT] = bytes([os.fpathconf(descriptor, "PC_VDISABLE")])  # Ctrl-\ would leave the mode as it is
    ours[6][termios.VMIN], ours[6][termios.VTIME] = 1, 0

    def again(*_: object) -> None:
        if foreground(descriptor):  # else the kernel would stop us for it (SIGTTOU)
            termios.tcsetattr(descriptor, termios.TCSADRAIN, ours)

    main = threading.current_thread() is threading.main_thread()  # no other may set a handler
    old = signal.signal(signal.SIGCONT, again) if main else None
    try:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, ours)
        yield
    finally:
        if main:
            signal.signal(signal.SIGCONT, old or signal.SIG_DFL)
        with contextlib.suppress(termios.error):  # the terminal has gone, and its mode with it
            termios.tcsetattr(descriptor, leave, before)


def foreground(descriptor: int) -> bool:
    """Whether this process may speak to the terminal; one in the background that does is stopped (SIGTTOU, SIGTTIN)."""
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except (OSError, AttributeError):  # not our controlling terminal, or no job control: nobody would stop us
        return True


def interactive() -> bool:
    """Whether a person can see the screen and press keys."""
    try:
        return sys.stdin.isatty() and sys.stdout.isatty() and foreground(sys.stdin.fileno())
    except ValueError:  # closed
        return False
