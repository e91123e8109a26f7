"""The userinfo endpoint (OpenID Connect Core section 5.3): who the human is, for a token made for it."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..context import Authority
from .bearer import NO_STORE, BearerRefused, authenticate


def userinfo_routes(authority: Authority) -> list[Route]:
    """The route, by GET and POST (section 5.3.1)."""

    def answer(request: Request) -> Response:
        try:
            account = authenticate(authority, request, audience=authority.userinfo_resource, scope="openid")
        except BearerRefused as refusal:
            return refusal.response()
        claims = {"sub": account.sub, "name": account.name, "email": account.email, "roles": list(account.roles)}
        return JSONResponse(claims, headers=NO_STORE)

    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(answer, request)

    return [Route("/oauth2/userinfo", endpoint, methods=["GET", "POST"])]
