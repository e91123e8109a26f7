"""Refusals in WorkOS's shape: `message`, a stable `code`, and `errors` where single fields are to blame."""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    """A request that is not followed.

    Args:
        status: 400 malformed, 401 no or a wrong API key, 403 not allowed, 404 unknown, 409 a conflict, 413 too
            long, 422 understood and still not possible.
        code: what programs tell it by.
        message: what people read.
        errors: `{"field", "code"}` each, where there are any.
    """

    def __init__(self, status: int, code: str, message: str, errors: list[dict[str, str]] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.errors = errors

    def body(self) -> dict[str, Any]:
        """The JSON body."""
        told: dict[str, Any] = {"message": self.message, "code": self.code}
        return told if self.errors is None else told | {"errors": self.errors}


def unauthorized() -> Refused:
    """The API key is missing or wrong; which of both is not said."""
    return Refused(401, "unauthorized", "Unauthorized")


def not_found(what: str, id: str) -> Refused:
    """There is no such thing."""
    return Refused(404, "entity_not_found", f"{what} not found: '{id}'.")


def malformed(field: str, why: str) -> Refused:
    """The request's own form is wrong, as the Agents API and session revocation say it."""
    return Refused(400, "invalid_request", why, [{"field": field, "code": "invalid"}])


def unprocessable(field: str, why: str) -> Refused:
    """A value cannot be what it is."""
    return Refused(422, "unprocessable_entity", why, [{"field": field, "code": "invalid"}])
