"""What an administrator's API may know and do of an authorization server: all that packages beside it may use.

Anyone who imports this module and nothing else of the package depends on no endpoint or page.
"""

from __future__ import annotations

from .clients.client import find_client
from .clients.uris import resource_objection
from .context import Context
from .grants.resources import RegisteredResource, register_resource, registered_resources
from .grants.tokens import read_access_token
from .requests import FormUnreadable, read_body
from .state.accounts import ACCOUNTS, Account, account_by_sub
from .state.sessions import (
    Session,
    agent_of,
    find_session,
    lasts_until,
    revocation_of,
    revoke_agent_or_user,
    revoke_session,
    session_revocation,
    sessions_of,
    sessions_through,
)
from .state.store import digest, new_id

__all__ = [
    "ACCOUNTS",
    "Account",
    "Context",
    "FormUnreadable",
    "RegisteredResource",
    "Session",
    "account_by_sub",
    "agent_of",
    "digest",
    "find_client",
    "find_session",
    "lasts_until",
    "new_id",
    "read_access_token",
    "read_body",
    "register_resource",
    "registered_resources",
    "resource_objection",
    "revocation_of",
    "revoke_agent_or_user",
    "revoke_session",
    "session_revocation",
    "sessions_of",
    "sessions_through",
]
