"""What `demo deploy` put online from this state, remembered: a beat may deploy again what a person once deployed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from deputize import private
from deputize.errors import EnvironmentNotReady

FILE: Final = "deployed.json"
"""The shop's."""
AGENT: Final = "worker-agent.json"
"""The agent's."""


@dataclass(frozen=True)
class Record:
    """A deployment: its base URL, the Worker's folder, and the variables that were set over its configuration."""

    url: str
    worker: str
    variables: dict[str, str]


def remember(state: Path, record: Record, file: str = FILE) -> None:
    """Keep it; the one before is forgotten.

    Raises:
        EnvironmentNotReady: the state folder cannot be written.
    """
    try:
        private.folder(state)
        private.write(state / file, json.dumps(asdict(record)))
    except OSError as error:
        raise EnvironmentNotReady(
            f"{state / file} cannot be written", why=error.strerror or str(error), do="choose another --state DIR"
        ) from error


def recall(state: Path, file: str = FILE) -> Record | None:
    """What was deployed from this state last; None where nothing was."""
    try:
        found = json.loads((state / file).read_text("utf-8"))
        variables = {str(name): str(value) for name, value in found["variables"].items()}
        return Record(str(found["url"]), str(found["worker"]), variables)
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return None
