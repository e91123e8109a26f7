"""OAuth for agents: a human authorizes a program that has no browser, and it goes on with what it was given.

Login flows as `httpx2.Auth` classes, a token store, and a recorder on the wire. Names are loaded when they are first
used, so that `import deputize` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deputize.errors import ExplainedError, Remedy
    from deputize.evidence import DeviceCode, Money
    from deputize.http.errors import OAuthRefused
    from deputize.http.recorder import Recorder
    from deputize.oauth.browser_flow import BROWSER, BrowserLogin
    from deputize.oauth.device_flow import DEVICE, DeviceLogin
    from deputize.oauth.flows import ChosenFlow
    from deputize.oauth.httpx_auth import OAuthFlow
    from deputize.oauth.httpx_flows import BrowserFlow, DeviceFlow, HumanAuth, MachineFlow
    from deputize.oauth.login_flow import LoginPending
    from deputize.tokens.identity import ClientIdentity
    from deputize.tokens.sdk_storage import AsTokenStorage
    from deputize.tokens.store import MemoryStore, TokenStore
    from deputize.tokens.stored import Secret, StoredToken

__version__ = "0.1.0"

_HOMES = {
    "BROWSER": "oauth.browser_flow",
    "DEVICE": "oauth.device_flow",
    "AsTokenStorage": "tokens.sdk_storage",
    "BrowserFlow": "oauth.httpx_flows",
    "BrowserLogin": "oauth.browser_flow",
    "ChosenFlow": "oauth.flows",
    "ClientIdentity": "tokens.identity",
    "DeviceCode": "evidence",
    "DeviceFlow": "oauth.httpx_flows",
    "DeviceLogin": "oauth.device_flow",
    "ExplainedError": "errors",
    "HumanAuth": "oauth.httpx_flows",
    "LoginPending": "oauth.login_flow",
    "MachineFlow": "oauth.httpx_flows",
    "MemoryStore": "tokens.store",
    "Money": "evidence",
    "OAuthFlow": "oauth.httpx_auth",
    "OAuthRefused": "http.errors",
    "Recorder": "http.recorder",
    "Remedy": "errors",
    "Secret": "tokens.stored",
    "StoredToken": "tokens.stored",
    "TokenStore": "tokens.store",
}

__all__ = [
    "BROWSER",
    "DEVICE",
    "AsTokenStorage",
    "BrowserFlow",
    "BrowserLogin",
    "ChosenFlow",
    "ClientIdentity",
    "DeviceCode",
    "DeviceFlow",
    "DeviceLogin",
    "ExplainedError",
    "HumanAuth",
    "LoginPending",
    "MachineFlow",
    "MemoryStore",
    "Money",
    "OAuthFlow",
    "OAuthRefused",
    "Recorder",
    "Remedy",
    "Secret",
    "StoredToken",
    "TokenStore",
]


def __getattr__(name: str) -> Any:
    """Import the module that holds `name` (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
