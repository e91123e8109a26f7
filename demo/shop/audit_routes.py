"""The audit log over HTTP, for those it is about: its entries, its logs with their links, and signed checkpoints.

Each passes the gates token, standing, allowlist and scope. A refused reading is on record; an allowed one is not, since
following the log would then feed it.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from demo.shop import audit_log, checkpoints, outbox
from demo.shop.audit_chain import NOBODY
from demo.shop.audit_log import Log, Wanted
from demo.shop.catalog import ADMIN_ROLE, AUDIT_SCOPE, LIMITS, say
from demo.shop.checkpoints import Checkpoints
from demo.shop.facts import Case
from demo.shop.gatehouse import Gatehouse
from demo.shop.own_routes import admit, answer, answered, error

KEYS: Final = "/audit/keys"
"""Where the key is published that signs checkpoints (`jwks_uri` of RFC 9728 section 2)."""
LOGS_AT_ONCE: Final = 100
"""How many logs one answer to an admin speaks of: each may have to be signed."""


def routes(house: Gatehouse, signer: Checkpoints) -> list[BaseRoute]:
    """The routes of the audit log."""

    async def keys(_: Gatehouse, __: Request) -> Response:
        return answer(signer.jwks())

    async def checkpoint(house: Gatehouse, request: Request) -> Response:
        return await _checkpoint(house, request, signer)

    served = {
        "/audit": _entries,
        "/audit/dispatch": _dispatch,
        "/audit/log": _log,
        "/audit/checkpoint": checkpoint,
        KEYS: keys,
    }
    return [Route(path, answered(house, what), methods=["GET"]) for path, what in served.items()]


async def _entries(house: Gatehouse, request: Request) -> Response:
    """`GET /audit`: all entries that the reader may see, as one list."""
    case, refused = await admit(house, request, AUDIT_SCOPE, "mcp")
    if refused is not None:
        return refused
    if (limit := _number(request, "limit", LIMITS.audit_entries, 1, LIMITS.most_audit_entries)) is None:
        return error(400, "invalid_request", say("audit_limit", most=LIMITS.most_audit_entries))
    if (wanted := _wanted(request)) is None:
        return error(400, "invalid_request", say("audit_filter"))
    try:
        found = await house.database.read(
            audit_log.entries,
            reader=case.token.user,
            everybody=_reads_all(case),
            after=request.query_params.get("after") or None,
            limit=limit,
            wanted=wanted,
        )
    except audit_log.UnknownEntry:
        return error(400, "invalid_request", say("audit_after"))
    gone = await house.database.read(audit_log.forgotten, reader=case.token.user)
    told = {"forgotten": [asdict(one) for one in gone]} if gone else {}
    return answer({"entries": [decision.to_dict() for decision in found], **told})


async def _checkpoint(house: Gatehouse, request: Request, signer: Checkpoints) -> Response:
    """`GET /audit/checkpoint`: the logs that the reader may see, each with a checkpoint that is made now."""
    case, refused = await admit(house, request, AUDIT_SCOPE, "mcp")
    if refused is not None:
        return refused
    own = [case.token.user or NOBODY, NOBODY]
    following: str | None = None
    if _reads_all(case):
        after = request.query_params.get("after")
        others = await house.database.read(audit_log.owners, after=after or "", limit=LOGS_AT_ONCE + 1)
        following = others[LOGS_AT_ONCE - 1] if len(others) > LOGS_AT_ONCE else None
        own = [*(own if not after else ()), *others[:LOGS_AT_ONCE]]
    told = []
    for owner in dict.fromkeys(own):
        if (found := await signer.of(owner)) is not None:
            told.append({**_about(found[0]), "checkpoint": found[1]})
    return answer({"logs": told, "next": following})


async def _log(house: Gatehouse, request: Request) -> Response:
    """`GET /audit/log`: the entries of one log as they are chained, and the checkpoints that were made of them."""
    case, refused = await admit(house, request, AUDIT_SCOPE, "mcp")
    if refused is not None:
        return refused
    if (limit := _number(request, "limit", LIMITS.audit_entries, 1, LIMITS.most_audit_entries)) is None:
        return error(400, "invalid_request", say("audit_limit", most=LIMITS.most_audit_entries))
    if (after := _number(request, "after", 0, 0, 2**53)) is None:
        return error(400, "invalid_request", say("audit_place"))
    log = request.query_params.get("id", "")
    owner = await house.database.read(audit_log.owner_of, log)
    # Somebody else's is as unknown as one that does not exist.
    if owner is None or not (_reads_all(case) or owner in (NOBODY, case.token.user)):
        return error(404, "not_found", say("audit_log_unknown"))
    found = await house.database.read(audit_log.read_log, owner, after=after, limit=limit)
    through = found[-1]["entry"]["seq"] if found else after
    signed = await house.database.read(checkpoints.between, log, after=after, through=through)
    return answer({"log": log, "entries": found, "checkpoints": signed})


async def _dispatch(house: Gatehouse, request: Request) -> Response:
    """`GET /audit/dispatch`: what the warehouse was told of an order, and by which transaction."""
    case, refused = await admit(house, request, AUDIT_SCOPE, "mcp")
    if refused is not None:
        return refused
    reader = None if _reads_all(case) else case.token.user or NOBODY
    found = await house.database.read(outbox.of_order, request.query_params.get("order", ""), reader)
    return error(404, "not_found", say("no_dispatch")) if found is None else answer(found)


def _about(log: Log) -> dict[str, Any]:
    return {
        "log": log.id,
        "user": log.owner or None,
        "size": log.size,
        "pruned": log.pruned,
        "pruned_link": log.pruned_link.hex(),
    }


def _reads_all(case: Case) -> bool:
    return case.standing is not None and ADMIN_ROLE in case.standing.roles


def _wanted(request: Request) -> Wanted | None:
    """The filters of a reading; None where one makes no sense."""
    given = request.query_params
    user, agent, verdict, since = (given.get(name) or None for name in ("user", "agent", "verdict", "since"))
    if verdict not in (None, "allow", "deny") or (since is not None and not _SINCE.fullmatch(since)):
        return None
    return Wanted(user, agent, verdict, None if since is None else float(since))


_SINCE: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")


def _number(request: Request, name: str, absent: int, least: int, most: int) -> int | None:
    """A number of the query, None where it is none within these bounds."""
    given = request.query_params.get(name, str(absent))
    number = int(given) if given.isascii() and given.isdigit() and len(given) < 20 else -1
    return number if least <= number <= most else None
