"""An outage drill: for a few seconds the local authorization server gives its resource servers no answer (RFC 7662).

What the talk says of such an hour ("refused, never waved through") can then be tried at the real shop, whose rules stay
as they are. The drill stands in one file of the state folder, because anyone who may write there owns the authorization
server anyway. It ends by itself: what a killed process leaves behind must not keep a shop closed.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, get_args

from deputize import private
from deputize.errors import EnvironmentNotReady

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

How = Literal["failing", "silent"]
"""It answers 503, or it takes the question and says nothing for as long as the drill lasts."""

PATHS: Final = ("/oauth2/introspect", "/ssf/verify")
"""Where it is asked about a token, and whether what it said of others still holds."""
FILE: Final = "server.outage"
LONGEST_SECONDS: Final = 15.0
"""No drill is believed that would last longer."""


@contextlib.contextmanager
def drill(state: Path, how: How, seconds: float = LONGEST_SECONDS) -> Iterator[None]:
    """Have the authorization server of this state give no answer while the block runs, `seconds` at most.

    Raises:
        EnvironmentNotReady: the state folder cannot be written.
    """
    try:
        private.write(state / FILE, f"{how} {time.time() + seconds}")
    except OSError as error:
        raise EnvironmentNotReady(
            f"{state / FILE} cannot be written", why=error.strerror or str(error), do="choose another --state DIR"
        ) from error
    try:
        yield
    finally:
        (state / FILE).unlink(missing_ok=True)


def under_way(state: Path) -> How | None:
    """Which drill is under way, None where there is none; what cannot be read is none."""
    try:
        how, until = (state / FILE).read_text("utf-8").split()
        left = float(until) - time.time()
    except (OSError, ValueError):
        return None
    return next((one for one in get_args(How) if one == how and 0 < left <= LONGEST_SECONDS), None)


class Drilled:
    """ASGI wrapper of what the authorization server tells its resource servers; no other path is its business."""

    def __init__(self, app: ASGIApp, state: Path) -> None:
        self.app = app
        self.state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        how = under_way(self.state) if scope["type"] == "http" and scope["path"] in PATHS else None
        if how is None:
            await self.app(scope, receive, send)
            return
        import asyncio  # half of what `demo status` would load

        from starlette.responses import PlainTextResponse

        while how == "silent" and under_way(self.state) == "silent":
            await asyncio.sleep(0.1)
        await PlainTextResponse("out of order", 503, {"Retry-After": "1"})(scope, receive, send)
