"""The streams that a command was started with: closed ones, and readers who leave before the end."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import IO, Any


def settle_streams() -> None:
    """Give a command that was started with a closed stream (`>&-`, a service) one that leads nowhere, so that nothing
    else gets its number; and show a question mark where a terminal cannot draw a sign."""
    for name, way in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, way, encoding="utf-8"))  # noqa: SIM115, PTH123  # open to the end
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # what tests put there may have none


def aside(text: str) -> None:
    """Write to stderr; who reads it may have gone, which is no reason to end otherwise."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except BrokenPipeError:
        lead_nowhere(sys.stderr)


def lead_nowhere(stream: IO[Any]) -> None:
    """Let what is still written to a stream whose reader has gone vanish, also what Python writes at its exit."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def finish() -> OSError | None:
    """Flush what was written, before the exit code is settled.

    Returns:
        What went wrong with it other than that its reader has gone: a full disk.
    """
    trouble = None
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            lead_nowhere(stream)
        except OSError as error:
            lead_nowhere(stream)
            trouble = trouble or (error if stream is sys.stdout else None)
        except ValueError:
            continue  # closed
    return trouble
