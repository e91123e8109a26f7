"""Pages from templates, with the headers that keep them what they are: no script, no frame, no cache, no leak."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from ..clients.uris import form_source

HERE = Path(__file__).parent
# Read when the server starts: one that goes on while its files are replaced (`git pull`) has those that fit its code.
_PAGES = {file.name: file.read_text("utf-8") for file in (HERE / "templates").glob("*.html")}
_STYLE = (HERE / "style.css").read_bytes()
POLICY = "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # Not `no-referrer`: with it a browser sends `Origin: null` even with our own forms (Fetch, "append a request
    # Origin header"), and a server that checks Origin, as ours does, would refuse them. Nothing leaves this origin.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@cache
def _templates() -> Environment:
    templates = Environment(
        loader=DictLoader(_PAGES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Jinja's own `capitalize` makes the rest of the words small.
    templates.filters["capitalize_first"] = lambda words: words[:1].upper() + words[1:]
    return templates


def page(template: str, status: int = 200, *, redirect_uri: str | None = None, **values: Any) -> Response:
    """The page that `template` makes of `values`, escaped.

    With a `redirect_uri` its forms may be answered by a redirect there: a browser holds `form-action` against the
    answer's redirects, too.
    """
    response = HTMLResponse(_templates().get_template(template).render(values), status, HEADERS)
    if redirect_uri is not None:
        policy = POLICY.replace("form-action 'self'", f"form-action 'self' {form_source(redirect_uri)}")
        response.headers["Content-Security-Policy"] = policy
    return response


def message(status: int, title: str, text: str, *, again: bool = False, retry_after: float | None = None) -> Response:
    """A page that only says something; `again` offers the way back to the code."""
    response = page("message.html", status, title=title, text=text, again=again)
    if retry_after is not None:
        response.headers["Retry-After"] = str(max(1, round(retry_after)))
    return response


async def stylesheet(_: Request) -> Response:
    """The one stylesheet."""
    return Response(_STYLE, media_type="text/css", headers=HEADERS)
