"""Which `demo.toml` a person trusts: by its path and its content, as direnv does.

A cloned repository may bring such a file. What it sets about the screen is harmless; what names a server, an
environment variable or a place for tokens decides where the person's secrets go, so that a person has to say yes first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from deputize import private
from deputize.errors import EnvironmentNotReady

FILE: Final = "trusted.json"
HARMLESS: Final = frozenset(
    {"profile", "json", "plain", "width", "theme", "quiet", "wire", "debug", "port", "edge", "repository"}
)
"""What a file may set unasked: how things are drawn, which code is named at the end, the local server's port (it proves
itself wherever it listens), and which of its own profiles is laid over it, whose settings are looked at in turn."""


def wanting(table: Mapping[str, Any], within: str = "") -> Iterator[str]:
    """The settings of a table that take a person's trust, as `name = value` on one line each.

    Args:
        table: the settings that would take effect.
        within: the name of the table that this is in.
    """
    for name, value in table.items():
        if within or name not in HARMLESS:
            full = f"{within}{name}"
            if isinstance(value, dict):
                yield from wanting(value, f"{full}.")
            else:
                yield f"{full} = {_shown(value)}"


def is_trusted(state: Path, file: Path, content: bytes) -> bool:
    """Whether a person has trusted this file with this content."""
    return _known(state).get(str(file.resolve())) == _digest(content)


def was_trusted(state: Path, file: Path) -> bool:
    """Whether a person has trusted this file with some content."""
    return str(file.resolve()) in _known(state)


def trust(state: Path, file: Path, content: bytes) -> None:
    """Remember that a person trusts this file with this content, until the content changes.

    Raises:
        EnvironmentNotReady: it cannot be remembered.
    """
    private.folder(state)
    known = _known(state) | {str(file.resolve()): _digest(content)}
    try:
        private.write(state / FILE, json.dumps(known, indent=1))
    except OSError as error:
        raise EnvironmentNotReady(
            f"{state / FILE} cannot be written", why=error.strerror or str(error), do="choose another --state DIR"
        ) from error


def refusal(state: Path, file: Path, named: list[str], options: str) -> EnvironmentNotReady:
    """What is said of a file that nobody has trusted yet.

    Args:
        named: what it sets, from `wanting`.
        options: what the advised command needs to reach the same state folder; empty for the default one.
    """
    # Which variable would be read is what a person must not miss.
    named = sorted(named, key=lambda one: "_env" not in one.partition(" ")[0])
    more = f", and {len(named) - 4} more" if len(named) > 4 else ""
    changed = "it has changed since you trusted it" if was_trusted(state, file) else "nobody has trusted it yet"
    return EnvironmentNotReady(
        f"{file.resolve()} is not trusted",
        why=f"{changed}, and it sets where tokens and secrets go: {', '.join(named[:4])}{more}",
        do=f"read the file; if you agree with it: demo trust{options}",
    )


def _known(state: Path) -> dict[str, str]:
    if not private.is_ours(state):
        return {}
    try:
        found = json.loads((state / FILE).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return {str(file): str(digest) for file, digest in found.items()} if isinstance(found, dict) else {}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _shown(value: Any) -> str:
    """A value on one line, with nothing in it that a terminal obeys."""
    text = json.dumps(value, default=str)  # ASCII: every control character and bidi override is escaped
    return text if len(text) <= 60 else f"{text[:40]}... ({len(text)} characters)"
