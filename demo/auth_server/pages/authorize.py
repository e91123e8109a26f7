"""The authorization endpoint (OAuth 2.1 section 4.1.1): where a client sends its human's browser."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..clients.document_fetch import DocumentRefused
from ..endpoints.oauth import OAuthServer
from ..endpoints.requests import FormUnreadable, parse_fields, read_form, visitor
from .browser import Browser
from .redirect_question import as_text, redirect_question, refusal
from .rendering import message
from .visit import PageRefused, Visit, onward


def authorize_route(server: OAuthServer) -> Route:
    """`/oauth2/authorize`, by GET and POST (OpenID Connect Core section 3.1.2.1): checks, and goes on to the pages.

    It knows no cookie and decides nothing; a request that the client must hear of goes back to it at once.
    """

    def check(text: str, address: str) -> Response:
        try:
            redirect_question(Visit(server, Browser(""), {"request": text}, address))
        except PageRefused as refused:
            return refused.response
        return onward("/device/consent", request=text)

    async def endpoint(request: Request) -> Response:
        try:
            if request.method == "POST":
                fields = await read_form(request)
            else:
                fields = parse_fields(request.url.query.encode())
        except FormUnreadable as error:
            return message(400, "This request cannot be read", f"{str(error).capitalize()}.")
        named = fields.get("client_id", [])
        if len(named) == 1:
            try:
                await server.documents.ensure(named[0], visitor(request))
            except DocumentRefused as error:
                return refusal("invalid_client", f"The client's description at its own URL is no good: {error}.")
        return await run_in_threadpool(check, as_text(fields), visitor(request))

    return Route("/oauth2/authorize", endpoint, methods=["GET", "POST"])
