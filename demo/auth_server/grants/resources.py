"""Resource indicators (RFC 8707): which audiences may be asked for, and which one a token gets."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from ..context import Authority
from ..errors import InvalidTargetError
from ..state.sessions import Session


def served_resources(authority: Authority) -> tuple[str, ...]:
    """The resources that tokens may be asked for: the authority's, and those registered by its WorkOS API."""
    with authority.store.transaction(write=False) as connection:
        return tuple(dict.fromkeys((*authority.resources, *_registered(connection))))


def requested_resources(authority: Authority, asked: Sequence[str]) -> tuple[str, ...]:
    """The resources of an authorization request, each once, in the order asked.

    Raises:
        InvalidTargetError: one of them is not served here.
    """
    served = served_resources(authority)
    for resource in asked:
        if authority.canonical(resource) not in served:
            raise InvalidTargetError(f"no such resource here; there are: {', '.join(served)}")
    return tuple(dict.fromkeys(asked))


def shops_of(authority: Authority, resources: Sequence[str]) -> tuple[str, ...]:
    """Those of the resources that were asked for at which something is bought: all but the account API. The first shop
    there is where none was asked for."""
    asked = resources or served_resources(authority)[:1]
    return tuple(one for one in map(authority.canonical, asked) if one != authority.account_resource)


def audience(authority: Authority, session: Session, asked: str | None) -> str:
    """The `aud` of a token in `session`: the resource `asked` for, else the first that was granted, else the client.

    Raises:
        InvalidTargetError: `asked` was not granted (section 2.2).
    """
    if asked is None:
        return session.resources[0] if session.resources else session.client_id
    granted = (*session.resources, authority.userinfo_resource)
    if authority.canonical(asked) not in [authority.canonical(one) for one in granted]:
        raise InvalidTargetError(f"this resource was not granted; granted are: {', '.join(granted)}")
    return asked


def _registered(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Those of the WorkOS API, the default one first."""
    rows = connection.execute("SELECT uri FROM authority_workos_resources ORDER BY is_default DESC, rowid").fetchall()
    return tuple(str(row["uri"]) for row in rows)
