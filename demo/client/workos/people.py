"""The humans of an environment and their sessions, and the end of one: `user_management`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from demo.client.workos.tenant import Tenant
from deputize.errors import UsageError
from deputize.http.sanitizing import safe_text

if TYPE_CHECKING:
    from workos.user_management.models import AuthorizedConnectApplicationListData, User, UserSessionsListItem


@dataclass(frozen=True)
class Person:
    """A human as WorkOS knows them. `last_sign_in_at` in POSIX seconds, None where there was none."""

    id: str
    email: str
    name: str
    last_sign_in_at: float | None


@dataclass(frozen=True)
class PersonSession:
    """One active session of a human. Times in POSIX seconds. `id` is what a token says in `sid`."""

    id: str
    user_id: str
    status: str
    auth_method: str
    created_at: float
    expires_at: float


@dataclass(frozen=True)
class Grant:
    """A consent that stands: which software acts for the human, with which scopes, at which resource (None: none)."""

    consent: str
    client_id: str
    name: str
    scopes: tuple[str, ...]
    resource: str | None


class People:
    """The humans of one environment."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant

    def find(self, email: str) -> Person:
        """The human with this email address.

        Raises:
            UsageError: there is none.
        """
        page = self._tenant.ask(
            "WorkOS does not say who has this address", lambda sdk: sdk.user_management.list_users(email=email)
        )
        if not page.data:
            shown = safe_text(email, one_line=True)
            raise UsageError(f"nobody here has the address {shown}", do="sign in once, or name somebody else")
        return _person(page.data[0])

    def get(self, id: str) -> Person:
        """The human with this id (a token's `sub`)."""
        return _person(self._tenant.ask("WorkOS does not know this user", lambda sdk: sdk.user_management.get_user(id)))

    def sessions(self, user_id: str) -> tuple[PersonSession, ...]:
        """The human's active sessions, newest first; at most 500."""
        found = self._tenant.every(
            "WorkOS does not list this user's sessions",
            lambda sdk: sdk.user_management.list_sessions(user_id, limit=100),
        )
        return tuple(map(_session, found))

    def grants(self, user_id: str) -> tuple[Grant, ...]:
        """What the human granted to software and did not revoke, newest first; at most 500."""
        found = self._tenant.every(
            "WorkOS does not list what this user granted",
            lambda sdk: sdk.user_management.list_user_authorized_applications(user_id, limit=100),
        )
        return tuple(map(_grant, found))

    def role(self, user_id: str) -> str | None:
        """The slug of the human's role in the organization; None where they are no member of it."""
        organization = self._tenant.organization_id
        page = self._tenant.ask(
            "WorkOS does not say what this user is in the organization",
            lambda sdk: sdk.organization_membership.list_organization_memberships(
                user_id=user_id, organization_id=organization
            ),
        )
        return safe_text(page.data[0].role.slug, one_line=True) if page.data else None

    def revoke_grant(self, user_id: str, client_id: str) -> None:
        """Revoke all that the human granted to this software."""
        self._tenant.ask(
            "WorkOS does not revoke this grant",
            lambda sdk: sdk.user_management.delete_user_authorized_application(client_id, user_id),
        )

    def revoke(self, session_id: str) -> None:
        """End a session: its tokens are no longer renewed, and anyone who validates live refuses them at once."""
        self._tenant.ask(
            "WorkOS does not end this session",
            lambda sdk: sdk.user_management.revoke_session(session_id=session_id),
        )


def _person(user: User) -> Person:
    name = user.name or " ".join(part for part in (user.first_name, user.last_name) if part)
    return Person(
        id=safe_text(user.id, one_line=True),
        email=safe_text(user.email, one_line=True),
        name=safe_text(name, one_line=True),
        last_sign_in_at=None if user.last_sign_in_at is None else user.last_sign_in_at.timestamp(),
    )


def _grant(one: AuthorizedConnectApplicationListData) -> Grant:
    about = one.application.to_dict()
    return Grant(
        consent=safe_text(one.id, one_line=True),
        client_id=safe_text(str(about.get("client_id", "")), one_line=True),
        name=safe_text(str(about.get("name", "")), one_line=True),
        scopes=tuple(safe_text(scope, one_line=True) for scope in one.granted_scopes),
        resource=None if one.oauth_resource is None else safe_text(one.oauth_resource, one_line=True),
    )


def _session(one: UserSessionsListItem) -> PersonSession:
    return PersonSession(
        id=safe_text(one.id, one_line=True),
        user_id=safe_text(one.user_id, one_line=True),
        status=safe_text(one.status.value, one_line=True),
        auth_method=safe_text(one.auth_method.value, one_line=True),
        created_at=one.created_at.timestamp(),
        expires_at=one.expires_at.timestamp(),
    )
