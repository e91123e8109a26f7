"""What became of a device's request: decided just now, decided before, or too late."""

from __future__ import annotations

from starlette.responses import Response

from ..clients.client import Client
from ..state.device_requests import DeviceRequest
from .rendering import page


def outcome(client: Client, state: str, status: int = 200) -> Response:
    """The outcome page. `state`: approved, denied, already-approved, already-denied, expired."""
    return page("outcome.html", status, client=client, state=state)


def settled(client: Client, request: DeviceRequest) -> Response | None:
    """The page to show when nothing is left to decide, or None. 409: decided before; 410: expired."""
    if request.decision is not None:
        return outcome(client, f"already-{request.decision}", 409)
    if request.is_expired():
        return outcome(client, "expired", 410)
    return None
