"""Resource indicators (RFC 8707): which audiences may be asked for, and which one a token gets."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from authlib.oauth2.rfc6749 import OAuth2Error

from ..context import Context
from ..state.sessions import Session
from ..state.store import new_id


class InvalidTargetError(OAuth2Error):  # type: ignore[misc]  # Authlib ships no types
    """The requested resource is unknown, malformed, or was not granted (RFC 8707 section 2)."""

    error = "invalid_target"


@dataclass(frozen=True)
class RegisteredResource:
    """A resource server that was registered while this server ran. `created_at` in POSIX seconds."""

    id: str
    uri: str
    is_default: bool
    created_at: float


def registered_resources(connection: sqlite3.Connection) -> tuple[RegisteredResource, ...]:
    """Those registered, in the order in which they were."""
    rows = connection.execute("SELECT id, uri, is_default, created_at FROM oauth_resources ORDER BY rowid")
    return tuple(RegisteredResource(row["id"], row["uri"], bool(row["is_default"]), row["created_at"]) for row in rows)


def register_resource(context: Context, uri: str, *, is_default: bool) -> RegisteredResource | None:
    """Issue tokens for `uri` from now on; None where that was so before. One resource at most is the default."""
    made = RegisteredResource(new_id("authkit_oauth_resource"), uri, is_default, context.now())
    with context.store.transaction() as connection:
        if uri in served_resources(context):
            return None
        if is_default:
            connection.execute("UPDATE oauth_resources SET is_default = 0 WHERE is_default")
        connection.execute(
            "INSERT INTO oauth_resources (id, uri, is_default, created_at, updated_at) VALUES (?, ?, ?, ?, ?)",
            (made.id, uri, is_default, made.created_at, made.created_at),
        )
    return made


def served_resources(context: Context) -> tuple[str, ...]:
    """The resources that tokens may be asked for: this server's own, then those registered, the default one first."""
    with context.store.transaction(write=False) as connection:
        registered = sorted(registered_resources(connection), key=lambda one: not one.is_default)
    return tuple(dict.fromkeys((*context.resources, *(one.uri for one in registered))))


def shops(context: Context) -> tuple[str, ...]:
    """The resources at which an agent may spend: all that are served but the human's own account API."""
    return tuple(one for one in served_resources(context) if one != context.account_resource)


def requested_resources(context: Context, asked: Sequence[str]) -> tuple[str, ...]:
    """The resources of an authorization request, each once, in the order asked.

    Raises:
        InvalidTargetError: one of them is not served here.
    """
    served = served_resources(context)
    for resource in asked:
        if context.canonical(resource) not in served:
            raise InvalidTargetError(f"no such resource here; there are: {', '.join(served)}")
    return tuple(dict.fromkeys(asked))


def shops_of(context: Context, resources: Sequence[str]) -> tuple[str, ...]:
    """Those of the resources that were asked for at which something is bought: all but the account API. The first shop
    there is where none was asked for."""
    asked = resources or served_resources(context)[:1]
    return tuple(one for one in map(context.canonical, asked) if one != context.account_resource)


def audience(context: Context, session: Session, asked: str | None) -> str:
    """The `aud` of a token in `session`: the resource `asked` for, else the first that was granted, else the client.

    Raises:
        InvalidTargetError: `asked` was not granted (section 2.2).
    """
    if asked is None:
        return session.resources[0] if session.resources else session.client_id
    granted = (*session.resources, context.userinfo_resource)
    if context.canonical(asked) not in [context.canonical(one) for one in granted]:
        raise InvalidTargetError(f"this resource was not granted; granted are: {', '.join(granted)}")
    return asked
