"""What became of a request: decided just now, decided before, or too late."""

from __future__ import annotations

from starlette.responses import Response

from ..device_requests import DeviceRequest
from .rendering import page
from .visit import Visit


def outcome(visit: Visit, request: DeviceRequest, state: str, status: int = 200) -> Response:
    """The outcome page. `state`: approved, denied, already-approved, already-denied, expired."""
    client = visit.authority.clients[request.client_id]
    return page("outcome.html", status, client=client, state=state)


def settled(visit: Visit, request: DeviceRequest) -> Response | None:
    """The page to show when nothing is left to decide, or None. 409: decided before; 410: expired."""
    if request.decision is not None:
        return outcome(visit, request, f"already-{request.decision}", 409)
    if request.is_expired():
        return outcome(visit, request, "expired", 410)
    return None
