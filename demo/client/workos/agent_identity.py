"""An identity of the agent's own: a blueprint as its ceiling, an instance for one human, sessions, tokens, the end.

The token is WorkOS's: `sub` is the agent, `act.sub` the human (`demo.client.tokens.convention` reads it so). Keys alone
do not see a revocation, so `validate` asks WorkOS each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from demo.client.http.sanitizing import safe_text
from demo.client.workos.agent_pass import AgentPass, Validity, chain, view
from demo.client.workos.refused import WorkOSRefused
from demo.client.workos.tenant import Tenant
from demo.evidence import Chain, TokenView

if TYPE_CHECKING:
    from workos.agents.models import AgentToken


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

    def act_alone(self, *, intent: str | None = None) -> AgentPass:
        """A pass for the agent that acts for itself in the organization: no human is behind it."""
        organization = self._tenant.organization_id
        return self._minted(
            self._tenant.ask(
                "WorkOS does not let the agent act for itself",
                lambda sdk: sdk.agents.create_blueprint_token(
                    self.blueprint, type="autonomous", organization_id=organization, intent=intent
                ),
            )
        )

    def renew(self, held: AgentPass) -> AgentPass:
        """The next pass of the same session; the refresh token of `held` is used up."""
        return self._minted(
            self._tenant.ask(
                "WorkOS does not renew the agent's token",
                lambda sdk: sdk.agents.create_blueprint_token(
                    self.blueprint, type="refresh", refresh_token=held.refresh_token
                ),
            )
        )

    def view(self, held: AgentPass) -> TokenView:
        """What the pass says, and what of it holds by the environment's keys (RFC 7517), fetched now.

        That it was revoked the keys do not say: `validate` does.
        """
        environment = self._tenant.environment
        client_id = environment.client_id or "unknown"
        keys = self._tenant.ask(
            "WorkOS does not show its keys",
            lambda sdk: sdk.request_raw(method="get", path=("sso", "jwks", client_id)),
        )
        return view(held, environment, keys, self._tenant.sdk.user_management.get_jwks_url(client_id))

    def chain(self, held: AgentPass, *, human: str, agent: str, action: str | None = None) -> Chain:
        """The delegation chain in a pass, verified and read by WorkOS's convention.

        Args:
            human: the human's name as a person should read it; not shown where no human is in the pass.
            agent: the blueprint's name.
            action: what was done with it.

        Raises:
            ServerUnreachable: the pass is not in the form of WorkOS's.
        """
        return chain(held, self.view(held), human=human, agent=agent, action=action)

    def validate(self, access_token: str) -> Validity:
        """Ask WorkOS whether the token holds now: its signature, its session, and the human's session behind it."""
        self._guard(access_token)
        try:
            told = self._tenant.ask(
                "WorkOS does not validate this token",
                lambda sdk: sdk.agents.validate_blueprint_token(self.blueprint, agent_access_token=access_token),
            )
        except WorkOSRefused as refused:
            if refused.status != 400:  # 400 is the verdict; anything else says nothing about the token
                raise
            return Validity(False, refused.code or "invalid")
        return Validity(
            told.valid,
            human=None if told.acting_user_id is None else safe_text(told.acting_user_id, one_line=True),
            permissions=tuple(safe_text(one, one_line=True) for one in told.permissions),
            until=datetime.fromisoformat(told.session_expires_at).timestamp(),
        )

    def sessions(self) -> tuple[tuple[str, str], ...]:
        """The sessions of this blueprint's agents, newest first: id and status."""
        found = self._tenant.every(
            "WorkOS does not list the agents' sessions",
            lambda sdk: sdk.agents.list_sessions(agent_blueprint_id=self.blueprint, limit=100),
        )
        return tuple((safe_text(one.id, one_line=True), safe_text(one.status.value, one_line=True)) for one in found)

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
            refresh_token=token.refresh_token,
        )
