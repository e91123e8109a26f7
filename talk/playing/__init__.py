"""How each kind of step is played: one function a kind, found by the kind's name."""

from __future__ import annotations

from collections.abc import Mapping

from talk.playing import agent_identity, calls, edge, identity, login, oversight, words, workos
from talk.playing.scene import Played, Player, Scene

__all__ = ["PLAYERS", "Played", "Scene"]

PLAYERS: Mapping[str, Player] = {
    "say": words.say,
    "link": words.link,
    "tools": calls.tools,
    "call": calls.call,
    "challenge": calls.challenge,
    "burst": calls.burst,
    "outage": calls.outage,
    "login": login.login,
    "whoami": identity.whoami,
    "rival": identity.rival,
    "reuse": identity.reuse,
    "audit": oversight.audit,
    "sessions": oversight.sessions,
    "revoke": oversight.revoke,
    "reinstate": oversight.reinstate,
    "restart": oversight.restart,
    "worker": edge.worker,
    "user": workos.user,
    "audit-log": workos.audit_log,
    "blueprint": agent_identity.blueprint,
    "validate": agent_identity.validate,
}
