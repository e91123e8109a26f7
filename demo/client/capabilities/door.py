"""Which MCP a server speaks, and what it says to who comes without a token (RFC 6750, RFC 9728)."""

from __future__ import annotations

from demo.client.capabilities.survey import Survey
from demo.client.http.sanitizing import safe_text
from demo.evidence import Capability

Row = tuple[bool | None, str]
"""Whether it is supported, and what in the response says so."""


def rows(seen: Survey) -> list[Capability]:
    """The revisions of MCP, the door without auth, the challenge and the metadata of the resource."""
    return [*_revisions(seen), *_door(seen)]


def _revisions(seen: Survey) -> list[Capability]:
    rows = [Capability(f"MCP {one.revision}", one.what, one.supported, one.request, one.response)
            for one in seen.revisions]  # fmt: skip
    if not rows:
        why = seen.failure("revisions") or seen.failure("endpoint") or "not asked"
        rows = [Capability("MCP", "any revision", None, f"POST {seen.endpoint}", safe_text(why, one_line=True))]
    return rows


def _door(seen: Survey) -> list[Capability]:
    knock, challenge = seen.knock, seen.challenge
    request = f"POST {seen.endpoint} tools/list, no token"
    if knock is None or challenge is None:
        why = seen.failure("endpoint")
        rows = [
            ("MCP", "a door without auth"),
            ("RFC 6750", "a challenge"),
            ("RFC 9728", "protected resource metadata"),
        ]
        return [Capability(standard, what, None, request, why) for standard, what in rows]
    resource = seen.resource
    hint = challenge.get("resource_metadata")
    scope = challenge.get("scope")
    open_at, open_here = _open_door(seen)
    status = f"{knock.status}"
    refused = knock.status == 401
    found = [
        Capability("MCP", "a door without auth", open_here[0], open_at, open_here[1]),
        Capability(
            "RFC 6750",
            "a challenge to who has no token",
            None if knock.status not in (200, 401) else refused and bool(challenge.scheme),
            request,
            f"{status}, WWW-Authenticate: {challenge.scheme}" if challenge.scheme else f"{status}, no WWW-Authenticate",
        ),
    ]
    for what, standard, told in (
        ("resource_metadata in the challenge", "RFC 9728", hint),
        ("scope in the challenge", "RFC 6750", scope),
    ):
        name = what.split()[0]
        says = f"{status}, {name}={told}" if told else f"{status}, no {name}"
        found.append(Capability(standard, what, bool(told) if refused else None, request, says))
    metadata: Row = (None, seen.failure("metadata"))
    if resource is not None:
        metadata = (resource.problem is None, f"200, resource {resource.resource}")
        if resource.problem:
            metadata = (False, f"200, {resource.problem}")
    elif not metadata[1]:
        metadata = (False, "no document there")
    at = resource.url if resource else hint or _well_known(seen.endpoint)
    found.append(Capability("RFC 9728", "protected resource metadata", metadata[0], f"GET {at}", metadata[1]))
    return found


def _open_door(seen: Survey) -> tuple[str, Row]:
    door = seen.open_door
    knock = seen.knock
    if knock is not None and knock.status == 200:
        return f"POST {seen.endpoint} tools/list, no token", (True, f"200, {len(knock.tools)} tools")
    base = seen.endpoint.split("/", 3)
    request = f"POST {'/'.join(base[:3])}/open/mcp tools/list, no token"
    if door is None:
        # What answers there, if anything, is no MCP server: then there is no such door.
        absent = False if seen.absent("open door") or not seen.failure("open door") else None
        why = seen.failure("open door") or f"{seen.endpoint} is its only door"
        return request, (absent, safe_text(why, one_line=True))
    return request, (door.status == 200, f"{door.status}, {len(door.tools)} tools" if door.tools else f"{door.status}")


def _well_known(endpoint: str) -> str:
    scheme, _, host, *path = endpoint.split("/", 3)
    return f"{scheme}//{host}/.well-known/oauth-protected-resource{'/' + path[0] if path else ''}"
