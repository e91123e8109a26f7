"""The way for a phone to the presenter's page, through the one server that a network reaches.

Requests under `/presenter` are handed on to the process that serves the page on loopback, while it does (`demo
presenter --web`); it asks for its secret itself. This process neither knows that nor reads anything of the presenter's.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Final

import httpx2
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from demo.presenter import address
from deputize import net

ANSWER_SECONDS: Final = 5.0
STILL_SECONDS: Final = 30.0
"""The longest silence of its stream, which says every ten seconds that it is there."""
CONNECTIONS: Final = 32
_NAME: Final = re.compile("[a-z]*")
"""What stands beside the page; what else an address may hold (a slash, a NUL) is no business of another server's."""
_SENT: Final = (b"host", b"cookie", b"origin", b"content-type", b"accept", b"sec-fetch-site")
_DROPPED: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "date", "server"})


def presenter_routes(state: Path) -> tuple[Route, ...]:
    """The routes under which the presenter's page is reached."""
    client = functools.cache(_client)

    async def forward(request: Request) -> Response:
        port, rest = address.find(state), request.path_params["rest"]
        if port is None or not _NAME.fullmatch(rest):
            return PlainTextResponse("There is nothing here.\n", 404)
        # As they came: a header need be no text.
        headers = [(name, value) for name, value in request.headers.raw if name in _SENT]
        url = f"http://{net.LOOPBACK}:{port}/{rest}"
        try:
            body = await request.body()
            sent = client().build_request(
                request.method, url, params=request.query_params, headers=headers, content=body
            )
            answer = await client().send(sent, stream=True)
        except (httpx2.HTTPError, ClientDisconnect):
            return PlainTextResponse("The presenter's page does not answer.\n", 502)
        made = StreamingResponse(answer.aiter_raw(), answer.status_code, background=BackgroundTask(answer.aclose))
        made.raw_headers = [one for one in answer.headers.raw if one[0].decode("latin-1").lower() not in _DROPPED]
        return made

    async def below(_: Request) -> Response:
        return RedirectResponse(f"{address.PATH}/")  # what the page names stands beside it

    return (
        Route(address.PATH, below, methods=["GET"]),
        Route(f"{address.PATH}/{{rest:path}}", forward, methods=["GET", "POST"]),
    )


def _client() -> httpx2.AsyncClient:
    timeout = httpx2.Timeout(ANSWER_SECONDS, read=STILL_SECONDS)
    bound = httpx2.Limits(max_connections=CONNECTIONS)
    return httpx2.AsyncClient(timeout=timeout, limits=bound, trust_env=False, follow_redirects=False)
