"""The bundled agent: an MCP client with OAuth device login, a token store, and a recorder on the wire.

Names are loaded when they are first used, so that `import demo.client` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from demo.client.agent import Agent
    from demo.client.http.errors import OAuthRefused
    from demo.client.http.recorder import Recorder
    from demo.client.human.consent_page import ConsentPage
    from demo.client.human.console import Console
    from demo.client.human.sample_human import SampleHuman
    from demo.client.mcp.elicitation import ElicitationRequest
    from demo.client.mcp.outcome import CallOutcome, ToolsOutcome
    from demo.client.oauth.browser_flow import BROWSER, BrowserLogin
    from demo.client.oauth.device_flow import DEVICE, DeviceLogin
    from demo.client.oauth.flows import ChosenFlow
    from demo.client.oauth.httpx_auth import BrowserFlow, DeviceFlow, MachineFlow
    from demo.client.tokens.identity import ClientIdentity
    from demo.client.tokens.store import MemoryStore, TokenStore
    from demo.client.tokens.stored import Secret, StoredToken

_HOMES = {
    "BROWSER": "oauth.browser_flow",
    "DEVICE": "oauth.device_flow",
    "Agent": "agent",
    "BrowserFlow": "oauth.httpx_auth",
    "BrowserLogin": "oauth.browser_flow",
    "CallOutcome": "mcp.outcome",
    "ChosenFlow": "oauth.flows",
    "ClientIdentity": "tokens.identity",
    "ConsentPage": "human.consent_page",
    "Console": "human.console",
    "DeviceFlow": "oauth.httpx_auth",
    "DeviceLogin": "oauth.device_flow",
    "ElicitationRequest": "mcp.elicitation",
    "MachineFlow": "oauth.httpx_auth",
    "MemoryStore": "tokens.store",
    "OAuthRefused": "http.errors",
    "Recorder": "http.recorder",
    "SampleHuman": "human.sample_human",
    "Secret": "tokens.stored",
    "StoredToken": "tokens.stored",
    "TokenStore": "tokens.store",
    "ToolsOutcome": "mcp.outcome",
}

__all__ = [
    "BROWSER",
    "DEVICE",
    "Agent",
    "BrowserFlow",
    "BrowserLogin",
    "CallOutcome",
    "ChosenFlow",
    "ClientIdentity",
    "ConsentPage",
    "Console",
    "DeviceFlow",
    "DeviceLogin",
    "ElicitationRequest",
    "MachineFlow",
    "MemoryStore",
    "OAuthRefused",
    "Recorder",
    "SampleHuman",
    "Secret",
    "StoredToken",
    "TokenStore",
    "ToolsOutcome",
]


def __getattr__(name: str) -> Any:
    """Import the module that holds `name` (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
