"""Is what was deployed the shop that it should be? Asked of the wire, with what `demo doctor --server` uses."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from demo.deploy.tools import Waiting, _quietly
from demo.errors import DemoError, ServerUnreachable

if TYPE_CHECKING:
    from pathlib import Path

    from demo.client.capabilities import Survey

ONLINE_SECONDS: Final = 60.0
"""How long a name that is new may take until it is known everywhere."""

Row = tuple[str, str, str, str]
"""(mark, name, detail, fix), as the checklist panel takes them; mark is ok, warn or bad."""


def look(url: str, state: Path, waiting: Waiting = _quietly, *, seconds: float = ONLINE_SECONDS) -> Survey:
    """Look at the server until it answers as an MCP server behind OAuth, or the time is up.

    Raises:
        ServerUnreachable: nothing answered there in time.
    """
    from demo.client.agent import Agent
    from demo.client.capabilities import survey
    from demo.client.store import TokenStore

    deadline = time.monotonic() + seconds
    while True:
        seen = survey(Agent(url, store=TokenStore.open(state, server=url)), revisions=False)
        left = deadline - time.monotonic()
        if seen.knock is not None and seen.knock.status in (200, 401):
            return seen
        if left <= 0:
            if seen.knock is not None:
                return seen
            raise ServerUnreachable(
                f"{url} does not answer yet", why=seen.failure("endpoint"), do=f"in a while: demo doctor --server {url}"
            )
        waiting("the new address to be known", left)
        time.sleep(min(2.0, max(0.1, left)))


def rows(seen: Survey) -> list[Row]:
    """What was seen, one line each, with what mends it."""
    return [_door(seen), _resource(seen), _authority(seen), _open(seen)]


def _door(seen: Survey) -> Row:
    status = seen.knock.status if seen.knock is not None else None
    if status == 401:
        return ("ok", "protected door", "401 without a token", "")
    return ("bad", "protected door", f"{status} without a token", "a protected MCP server answers 401: see its log")


def _resource(seen: Survey) -> Row:
    found = seen.resource
    if found is None:
        return ("bad", "resource metadata", seen.failure("metadata") or "none (RFC 9728)", "see the Worker's log")
    if found.problem is not None:
        return ("bad", "resource metadata", found.problem, "set BASE_URL to the address it is reached at, or leave it")
    return ("ok", "resource metadata", found.resource, "")


def _authority(seen: Survey) -> Row:
    found = seen.authority
    if found is not None and found.problem is None:
        return ("ok", "authority", found.issuer, "")
    named = ", ".join(seen.resource.authorization_servers) if seen.resource is not None else ""
    why = found.problem if found is not None and found.problem else f"no metadata of {named or 'any authority'}"
    return ("bad", "authority", why, "deploy again with --authority https://NAME.authkit.app")


def _open(seen: Survey) -> Row:
    opened = seen.open_door
    if opened is not None and opened.status == 200:
        return ("ok", "open door", f"{len(opened.tools)} tools for anybody: the talk's open shop", "")
    return ("warn", "open door", "it does not answer", "the beat about the authless shop is skipped there")


def problem(found: list[Row]) -> DemoError | None:
    """The first of what is bad, as an error; None where nothing is."""
    bad = next((row for row in found if row[0] == "bad"), None)
    return None if bad is None else ServerUnreachable(f"{bad[1]}: {bad[2]}", do=bad[3])
