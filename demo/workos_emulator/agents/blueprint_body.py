"""The body of a request that makes or changes a blueprint, read strictly; every problem is told at once."""

from __future__ import annotations

from typing import Any

from ..refused import Refused

LONGEST_NAME, LONGEST_DESCRIPTION, MOST_NAMES = 255, 1000, 1000
SETTINGS = {
    "max_age_seconds": (3600, 31_536_000),
    "access_token_ttl_seconds": (300, 3600),
    "refresh_token_ttl_seconds": (3600, 5_184_000),
}
"""Name to what it is without being asked for, and at most. Seconds."""
INSTANCE_TYPES = ("delegated", "autonomous")


def read_blueprint(body: dict[str, Any], before: dict[str, Any] | None = None) -> dict[str, Any]:
    """What the blueprint is to be: name, description, permissions, invocable_by, invocable_as, session_settings.

    Args:
        before: the blueprint that is changed; what the body leaves out stays. None for a new one.

    Raises:
        Refused: 400, naming each field that is wrong.
    """
    errors: list[dict[str, str]] = []
    old = before or {
        "name": None,
        "description": None,
        "permissions": [],
        "invocable_by": {"role_slugs": [], "organization_ids": []},
        "invocable_as": {"instance_types": list(INSTANCE_TYPES)},
        "session_settings": {name: default for name, (default, _) in SETTINGS.items()},
    }

    def wrong(field: str, must: str) -> None:
        errors.append({"field": field, "code": "invalid", "message": f"{field} must be {must}"})

    def names(field: str, given: Any, allowed: tuple[str, ...] | None = None) -> list[str]:
        fits = isinstance(given, list) and len(given) <= MOST_NAMES and all(isinstance(one, str) for one in given)
        if not fits or not all(one and (allowed is None or one in allowed) for one in given):
            wrong(field, "a list of names" if allowed is None else f"a list of: {', '.join(allowed)}")
            return []
        return list(dict.fromkeys(given))

    def part(field: str) -> dict[str, Any]:
        given = body.get(field)
        if given is not None and not isinstance(given, dict):
            wrong(field, "an object")
        return given if isinstance(given, dict) else {}

    name = body.get("name", old["name"])
    if not isinstance(name, str) or not 1 <= len(name) <= LONGEST_NAME:
        wrong("name", f"text of 1 to {LONGEST_NAME} characters")
    description = body.get("description", old["description"])
    if description is not None and not (isinstance(description, str) and 1 <= len(description) <= LONGEST_DESCRIPTION):
        wrong("description", f"text of 1 to {LONGEST_DESCRIPTION} characters, or null")
    by, as_, settings = part("invocable_by"), part("invocable_as"), dict(old["session_settings"])
    for key, given in part("session_settings").items():
        most = SETTINGS.get(key, (0, 0))[1]
        if type(given) is not int or not 1 <= given <= most:
            wrong(f"session_settings.{key}", f"a whole number from 1 to {most}" if most else "left out: unknown")
        settings[key] = given
    wanted = {
        "name": name,
        "description": description,
        "permissions": names("permissions", body.get("permissions", old["permissions"])),
        "invocable_by": {
            key: names(f"invocable_by.{key}", by.get(key, old["invocable_by"][key]))
            for key in ("role_slugs", "organization_ids")
        },
        "invocable_as": {
            "instance_types": names(
                "invocable_as.instance_types",
                as_.get("instance_types", old["invocable_as"]["instance_types"]),
                INSTANCE_TYPES,
            )
        },
        "session_settings": settings,
    }
    if errors:
        raise Refused(400, "invalid_request", "; ".join(error["message"] for error in errors), errors)
    return wanted
