"""`POST /policy/explain`: what the gates would say of a call that nobody makes."""

from __future__ import annotations

import sqlite3

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from demo.shop import explaining, jsonrpc
from demo.shop.catalog import ADMIN_ROLE, MANAGE_SCOPE, say
from demo.shop.facts import Case
from demo.shop.gatehouse import Gatehouse
from demo.shop.own_routes import admit, answer, answered, error, only_the_console
from demo.shop.policy import check_allowlist


def routes(house: Gatehouse) -> list[BaseRoute]:
    """The route, behind the gates token, standing and scope."""
    return [Route("/policy/explain", answered(house, _explain), methods=["POST"])]


async def _explain(house: Gatehouse, request: Request) -> Response:
    """To a human's own console about that human, who need not be on the allowlist; to an admin's about anybody."""
    question: explaining.Question | None = None
    unclear = ""
    try:
        question = explaining.read(await jsonrpc.read_body(request.headers.raw, request.receive))
    except explaining.Unclear as wrong:
        unclear = str(wrong)

    def explain(connection: sqlite3.Connection, case: Case) -> Response:
        if question is None:
            return error(400, "invalid_request", unclear)
        # A role that somebody has elsewhere makes nobody an admin here, as at the allowlist.
        is_admin = case.standing is not None and ADMIN_ROLE in case.standing.roles and check_allowlist(case) is None
        if not is_admin and not explaining.is_about(question, case):
            return error(403, "access_denied", say("not_about_you"))
        return answer(explaining.explain(connection, house, question, case))

    _, answered_with = await admit(
        house, request, MANAGE_SCOPE, "account", only_the_console, then=explain, unlisted=True
    )
    assert answered_with is not None, "a refusal, or an explanation"
    return answered_with
