"""What was learned of servers, kept in the state folder: the next command need not find it out again."""

from __future__ import annotations

import json
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

NAME = "servers.json"
KEPT_SECONDS = 30 * 86400.0
"""How long what was learned is believed."""

KEPT = 200
"""Servers that are remembered; those that were met longest ago go first."""


class Memory:
    """How each server is spoken to, by its MCP URL. Nothing in it is secret, and nothing is lost with it.

    Args:
        folder: the state folder. Where it is not there nothing is kept: a command that only asks makes no folder.

    What cannot be read or written is as if it were not there: a server that is unknown is asked again.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME

    def spoken(self, url: str) -> str | None:
        """The mode in which this server was spoken to last, None if unknown."""
        told = self._read().get(url, {}).get("mode")
        return told if isinstance(told, str) else None

    def learn(self, url: str, mode: str | None) -> None:
        """Keep the mode that a server wants, or with None forget it."""
        known = self._read()
        if known.get(url, {}).get("mode") == mode or not self._path.parent.is_dir():
            return
        known.pop(url, None)
        if mode is not None:
            known[url] = {"mode": mode, "at": time.time()}
        newest = sorted(known, key=lambda one: float(known[one]["at"]))[-KEPT:]
        self._write({"schema": 1, "servers": {one: known[one] for one in newest}})

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            servers = json.loads(self._path.read_text(encoding="utf-8"))["servers"].items()
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return {}
        since = time.time() - KEPT_SECONDS
        return {url: told for url, told in servers if isinstance(told, dict) and _number(told.get("at")) > since}

    def _write(self, content: dict[str, Any]) -> None:
        new = self._path.with_name(f".{NAME}.{secrets.token_hex(6)}")
        with suppress(OSError):
            try:
                handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    json.dump(content, file, indent=1)
                new.replace(self._path)
            finally:
                new.unlink(missing_ok=True)


def _number(value: Any) -> float:
    fits = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e18
    return float(value) if fits else 0.0
