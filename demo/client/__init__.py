"""The bundled agent: an MCP client with OAuth device login, a token store, and a recorder on the wire.

Names are loaded when they are first used, so that `import demo.client` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from demo.client.agent import Agent
    from demo.client.console import Console
    from demo.client.device import DeviceLogin
    from demo.client.elicitation import ElicitationRequest
    from demo.client.oauth.authorizer import LoginWay
    from demo.client.oauth.browser import BrowserLogin
    from demo.client.oauth.flows import BrowserFlow, DeviceFlow, MachineFlow
    from demo.client.oauth.identity import ClientIdentity
    from demo.client.outcome import CallOutcome, ToolsOutcome
    from demo.client.refusal import OAuthRefused
    from demo.client.sample_human import ConsentPage, SampleHuman
    from demo.client.store import MemoryStore, TokenStore
    from demo.client.tokens import Secret, StoredToken
    from demo.client.wire import Recorder

_HOMES = {
    "Agent": "agent",
    "BrowserFlow": "oauth.flows",
    "BrowserLogin": "oauth.browser",
    "CallOutcome": "outcome",
    "ClientIdentity": "oauth.identity",
    "ConsentPage": "sample_human",
    "Console": "console",
    "DeviceFlow": "oauth.flows",
    "DeviceLogin": "device",
    "ElicitationRequest": "elicitation",
    "LoginWay": "oauth.authorizer",
    "MachineFlow": "oauth.flows",
    "MemoryStore": "store",
    "OAuthRefused": "refusal",
    "Recorder": "wire",
    "SampleHuman": "sample_human",
    "Secret": "tokens",
    "StoredToken": "tokens",
    "TokenStore": "store",
    "ToolsOutcome": "outcome",
}

__all__ = [
    "Agent",
    "BrowserFlow",
    "BrowserLogin",
    "CallOutcome",
    "ClientIdentity",
    "ConsentPage",
    "Console",
    "DeviceFlow",
    "DeviceLogin",
    "ElicitationRequest",
    "LoginWay",
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
