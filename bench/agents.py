"""Agents by the thousand: each with a consent, a session and an access token of the local authorization server.

They are written into its database as its own grants write them. A login is not what is measured.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from demo.auth_server.context import AuthorizationServerConfig, Context
from demo.auth_server.grants.authorization_details import spending_up_to
from demo.auth_server.grants.tokens import sign_access_token
from demo.auth_server.state.sessions import find_session, open_session
from demo.local_server.world import DATABASE, RESOURCE_SERVER

HUMAN: Final = "user_alice"
SCOPES: Final = ("shop:read", "orders:read", "shop:buy", "user:read")
LIFE: Final = 3600
"""Seconds that a token is good for: longer than a bench may take."""


def tokens(base_url: str, state: Path, number: int, *, cents: int = 10_000_00, client: str | None = None) -> list[str]:
    """A token for each of so many new agents of one human; where a client is named they are sessions of its agent."""
    shop = f"{base_url}/mcp"
    context = Context(
        AuthorizationServerConfig(base_url, state / DATABASE, (shop,), resource_server=(RESOURCE_SERVER, ""))
    )
    details = (spending_up_to(cents, [shop]),)
    now = time.time()
    try:
        with context.store.transaction() as connection:
            opened = [
                open_session(
                    connection,
                    sub=HUMAN,
                    client_id=client or f"bench_{now}_{index}",
                    delegated=True,
                    scope=SCOPES,
                    resources=(shop,),
                    authorization_details=details,
                    auth_time=now,
                    now=now,
                )
                for index in range(number)
            ]
            sessions = [find_session(connection, one) for one in opened]
        return [
            sign_access_token(context, session, audience=shop, scope=SCOPES, seconds=LIFE)
            for session in sessions
            if session is not None
        ]
    finally:
        context.store.close()
