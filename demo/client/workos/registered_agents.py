"""Agents that came from outside and act for a human by a consent: is a token of theirs good now, and their end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from demo.client.http.sanitizing import safe_text
from demo.client.workos.tenant import Tenant

if TYPE_CHECKING:
    from workos.agents.models import AgentRegistration


@dataclass(frozen=True)
class Registration:
    """An agent's registration. `revoked_at` in POSIX seconds, None while it stands; `user` whose agent it is."""

    id: str
    status: str
    user: str | None
    revoked_at: float | None


class RegisteredAgents:
    """The registrations of one environment."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant

    def holds(self, access_token: str, *, audience: str | None = None) -> str | None:
        """The id of the registration that a token belongs to, if it is good now and for `audience`; else None."""
        self._tenant.recorder.guard(access_token)
        told = self._tenant.ask(
            "WorkOS does not validate this token",
            lambda sdk: sdk.agents.create_validate(type="access_token", credential=access_token, audience=audience),
        )
        return safe_text(told.registration_id, one_line=True) if told.valid and told.registration_id else None

    def get(self, id: str) -> Registration:
        """The registration with this id."""
        return _registration(
            self._tenant.ask("WorkOS does not know this agent", lambda sdk: sdk.agents.get_registration(id))
        )

    def revoke(self, id: str) -> Registration:
        """Take the agent's authority back, all of it."""
        return _registration(
            self._tenant.ask("WorkOS does not revoke this agent", lambda sdk: sdk.agents.revoke_registration(id))
        )


def _registration(told: AgentRegistration) -> Registration:
    user = told.agent_identity.userland_user_id
    return Registration(
        id=safe_text(told.id, one_line=True),
        status=safe_text(told.status.value, one_line=True),
        user=None if user is None else safe_text(user, one_line=True),
        revoked_at=None if told.revoked_at is None else told.revoked_at.timestamp(),
    )
