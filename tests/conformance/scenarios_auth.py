"""The suite's client scenarios about authority: each by what our agent does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Scenario = Callable[[str, dict[str, Any]], None]

AUTH: dict[str, Scenario] = {}
"""By the suite's name of the scenario."""
