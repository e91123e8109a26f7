"""Where the presenter's page is served, written down for who leads a phone to it: the room's server, which a network
reaches (`demo.audience`). It knows a port of this machine and neither the page's secret nor anything of the talk."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

from demo.processes import ProcessMark
from deputize import private

FILE: Final = "presenter.json"
PATH: Final = "/presenter"
"""Where the page is at the room's server."""


def write(state: Path, port: int) -> None:
    """Say that this process serves the page at this port of loopback.

    Raises:
        OSError: it cannot be written.
    """
    mark = ProcessMark.of(os.getpid())
    private.write(state / FILE, json.dumps({"port": port} | (mark.written() if mark is not None else {})))


def find(state: Path) -> int | None:
    """The port at which a living process serves the page, or None."""
    if not private.is_ours(state):
        return None
    try:
        written = json.loads((state / FILE).read_text("utf-8"))
        port, mark = int(written["port"]), ProcessMark.read(written)
    except (OSError, ValueError, OverflowError, RecursionError, KeyError, TypeError):
        return None
    return port if mark is not None and mark.lives else None


def forget(state: Path, port: int) -> None:
    """Remove what `write` said, unless another process has said something since."""
    if find(state) == port:
        (state / FILE).unlink(missing_ok=True)
