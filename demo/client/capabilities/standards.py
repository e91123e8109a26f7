"""What a server supports of each standard: its MCP, its challenge, its authorization server's metadata, its tokens."""

from __future__ import annotations

from typing import Any

from demo.client.capabilities.survey import Survey
from demo.evidence.shop import Capability
from deputize.evidence import AuthorizationServerMetadata
from deputize.http.sanitizing import safe_text
from deputize.oauth.device_flow import DEVICE
from deputize.tokens import claims

TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"

Row = tuple[bool | None, str]
"""Whether it is supported, and what in the response says so."""


def rows(seen: Survey) -> list[Capability]:
    """From the wire up to the tokens."""
    return [*server_rows(seen), *authorization_server_rows(seen), *token_rows(seen)]


def server_rows(seen: Survey) -> list[Capability]:
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
    anonymous, challenge = seen.anonymous, seen.challenge
    request = f"POST {seen.endpoint} tools/list, no token"
    if anonymous is None or challenge is None:
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
    status = f"{anonymous.status}"
    refused = anonymous.status == 401
    found = [
        Capability("MCP", "a door without auth", open_here[0], open_at, open_here[1]),
        Capability(
            "RFC 6750",
            "a challenge to who has no token",
            None if anonymous.status not in (200, 401) else refused and bool(challenge.scheme),
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
    anonymous = seen.anonymous
    if anonymous is not None and anonymous.status == 200:
        return f"POST {seen.endpoint} tools/list, no token", (True, f"200, {len(anonymous.tools)} tools")
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


def authorization_server_rows(seen: Survey) -> list[Capability]:
    """What the authorization server's metadata says of each standard; all unknown where it publishes none."""
    server = seen.authorization_server
    if server is None:
        issuer = next(iter(seen.resource.authorization_servers), "") if seen.resource else ""
        why = seen.failure("endpoint") or seen.failure("metadata") or "no authorization server metadata was found"
        request = f"GET {issuer or seen.endpoint} (well-known places)"
        metadata = None if seen.anonymous is None or seen.failure("metadata") else False
        first = Capability("RFC 8414", "authorization server metadata", metadata, request, why)
        return [first] + [Capability(standard, what, None, request, why) for standard, what, _ in _fields(_NOBODY)]
    request = f"GET {server.url or server.issuer}"
    trusted = server.problem is None
    oidc = server.url.endswith("/openid-configuration")
    says = f"200, issuer {server.issuer}" if trusted else f"200, {server.problem}"
    if not server.url:
        trusted, says = False, "none published: the endpoints of MCP 2025-03-26 are assumed"
    what = "authorization server metadata"
    found = [Capability("OIDC discovery" if oidc else "RFC 8414", what, trusted, request, says)]
    for standard, what, (supported, told) in _fields(server):
        found.append(Capability(standard, what, supported if trusted else None, request, told))
    return found


def _fields(server: AuthorizationServerMetadata) -> list[tuple[str, str, Row]]:
    """What the metadata says of each standard; a member that it lacks is a no where the standard says so."""

    def has(name: str, value: str | None) -> Row:
        return (True, f"{name} {value}") if value else (False, f"no {name}")

    def grants(name: str) -> Row:
        short = name.rpartition(":")[2]
        offered = name in server.grant_types_supported
        return offered, f"grant_types_supported {'has' if offered else 'has no'} {short}"

    device = has("device_authorization_endpoint", server.device_authorization_endpoint)
    if device[0] and DEVICE.grant_types[0] not in server.grant_types_supported:
        device = (True, f"{device[1]}; grant_types_supported does not name it")
    methods = server.code_challenge_methods_supported
    pkce: Row = ("S256" in methods, f"code_challenge_methods_supported {', '.join(methods) or 'is absent'}")
    code = has("authorization_endpoint", server.authorization_endpoint)
    algorithms = server.dpop_signing_alg_values_supported
    dpop: Row = (
        bool(algorithms),
        f"dpop_signing_alg_values_supported {', '.join(algorithms) or 'is absent'}",
    )
    iss = _flag("authorization_response_iss_parameter_supported", server.iss_in_response)
    documents = _flag("client_id_metadata_document_supported", server.client_id_metadata_documents)
    return [
        ("RFC 8628", "device login", device),
        ("RFC 6749", "browser login (authorization code)", code),
        ("RFC 7636", "PKCE with S256", pkce),
        ("RFC 9207", "iss in the authorization response", iss),
        ("MCP 2026-07-28", "client ID metadata documents", documents),
        ("RFC 7591", "dynamic client registration", has("registration_endpoint", server.registration_endpoint)),
        ("RFC 7009", "token revocation", has("revocation_endpoint", server.revocation_endpoint)),
        ("RFC 7662", "token introspection", has("introspection_endpoint", server.introspection_endpoint)),
        ("OIDC Core", "userinfo", has("userinfo_endpoint", server.userinfo_endpoint)),
        ("RFC 9449", "DPoP", dpop),
        ("RFC 8693", "token exchange", grants(TOKEN_EXCHANGE)),
    ]  # fmt: skip


def _flag(name: str, value: bool) -> Row:
    return value, f"{name} {'true' if value else 'is absent or false'}"


_NOBODY = AuthorizationServerMetadata("", "", "")


def token_rows(seen: Survey) -> list[Capability]:
    """The published keys, and of the stored token what can be read; without one that is not known."""
    jwks = seen.jwks
    uri = seen.authorization_server.jwks_uri if seen.authorization_server else None
    keys = (jwks.json or {}).get("keys") if jwks is not None and jwks.status == 200 else None
    if isinstance(keys, list):
        kinds = sorted({_kind(key) for key in keys})
        row: Row = (
            bool(keys),
            f"200, {len(keys)} key{'s' * (len(keys) > 1)}: {', '.join(kinds)}" if keys else "200, no keys",
        )
    elif uri is None:
        row = (False if seen.authorization_server and seen.authorization_server.url else None, "no jwks_uri")
    else:
        row = (None if jwks is None else False, seen.failure("jwks") or f"{jwks.status if jwks else ''}, no key set")
    found = [Capability("RFC 7517", "published signing keys", row[0], f"GET {uri}" if uri else "", row[1])]
    parsed = claims.take_apart(seen.token.access_token) if seen.token is not None else None
    none = "no token at hand: log in first (demo login)"
    if seen.token is None:
        return [
            *found,
            Capability("RFC 9068", "access tokens that can be read", None, "", none),
            Capability("RFC 8707", "a token bound to this server", None, "", f"not in the metadata; {none}"),
        ]
    says = f"typ {parsed.header.get('typ', 'absent')}" if parsed else "opaque"
    readable = parsed is not None and claims.is_access_token(parsed)
    audience = parsed.claims.get("aud") if parsed else None
    audiences = audience if isinstance(audience, list) else [audience]
    resource = seen.resource.resource if seen.resource else seen.endpoint
    bound: Row = (
        (resource in audiences, f"aud {', '.join(map(str, audiences))}")
        if parsed
        else (None, "not in the metadata, and the token is opaque")
    )
    held = "the stored token"
    return [
        *found,
        Capability("RFC 9068", "access tokens that can be read", readable, held, safe_text(says, one_line=True)),
        Capability("RFC 8707", "a token bound to this server", bound[0], held, safe_text(bound[1], one_line=True)),
    ]


def _kind(key: Any) -> str:
    if not isinstance(key, dict):
        return "?"
    return safe_text(str(key.get("alg") or key.get("kty") or "?"), one_line=True)[:16]
