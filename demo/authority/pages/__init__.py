"""The authority's pages (RFC 8628 section 3.3): where a human types a code, signs in, and decides."""

from __future__ import annotations

from starlette.routing import Route

from ..authority import Authority
from .consent import consent, decide
from .rendering import stylesheet
from .sign_in import choose, sign_in
from .verification import ask, look_up
from .visit import page_route


def page_routes(authority: Authority) -> list[Route]:
    """The pages; each changes something by POST only."""
    return [
        page_route(authority, "/device", get=ask, post=look_up),
        page_route(authority, "/device/sign-in", get=choose, post=sign_in),
        page_route(authority, "/device/consent", get=consent, post=decide),
        Route("/device/style.css", stylesheet, methods=["GET"]),
    ]
