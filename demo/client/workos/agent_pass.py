"""What an agent holds by WorkOS: its pass, what the pass says by the environment's keys, and the chain in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from demo.client.http.sanitizing import safe_text
from demo.client.tokens import claims
from demo.client.tokens.convention import parties
from demo.client.tokens.stored import number
from demo.client.workos.environment import Environment
from demo.client.workos.refused import not_workos
from demo.evidence import Chain, TokenView


@dataclass(frozen=True)
class AgentPass:
    """What an agent holds: a token, for so long (seconds), within these permissions, in this session."""

    blueprint: str
    instance: str
    session: str
    permissions: tuple[str, ...]
    expires_in: int
    new_instance: bool
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)


@dataclass(frozen=True)
class Validity:
    """What live validation says of a token: valid and whose, or the code of the reason why not.

    `human` is None for an agent that acts for itself; `until` when its session ends, in POSIX seconds.
    """

    valid: bool
    why: str = ""
    human: str | None = None
    permissions: tuple[str, ...] = ()
    until: float | None = None


def view(held: AgentPass, environment: Environment, keys: Mapping[str, Any], keys_url: str) -> TokenView:
    """What a pass says, and what of it holds: its signature, its issuer, its audience, its end.

    Args:
        keys: the environment's key set (RFC 7517), from `keys_url`.
    """
    return claims.view(
        held.access_token,
        issuer=environment.base_url,
        audience=environment.client_id or None,
        jwks=keys,
        jwks_url=keys_url,
    )


def chain(held: AgentPass, seen: TokenView, *, human: str, agent: str, action: str | None) -> Chain:
    """The delegation chain in a pass that was `seen`.

    Raises:
        ServerUnreachable: the pass is no JWT, as WorkOS's are.
    """
    jwt = claims.take_apart(held.access_token)
    if jwt is None:
        raise not_workos("WorkOS", "its agent token is no JWT")
    who, granted = parties(jwt.claims), jwt.claims.get("permissions") or ()
    return Chain(
        human=safe_text(human, one_line=True) if who.human else "",
        human_id=safe_text(who.human, one_line=True),
        agent=safe_text(who.agent, one_line=True),
        client=safe_text(agent, one_line=True),
        session=seen.claim("sid") or "",
        consent="",
        action=action,
        token_id=seen.claim("jti") or "",
        scopes=tuple(safe_text(one, one_line=True) for one in granted if isinstance(one, str)),
        spending_limit=None,
        at=number(jwt.claims.get("auth_time")),
        source=f"token claims, verified against {seen.signature}"
        if seen.signature and not seen.problems
        else "token claims, not verified",
        convention=who.convention,
    )
