"""OAuth for agents: a human authorizes a program that has no browser, and it goes on with what it was given.

Login flows as `httpx2.Auth` classes, a token store, and a recorder on the wire. Names are loaded when they are first
used, so that `import deputize` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deputize.errors import (
        AuthorizationRefused,
        EnvironmentNotReady,
        ExplainedError,
        Remedy,
        ServerUnreachable,
        UsageError,
    )
    from deputize.evidence import DeviceCode, Money
    from deputize.http.errors import OAuthRefused
    from deputize.http.recorder import Recorder
    from deputize.oauth.httpx_auth import FlowOptions, OAuthFlow
    from deputize.oauth.httpx_flows import BrowserFlow, DeviceFlow, HumanAuth, HumanOptions, MachineFlow
    from deputize.oauth.login_flow import LoginPending
    from deputize.oauth.machine_flow import IdentityProvider, TokenRequest
    from deputize.tokens.identity import ClientIdentity
    from deputize.tokens.sdk_storage import AsTokenStorage
    from deputize.tokens.store import MemoryStore, Store, TokenStore
    from deputize.tokens.stored import Secret, StoredToken

__version__ = "0.1.0"

_HOMES = {
    "AsTokenStorage": "tokens.sdk_storage",
    "AuthorizationRefused": "errors",
    "BrowserFlow": "oauth.httpx_flows",
    "ClientIdentity": "tokens.identity",
    "DeviceCode": "evidence",
    "DeviceFlow": "oauth.httpx_flows",
    "EnvironmentNotReady": "errors",
    "ExplainedError": "errors",
    "FlowOptions": "oauth.httpx_auth",
    "HumanAuth": "oauth.httpx_flows",
    "HumanOptions": "oauth.httpx_flows",
    "IdentityProvider": "oauth.machine_flow",
    "LoginPending": "oauth.login_flow",
    "MachineFlow": "oauth.httpx_flows",
    "MemoryStore": "tokens.store",
    "Money": "evidence",
    "OAuthFlow": "oauth.httpx_auth",
    "OAuthRefused": "http.errors",
    "Recorder": "http.recorder",
    "Remedy": "errors",
    "Secret": "tokens.stored",
    "ServerUnreachable": "errors",
    "Store": "tokens.store",
    "StoredToken": "tokens.stored",
    "TokenRequest": "oauth.machine_flow",
    "TokenStore": "tokens.store",
    "UsageError": "errors",
}

__all__ = [
    "AsTokenStorage",
    "AuthorizationRefused",
    "BrowserFlow",
    "ClientIdentity",
    "DeviceCode",
    "DeviceFlow",
    "EnvironmentNotReady",
    "ExplainedError",
    "FlowOptions",
    "HumanAuth",
    "HumanOptions",
    "IdentityProvider",
    "LoginPending",
    "MachineFlow",
    "MemoryStore",
    "Money",
    "OAuthFlow",
    "OAuthRefused",
    "Recorder",
    "Remedy",
    "Secret",
    "ServerUnreachable",
    "Store",
    "StoredToken",
    "TokenRequest",
    "TokenStore",
    "UsageError",
]


def __getattr__(name: str) -> Any:
    """Import the module that holds `name` (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
