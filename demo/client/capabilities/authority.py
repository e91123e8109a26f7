"""What an authorization server offers, as its metadata says (RFC 8414, OpenID Connect discovery)."""

from __future__ import annotations

from demo.client.capabilities.survey import Survey
from demo.client.oauth.device_flow import DEVICE
from demo.evidence import AuthorizationServerMetadata, Capability

TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"

Row = tuple[bool | None, str]
"""Whether it is supported, and what in the response says so."""


def rows(seen: Survey) -> list[Capability]:
    """What the authorization server's metadata says of each standard; all unknown where it publishes none."""
    authority = seen.authority
    if authority is None:
        issuer = next(iter(seen.resource.authorization_servers), "") if seen.resource else ""
        why = seen.failure("endpoint") or seen.failure("metadata") or "no authorization server metadata was found"
        request = f"GET {issuer or seen.endpoint} (well-known places)"
        metadata = None if seen.knock is None or seen.failure("metadata") else False
        first = Capability("RFC 8414", "authorization server metadata", metadata, request, why)
        return [first] + [Capability(standard, what, None, request, why) for standard, what, _ in _fields(_NOBODY)]
    request = f"GET {authority.url or authority.issuer}"
    trusted = authority.problem is None
    oidc = authority.url.endswith("/openid-configuration")
    says = f"200, issuer {authority.issuer}" if trusted else f"200, {authority.problem}"
    if not authority.url:
        trusted, says = False, "none published: the endpoints of MCP 2025-03-26 are assumed"
    what = "authorization server metadata"
    found = [Capability("OIDC discovery" if oidc else "RFC 8414", what, trusted, request, says)]
    for standard, what, (supported, told) in _fields(authority):
        found.append(Capability(standard, what, supported if trusted else None, request, told))
    return found


def _fields(authority: AuthorizationServerMetadata) -> list[tuple[str, str, Row]]:
    """What the metadata says of each standard; a member that it lacks is a no where the standard says so."""

    def has(name: str, value: str | None) -> Row:
        return (True, f"{name} {value}") if value else (False, f"no {name}")

    def grants(name: str) -> Row:
        short = name.rpartition(":")[2]
        offered = name in authority.grant_types_supported
        return offered, f"grant_types_supported {'has' if offered else 'has no'} {short}"

    device = has("device_authorization_endpoint", authority.device_authorization_endpoint)
    if device[0] and DEVICE.grant_types[0] not in authority.grant_types_supported:
        device = (True, f"{device[1]}; grant_types_supported does not name it")
    methods = authority.code_challenge_methods_supported
    pkce: Row = ("S256" in methods, f"code_challenge_methods_supported {', '.join(methods) or 'is absent'}")
    code = has("authorization_endpoint", authority.authorization_endpoint)
    algorithms = authority.dpop_signing_alg_values_supported
    dpop: Row = (
        bool(algorithms),
        f"dpop_signing_alg_values_supported {', '.join(algorithms) or 'is absent'}",
    )
    iss = _flag("authorization_response_iss_parameter_supported", authority.iss_in_response)
    documents = _flag("client_id_metadata_document_supported", authority.client_id_metadata_documents)
    return [
        ("RFC 8628", "device login", device),
        ("RFC 6749", "browser login (authorization code)", code),
        ("RFC 7636", "PKCE with S256", pkce),
        ("RFC 9207", "iss in the authorization response", iss),
        ("MCP 2026-07-28", "client ID metadata documents", documents),
        ("RFC 7591", "dynamic client registration", has("registration_endpoint", authority.registration_endpoint)),
        ("RFC 7009", "token revocation", has("revocation_endpoint", authority.revocation_endpoint)),
        ("RFC 7662", "token introspection", has("introspection_endpoint", authority.introspection_endpoint)),
        ("OIDC Core", "userinfo", has("userinfo_endpoint", authority.userinfo_endpoint)),
        ("RFC 9449", "DPoP", dpop),
        ("RFC 8693", "token exchange", grants(TOKEN_EXCHANGE)),
    ]  # fmt: skip


def _flag(name: str, value: bool) -> Row:
    return value, f"{name} {'true' if value else 'is absent or false'}"


_NOBODY = AuthorizationServerMetadata("", "", "")
