"""How each kind of step is played: one object a kind, in a module of its own or of its family, found by its name here.

To add a kind write its module and its line in `_HOMES`. A module is imported when a step of its kind is met: `demo
next` has a tenth of a second to show its header.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from talk.playing.kind import Kind

_HOMES: Mapping[str, str] = {
    "say": "words",
    "link": "words",
    "tools": "call",
    "call": "call",
    "challenge": "challenge",
    "approve": "approve",
    "policy": "policy",
    "login": "login",
    "hand-on": "hand_on",
    "whoami": "whoami",
    "burst": "burst",
    "audit": "audit",
    "verify": "verify",
    "sessions": "audit",
    "revoke": "revoke",
    "reinstate": "revoke",
    "rival": "refresh_token",
    "reuse": "refresh_token",
    "outage": "faults",
    "worker": "worker",
    "edge-agent": "edge_agent",
    "restart": "faults",
    "user": "user",
    "audit-log": "audit_log",
    "blueprint": "agent_pass",
    "validate": "agent_pass",
    "model": "model",
}
"""Kind to its module in this package, where it stands under its own name in capitals: `audit-log` is `AUDIT_LOG`."""


class _Kinds(Mapping[str, Kind]):
    """Every kind of step by name."""

    def __getitem__(self, name: str) -> Kind:
        found = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name.upper().replace("-", "_"))
        assert isinstance(found, Kind)
        return found

    def __contains__(self, name: object) -> bool:
        return name in _HOMES

    def __iter__(self) -> Iterator[str]:
        return iter(_HOMES)

    def __len__(self) -> int:
        return len(_HOMES)


AHEAD = ("edge-agent",)
"""The kinds that make something ready before their beat (`Kind.ahead`); no other is imported to find that out."""
KINDS: Mapping[str, Kind] = _Kinds()
