"""An identity of the agent's own: a blueprint as its ceiling, an instance for one human, sessions, tokens, the end.

The token is WorkOS's: `sub` is the agent, `act.sub` the human (`deputize.tokens.claim_meanings` reads it so). Keys
alone do not see a revocation, so `validate` asks WorkOS each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from demo.client.workos.tenant import Tenant, WorkOSRefused, not_workos
from deputize.evidence import Chain, TokenView
from deputize.http.sanitizing import safe_text
from deputize.tokens import claims
from deputize.tokens.claim_meanings import parties
from deputize.tokens.stored import number

if TYPE_CHECKING:
    from workos.agents.models import AgentToken


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


@dataclass(frozen=True)
class Validity:
    """What live validation says of a token: valid and whose, or the code of the reason why not.

    `human` is None where the token names none.
    """

    valid: bool
    why: str = ""
    human: str | None = None
    permissions: tuple[str, ...] = ()


class AgentIdentity:
    """One blueprint of an environment, and the agents made by it."""

    def __init__(self, tenant: Tenant, blueprint: str) -> None:
        self._tenant = tenant
        self.blueprint = blueprint

    @classmethod
    def ensure(cls, tenant: Tenant, *, name: str, permissions: Sequence[str]) -> AgentIdentity:
        """The blueprint called `name`, with exactly these permissions as its ceiling; made where there is none.

        Raises:
            WorkOSRefused: a permission does not exist (422), or Agents are not enabled for the environment.
        """
        blueprints = tenant.every(
            "WorkOS does not list agent blueprints", lambda sdk: sdk.agents.list_blueprints(limit=100)
        )
        found = next((one for one in blueprints if one.name == name), None)
        if found is None:
            made = tenant.ask(
                "WorkOS does not make this agent blueprint",
                lambda sdk: sdk.agents.create_blueprint(name=name, permissions=list(permissions)),
            )
            return cls(tenant, made.id)
        if set(found.permissions) != set(permissions):
            id = found.id
            tenant.ask(
                "WorkOS does not change this agent blueprint",
                lambda sdk: sdk.agents.update_blueprint(id, permissions=list(permissions)),
            )
        return cls(tenant, found.id)

    def deputize(self, user_access_token: str, *, intent: str | None = None) -> AgentPass:
        """A pass for the agent that acts for the human behind `user_access_token`, theirs and no agent's.

        It holds what the blueprint and the human's role both allow.
        """
        self._guard(user_access_token)
        return self._minted(
            self._tenant.ask(
                "WorkOS does not let the agent act for this user",
                lambda sdk: sdk.agents.create_blueprint_token(
                    self.blueprint, type="user_delegated", user_access_token=user_access_token, intent=intent
                ),
            )
        )

    def view(self, held: AgentPass) -> TokenView:
        """What the pass says, and what of it holds by the environment's keys (RFC 7517), fetched now: its signature,
        its issuer, its audience, its expiry.

        That it was revoked the keys do not say: `validate` does.
        """
        environment = self._tenant.environment
        client_id = environment.client_id or "unknown"
        keys = self._tenant.ask(
            "WorkOS does not show its keys",
            lambda sdk: sdk.request_raw(method="get", path=("sso", "jwks", client_id)),
        )
        return claims.view(
            held.access_token,
            issuer=environment.base_url,
            audience=environment.client_id or None,
            jwks=keys,
            jwks_url=self._tenant.sdk.user_management.get_jwks_url(client_id),
        )

    def chain(self, held: AgentPass, *, human: str, agent: str, action: str | None = None) -> Chain:
        """The delegation chain in a pass, verified and read by WorkOS's convention.

        Args:
            human: the human's name as a person should read it; not shown where no human is in the pass.
            agent: the blueprint's name.
            action: what was done with it.

        Raises:
            ServerUnreachable: the pass is no JWT, as WorkOS's are.
        """
        seen, jwt = self.view(held), claims.take_apart(held.access_token)
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

    def validate(self, access_token: str) -> Validity:
        """Ask WorkOS whether the token holds now: its signature, its session, and the human's session behind it."""
        self._guard(access_token)
        try:
            answer = self._tenant.ask(
                "WorkOS does not validate this token",
                lambda sdk: sdk.agents.validate_blueprint_token(self.blueprint, agent_access_token=access_token),
            )
        except WorkOSRefused as refused:
            if refused.status != 400:  # 400 is the verdict; anything else says nothing about the token
                raise
            return Validity(False, refused.code or "invalid")
        return Validity(
            answer.valid,
            human=None if answer.acting_user_id is None else safe_text(answer.acting_user_id, one_line=True),
            permissions=tuple(safe_text(one, one_line=True) for one in answer.permissions),
        )

    def revoke(self, session: str) -> float | None:
        """End an agent's session, and those delegated from it: when it ended, in POSIX seconds; None where it had
        expired before."""
        ended = self._tenant.ask(
            "WorkOS does not end this agent's session", lambda sdk: sdk.agents.revoke_session(session)
        )
        return None if ended.revoked_at is None else ended.revoked_at.timestamp()

    def _guard(self, *secrets: str) -> None:
        self._tenant.recorder.guard(*secrets)

    def _minted(self, token: AgentToken) -> AgentPass:
        self._guard(token.access_token, token.refresh_token)
        return AgentPass(
            blueprint=self.blueprint,
            instance=safe_text(token.agent_instance_id, one_line=True),
            session=safe_text(token.agent_instance_session_id, one_line=True),
            permissions=tuple(safe_text(one, one_line=True) for one in token.permissions),
            expires_in=token.expires_in,
            new_instance=token.new_instance,
            access_token=token.access_token,
        )
