"""Writing a recording: one JSON object a line, each flushed, secrets masked once more.

The events and their fields are in docs/recording.md.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from demo import __version__

if TYPE_CHECKING:
    from demo.panels.page import Page

VERSION = 1
"""Of the format, in the first line of each recording; raised with each change that an older reader would misread."""
FOLDER = "recordings"
"""Where a state folder keeps them."""
KEPT = 20
"""How many recordings of runs a state folder keeps; the oldest goes where another one begins."""
_TOKEN = re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?")
"""A JWT: evidence is masked where it is taken (`deputize.http.redaction`), and this looks once more."""
_PARAMETER = re.compile(r"([?&](?:state|code|token|access_token|id_token)=)[^&\"\\\s]+")
"""What an address of an authorization request carries for two to know (RFC 6749, 4.1): the browser needs it, nobody
else does."""


def file_of(state: Path, run: str) -> Path:
    """Where the recording of a run is kept."""
    return state / FOLDER / f"{run}.jsonl"


class Recording:
    """Appends what is seen on stage to the file of its run. It never fails: where nothing can be written (a full disk),
    it ends, and `trouble` says why.

    Args:
        state: the state folder.
        file: where to write in the place of the run's own file.
    """

    def __init__(self, state: Path, *, file: Path | None = None) -> None:
        self._state, self._file = state, file
        self._open: IO[bytes] | None = None
        self._started_at = 0.0
        self._run: str | None = None
        self.trouble: str | None = None

    def begin(self, run: str, *, plan: str, talk: str | None, server: str, started_at: float) -> None:
        """Begin the recording of a run, or carry on with it.

        Args:
            started_at: POSIX seconds at which the run began: all times are told from there.
        """
        if self._run == run or self.trouble is not None:
            return
        self.close()
        self._run, self._started_at = run, started_at
        file = self._file or file_of(self._state, run)
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._file is None and not file.exists():
                _prune(file.parent)
            self._open = os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "r+b", buffering=0)
            if size := self._open.seek(0, os.SEEK_END):
                self._open.seek(size - 1)
                if self._open.read(1) != b"\n":  # what a crash left half written ends here
                    self._open.write(b"\n")
                return
        except OSError as error:
            self._end(error)
            return
        head = {"recording": VERSION, "run": run, "plan": plan, "talk": talk, "server": server}
        self._write(head | {"started_at": started_at, "program": __version__})

    def add(self, event: str, **fields: Any) -> None:
        """Append one event. `fields` may hold dataclasses."""
        if self._open is not None:
            self._write({"at": round(max(0.0, time.time() - self._started_at), 3), "event": event} | fields)

    def panel(self, name: str, step: str, page: Page | object) -> None:
        """Append a panel: its evidence. What is no panel (it has none) is left out."""
        if (made := getattr(page, "made", None)) is not None:
            self.add("panel", name=made.panel, shown_as=name, step=step, **{"with": made.evidence})

    def close(self) -> None:
        """Close the file; the run's next performance appends to it."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _write(self, line: Mapping[str, Any]) -> None:
        assert self._open is not None
        try:
            made = json.dumps(line, default=_plain, ensure_ascii=False, allow_nan=False)
        except (
            ValueError,
            TypeError,
            RecursionError,
        ):  # nothing that evidence is made of: left out, and the talk goes on
            return
        text = _PARAMETER.sub(r"\1[masked]", _TOKEN.sub("[token masked]", made))
        try:
            self._open.write(text.encode("utf-8", "replace") + b"\n")
        except OSError as error:
            self._end(error)

    def _end(self, error: OSError) -> None:
        self.trouble = error.strerror or str(error)
        try:
            self.close()
        except OSError:
            self._open = None


def _prune(folder: Path) -> None:
    """Make room for one more."""
    with contextlib.suppress(OSError):  # another command may do the same
        kept = sorted(folder.glob("*.jsonl"), key=lambda file: file.stat().st_mtime)
        for file in kept[: max(0, len(kept) - KEPT + 1)]:
            file.unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    """What JSON has no form for."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)
