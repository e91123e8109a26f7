"""A remote control: what a presenter's second screen asks of the stage, in a file that one writes and the other reads.

One JSON object a line: `{"at": POSIX seconds, "do": "next", "beat": "banned"}`. The file is in the state folder, which
is its user's alone (`deputize.private`): who may write there is the presenter. Nobody waits for the other side.

| do | what the stage does |
|---|---|
| next | what the clicker's forward key does: go on after a pause, or play the next beat |
| back | play the beat before this one |
| again | play this beat again |
| skip | leave out what is left of the beat that is playing; between two beats, the next one |
| goto | play `beat` |
| blank | blank the screen; show it again where it is blank |
| hold, resume | stop the talk's clock for questions, and let it run on |
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from deputize import private

Do = Literal["next", "back", "again", "skip", "goto", "blank", "hold", "resume"]

FILE: Final = "remote.jsonl"
STALE_SECONDS: Final = 5.0
"""What was asked longer ago than this is not done any more: the presenter has seen that nothing came of it."""
LARGEST: Final = 256 * 1024
"""Bytes after which the file starts again; a talk takes some hundred lines."""


@dataclass(frozen=True)
class Command:
    """One thing that was asked for, at POSIX seconds; `beat` is the id of the beat to go to."""

    at: float
    do: Do
    beat: str | None = None


def send(state: Path, do: Do, beat: str | None = None) -> None:
    """Ask the stage for something.

    Raises:
        EnvironmentNotReady: the state folder cannot be used.
        OSError: the file cannot be written.
    """
    file = private.folder(state) / FILE
    asked: dict[str, object] = {"at": round(time.time(), 3), "do": do}
    line = json.dumps(asked | ({"beat": beat} if beat is not None else {})).encode() + b"\n"
    # Appended in one write: two second screens never mix their lines.
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        if os.fstat(descriptor).st_size > LARGEST:
            os.ftruncate(descriptor, 0)
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


class RemoteControl:
    """Reads what is asked from now on: what stands in the file already was asked of somebody else.

    Args:
        state: the state folder; the file need not be there yet.
        earlier: what stands there already is read, too, however old.
    """

    def __init__(self, state: Path, *, earlier: bool = False) -> None:
        self._file = state / FILE
        self._earlier = earlier
        self._rest = b""
        self._at = 0 if earlier else self._size()

    def new(self) -> list[Command]:
        """What was asked since the last time, oldest first, without what is stale. Never raises: a stage goes on
        without it."""
        if (size := self._size()) == self._at:
            return []
        if size < self._at:  # started again
            self._at, self._rest = 0, b""
        try:
            with self._file.open("rb") as opened:
                opened.seek(self._at)
                read = opened.read(2 * LARGEST)
        except OSError:
            return []
        self._at += len(read)
        *lines, self._rest = (self._rest + read).split(b"\n")
        oldest = 0.0 if self._earlier else time.time() - STALE_SECONDS
        return [found for line in lines if (found := _command(line)) is not None and found.at >= oldest]

    def _size(self) -> int:
        try:
            return self._file.stat().st_size
        except OSError:
            return 0


def _command(line: bytes) -> Command | None:
    """What a line asks for; None where it is none."""
    try:
        asked = json.loads(line)
        at, do, beat = float(asked["at"]), asked["do"], asked.get("beat")
    except (ValueError, OverflowError, RecursionError, TypeError, KeyError, AttributeError):
        return None
    if do not in get_args(Do) or not (beat is None or isinstance(beat, str)) or (do == "goto") != (beat is not None):
        return None
    return Command(at, do, beat)
