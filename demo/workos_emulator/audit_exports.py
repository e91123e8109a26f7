"""`audit_logs/exports`: the audit log as a CSV file behind a link that is good for ten minutes."""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
import json
import sqlite3
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from demo.auth_server.administration import new_id
from deputize.text import spreadsheet_cell

from .api import Api, Call, not_found, unprocessable
from .audit_logs import audit_events
from .organizations import check_organization
from .shapes import seconds, stamp

PATH = "/audit_logs/exports"
LINK_SECONDS = 600
KEPT_SECONDS = 24 * 3600.0
"""An export that was asked for is remembered this long: a later question for its link finds none."""
COLUMNS = ("occurred_at", "action", "actor_type", "actor_id", "actor_name", "targets", "context", "metadata")


def export_routes(api: Api) -> list[Route]:
    """Create and get an export; the file itself, which the link opens and no key: the key signs the links."""
    context = api.context

    def signature(id: str, until: int) -> str:
        return hmac.new(api.key, f"{id} {until}".encode(), hashlib.sha256).hexdigest()

    def shown(id: str, at: float) -> dict[str, Any]:
        until = int(context.now()) + LINK_SECONDS
        return {
            "object": "audit_log_export",
            "id": id,
            "state": "ready",
            "url": f"{context.issuer}{PATH}/{id}/events.csv?until={until}&signature={signature(id, until)}",
            "created_at": stamp(at),
            "updated_at": stamp(at),
        }

    def create(call: Call) -> dict[str, Any]:
        asked = _asked(call.body)
        id, now = new_id("audit_log_export"), context.now()
        with context.store.transaction() as connection:
            connection.execute("DELETE FROM workos_audit_exports WHERE created_at < ?", (now - KEPT_SECONDS,))
            connection.execute("INSERT INTO workos_audit_exports VALUES (?, ?, ?)", (id, json.dumps(asked), now))
        return shown(id, now)

    def get(call: Call) -> dict[str, Any]:
        with context.store.transaction(write=False) as connection:
            row = connection.execute("SELECT * FROM workos_audit_exports WHERE id = ?", (call.path["id"],)).fetchone()
        if row is None:
            raise not_found("Audit Log Export", call.path["id"])
        return shown(row["id"], row["created_at"])

    def file(id: str) -> Response:
        with context.store.transaction(write=False) as connection:
            return Response(_csv(connection, id), media_type="text/csv", headers={"Cache-Control": "no-store"})

    async def download(request: Request) -> Response:
        id, until = request.path_params["id"], request.query_params.get("until", "")
        given = request.query_params.get("signature", "")
        fresh = until.isascii() and until.isdigit() and context.now() < int(until[:12])
        right = fresh and hmac.compare_digest(given.encode(), signature(id, int(until[:12])).encode())
        if not right:
            return JSONResponse({"message": "This link has expired or is not whole.", "code": "forbidden"}, 403)
        return await run_in_threadpool(file, id)

    return [
        api.route("POST", PATH, create, status=201),
        api.route("GET", f"{PATH}/{{id}}", get),
        Route(f"{PATH}/{{id}}/events.csv", download, methods=["GET"]),
    ]


def _asked(body: dict[str, Any]) -> dict[str, Any]:
    organization = body.get("organization_id")
    if not isinstance(organization, str) or not organization:
        raise unprocessable("organization_id", "organization_id is required")
    check_organization(organization)
    asked: dict[str, Any] = {}
    for name in ("range_start", "range_end"):
        try:
            asked[name] = seconds(str(body.get(name)))
        except ValueError:
            raise unprocessable(name, f"{name} is an ISO 8601 time in UTC that ends in Z") from None
    for name in ("actions", "actor_names", "actor_ids", "targets"):
        given = body.get(name)
        if given is not None and not (isinstance(given, list) and all(isinstance(one, str) for one in given)):
            raise unprocessable(name, f"{name} is a list of text")
        asked[name] = given
    return asked


def _csv(connection: sqlite3.Connection, id: str) -> str:
    row = connection.execute("SELECT asked FROM workos_audit_exports WHERE id = ?", (id,)).fetchone()
    asked = json.loads(row["asked"])
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for event in audit_events(connection, asked["range_start"], asked["range_end"]):
        if _wanted(event, asked):
            actor = event["actor"]
            details = [json.dumps(event.get(name)) for name in ("targets", "context", "metadata")]
            cells = [event["occurred_at"], event["action"], actor["type"], actor["id"], actor.get("name", ""), *details]
            writer.writerow([spreadsheet_cell(str(cell)) for cell in cells])
    return text.getvalue()


def _wanted(event: dict[str, Any], asked: dict[str, Any]) -> bool:
    """Whether an event passes every filter that was given."""
    has = {
        "actions": {event["action"]},
        "actor_names": {event["actor"].get("name")},
        "actor_ids": {event["actor"]["id"]},
        "targets": {target["type"] for target in event["targets"]},
    }
    return all(asked[name] is None or has[name] & set(asked[name]) for name in has)
