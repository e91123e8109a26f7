"""Pages from templates, with the headers that keep them what they are: no script, no frame, no cache, no leak."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

HERE = Path(__file__).parent
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # Not `no-referrer`: with it a browser sends `Origin: null` even with our own forms (Fetch, "append a request
    # Origin header"), and a server that checks Origin, as ours does, would refuse them. Nothing leaves this origin.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page(template: str, status: int = 200, **values: Any) -> Response:
    """The page that `template` makes of `values`, escaped."""
    return HTMLResponse(_templates().get_template(template).render(values), status, HEADERS)


def message(status: int, title: str, text: str, *, again: bool = False, retry_after: float | None = None) -> Response:
    """A page that only says something; `again` offers the way back to the code."""
    response = page("message.html", status, title=title, text=text, again=again)
    if retry_after is not None:
        response.headers["Retry-After"] = str(max(1, round(retry_after)))
    return response


async def stylesheet(_: Request) -> Response:
    """The one stylesheet."""
    return Response((HERE / "style.css").read_bytes(), media_type="text/css", headers=HEADERS)
