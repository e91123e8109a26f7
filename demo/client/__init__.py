"""The bundled agent: an MCP client that logs in by the flows of `deputize`, and the human whom it asks.

Names are loaded when they are first used, so that `import demo.client` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from demo.client.agent import Agent
    from demo.client.human.consent_page import ConsentPage
    from demo.client.human.console import Console
    from demo.client.human.sample_human import SampleHuman
    from demo.client.mcp.elicitation import ElicitationRequest
    from demo.client.mcp.outcome import CallOutcome, ToolsOutcome

_HOMES = {
    "Agent": "agent",
    "CallOutcome": "mcp.outcome",
    "ConsentPage": "human.consent_page",
    "Console": "human.console",
    "ElicitationRequest": "mcp.elicitation",
    "SampleHuman": "human.sample_human",
    "ToolsOutcome": "mcp.outcome",
}

__all__ = [
    "Agent",
    "CallOutcome",
    "ConsentPage",
    "Console",
    "ElicitationRequest",
    "SampleHuman",
    "ToolsOutcome",
]


def __getattr__(name: str) -> Any:
    """Import the module that holds `name` (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
