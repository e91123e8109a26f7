"""WorkOS through its official SDK: who the humans are, their sessions, the record of orders, an agent's own identity.

The same code runs against a WorkOS account and against the local authority, which answers the same API. Importing
this costs nothing: the SDK, which takes most of a second, is loaded by the first call.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from demo.client.workos.agent_identity import AgentIdentity
    from demo.client.workos.audit import AuditLog
    from demo.client.workos.environment import Environment
    from demo.client.workos.people import People
    from demo.client.workos.refused import WorkOSRefused
    from demo.client.workos.tenant import Tenant

_HOMES = {
    "AgentIdentity": "agent_identity",
    "AuditLog": "audit",
    "Environment": "environment",
    "People": "people",
    "Tenant": "tenant",
    "WorkOSRefused": "refused",
}

__all__ = ["AgentIdentity", "AuditLog", "Environment", "People", "Tenant", "WorkOSRefused"]


def __getattr__(name: str) -> Any:
    """Import the module that holds `name` (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
