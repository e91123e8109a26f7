"""A language model as the agent: it decides which tools to call, and the agent calls them with its own authority.

The names below are loaded when they are first used: what a model takes to be asked is half a second of imports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from demo.model.choosing import Endpoint, Wished, chosen, ready
    from demo.model.driving import Drive, drive
    from demo.model.script import Script, keep, load, shipped
    from demo.model.steps import Steps, steps_of

__all__ = [
    "Drive",
    "Endpoint",
    "Script",
    "Steps",
    "Wished",
    "chosen",
    "drive",
    "keep",
    "load",
    "ready",
    "shipped",
    "steps_of",
]

_HOMES = {
    "Drive": "driving",
    "drive": "driving",
    "Endpoint": "choosing",
    "Wished": "choosing",
    "chosen": "choosing",
    "ready": "choosing",
    "Steps": "steps",
    "steps_of": "steps",
    "keep": "script",
    "Script": "script",
    "load": "script",
    "shipped": "script",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
