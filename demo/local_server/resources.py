"""Further resources of the local authorization server (RFC 8707): other shops, such as the Worker on this machine, for
which it may issue tokens as for its own.

They stand in one file of the state folder, a URL a line, because anyone who may write there owns the authorization
server anyway. Without the file there are none. It is read at each request, so that none needs a restart.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from demo.auth_server.clients.uris import resource_objection
from deputize import private
from deputize.errors import EnvironmentNotReady, UsageError

FILE: Final = "server.resources"
MOST: Final = 100
"""Each port that a Worker on this machine had to move to adds four."""


def read(state: Path) -> tuple[str, ...]:
    """The further resources of this state, in the order in which they were added; lines that are none count for
    nothing, since whatever stands there must not widen what the authorization server issues tokens for."""
    try:
        lines = (state / FILE).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return ()
    return tuple(dict.fromkeys(line for line in lines if resource_objection(line) is None))[:MOST]


def add(state: Path, url: str) -> None:
    """Have the authorization server of this state issue tokens for `url` from now on; adding it twice changes nothing.

    Raises:
        UsageError: it cannot be a resource, or there are too many.
        EnvironmentNotReady: the file cannot be written.
    """
    if (why := resource_objection(url)) is not None:
        raise UsageError(f"{url!r} cannot be a resource", why=why, do="give the MCP endpoint's URL, https://HOST/mcp")
    known = read(state)
    if url in known:
        return
    if len(known) == MOST:
        raise UsageError(f"there are {MOST} further resources already", do=f"take some out of {state / FILE}")
    try:
        private.folder(state)
        private.write(state / FILE, "".join(f"{one}\n" for one in (*known, url)))
    except OSError as error:
        raise EnvironmentNotReady(
            f"{state / FILE} cannot be written", why=error.strerror or str(error), do="choose another --state DIR"
        ) from error
