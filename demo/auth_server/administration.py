"""What an administrator's API may know and do of an authorization server: the one door for a room beside this one.

Whoever imports this module and nothing else of the package depends on no grant, endpoint or page.
"""

from __future__ import annotations

from .context import Authority
from .endpoints.requests import FormUnreadable, read_body
from .grants.access_token import read_access_token
from .grants.resource_identifiers import objection as resource_objection
from .grants.resources import RegisteredResource, register_resource, registered_resources
from .grants.scopes import SCOPES
from .state.accounts import ACCOUNTS, Account, account_by_sub
from .state.sessions import Session, find_session, lasts_until, sessions_of
from .state.standing import revoke_session, standing
from .state.store import digest, new_id

__all__ = [
    "ACCOUNTS",
    "SCOPES",
    "Account",
    "Authority",
    "FormUnreadable",
    "RegisteredResource",
    "Session",
    "account_by_sub",
    "digest",
    "find_session",
    "lasts_until",
    "new_id",
    "read_access_token",
    "read_body",
    "register_resource",
    "registered_resources",
    "resource_objection",
    "revoke_session",
    "sessions_of",
    "standing",
]
