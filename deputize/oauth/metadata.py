"""Metadata documents: of a protected resource (RFC 9728) and of an authorization server (RFC 8414), found and read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from deputize.errors import ServerUnreachable
from deputize.evidence import AuthorizationServerMetadata, ResourceMetadata
from deputize.http.errors import no_answer, overloaded, unreadable
from deputize.http.fetch import Answer, fetch, joined
from deputize.http.origins import origin, refused_url
from deputize.http.sanitizing import safe_text
from deputize.net import is_loopback

if TYPE_CHECKING:
    import httpx2

Metadata = TypeVar("Metadata", ResourceMetadata, AuthorizationServerMetadata)

RESOURCE_PATH = "/.well-known/oauth-protected-resource"
SERVER_PATH = "/.well-known/oauth-authorization-server"
OIDC_PATH = "/.well-known/openid-configuration"


def resource_urls(server: str, hinted: str | None) -> tuple[str, ...]:
    """Where the resource's metadata may be, in the order of MCP 2026-07-28 (authorization, section 4.1).

    The `resource_metadata` of the challenge where there is one, a relative one as seen from the server; then the
    well-known path with the server's path inserted behind it, then at the root (RFC 9728 section 3.1).
    """
    parts = urlsplit(server)
    base = f"{parts.scheme}://{parts.netloc}"
    path = parts.path.rstrip("/")
    # A URL is due (RFC 9728 section 5.1); what has characters that none has is not made one.
    places = [joined(server, hinted) if hinted.isascii() and hinted.isprintable() else hinted] if hinted else []
    places += [f"{base}{RESOURCE_PATH}{path}", f"{base}{RESOURCE_PATH}"]
    return tuple(dict.fromkeys(places))


def server_urls(issuer: str) -> tuple[str, ...]:
    """Where an issuer's metadata may be: RFC 8414 section 3.1, then OpenID Connect, inserted and appended."""
    parts = urlsplit(issuer)
    base = f"{parts.scheme}://{parts.netloc}"
    path = parts.path.rstrip("/")
    if not path:
        return (f"{base}{SERVER_PATH}", f"{base}{OIDC_PATH}")
    return (f"{base}{SERVER_PATH}{path}", f"{base}{OIDC_PATH}{path}", f"{base}{path}{OIDC_PATH}")


def same_identifier(one: str, other: str) -> bool:
    """Simple string comparison (RFC 3986 section 6.2.1), save that an empty path and "/" are the same."""

    def rooted(url: str) -> str:
        return f"{url}/" if url.count("/") == 2 else url

    return rooted(one) == rooted(other)


def resource_problem(told: str, server: str) -> str | None:
    """Why metadata for `told` is not this server's (RFC 9728 section 3.3), or None.

    A resource at the same origin whose path the server's lies under is accepted, as MCP's SDKs do: the
    canonical URI of an MCP server may leave its endpoint's path out (MCP 2026-07-28, authorization).
    """
    if same_identifier(told, server) or told.rstrip("/") == server.rstrip("/"):
        return None
    if origin(told) == origin(server) and origin(told) is not None:
        parent = urlsplit(told).path.rstrip("/") + "/"
        if (urlsplit(server).path.rstrip("/") + "/").startswith(parent):
            return None
    return f"it is for {safe_text(told, one_line=True)}, not for {server} (RFC 9728 section 3.3)"


def own_name(told: str, server: str) -> str | None:
    """The URL by which a server on this machine calls itself, where it was asked by another name of this machine.

    Args:
        told: the `resource` of its metadata, such as `http://localhost:3000/mcp`.
        server: what it was asked by, such as `http://127.0.0.1:3000/mcp`; the port and the path are the same.
    """
    there, here = origin(told), origin(server)
    if there is None or here is None or not (is_loopback(there[1]) and is_loopback(here[1])):
        return None
    same = (there[0], there[2], urlsplit(told).path.rstrip("/")) == (
        here[0],
        here[2],
        urlsplit(server).path.rstrip("/"),
    )
    return safe_text(told, one_line=True) if same and there != here else None


async def find_resource(client: httpx2.AsyncClient, server: str, hinted: str | None) -> ResourceMetadata | None:
    """The server's protected resource metadata, None where each place says that there is none.

    A document for another resource is passed over; it is what comes back, with its `problem`, where no place is right.

    Raises:
        ServerUnreachable: no place has the right one, and one could not be fetched or read.
    """
    return await _first(
        client, resource_urls(server, hinted), server, lambda answer, given: _resource(answer, given, server)
    )


def _resource(answer: Answer, given: dict[str, Any], server: str) -> ResourceMetadata:
    resource = _text(given, "resource") or ""
    servers = _texts(given, "authorization_servers")
    problem = resource_problem(resource, server)
    if not resource:
        problem = "it does not say which resource it is for (RFC 9728 section 2)"
    return ResourceMetadata(
        url=safe_text(answer.url, one_line=True),
        resource=resource,
        authorization_servers=servers,
        scopes_supported=_texts(given, "scopes_supported"),
        name=_text(given, "resource_name"),
        dpop=bool(_texts(given, "dpop_signing_alg_values_supported"))
        or given.get("dpop_bound_access_tokens_required") is True,
        problem=problem,
    )


async def find_usable(
    client: httpx2.AsyncClient, issuers: Sequence[str], *, server: str
) -> AuthorizationServerMetadata | None:
    """The metadata of the first of these issuers at which a human can log in (RFC 9728 section 7.6), else of any.

    Raises:
        ServerUnreachable: none can, and one does not answer.
    """
    import anyio

    other: AuthorizationServerMetadata | None = None
    failure: ServerUnreachable | None = None
    # One that never answers must leave time for the others.
    seconds = (client.timeout.read or 0) / len(issuers) if len(issuers) > 1 else None
    for issuer in issuers:
        try:
            with anyio.move_on_after(seconds) as share:
                found = await find_server(client, issuer, server=server)
                if found is not None and found.problem is None and _offers_a_login(found):
                    return found
                if other is None or (other.problem is not None and found is not None and found.problem is None):
                    other = found
        except ServerUnreachable as error:
            failure = failure or error
        if share.cancelled_caught:
            failure = failure or no_answer(issuer, seconds or 0)
    if other is None and failure is not None:
        raise failure
    return other


def _offers_a_login(found: AuthorizationServerMetadata) -> bool:
    ways = (found.device_authorization_endpoint, found.authorization_endpoint)
    return bool(found.token_endpoint) and any(ways)


async def find_server(client: httpx2.AsyncClient, issuer: str, *, server: str) -> AuthorizationServerMetadata | None:
    """The metadata of `issuer`, None where each place says that there is none.

    A document of another issuer is passed over; it is what comes back, with its `problem`, where no place is right.

    Raises:
        ServerUnreachable: no place has the right one, and one could not be fetched or read.
    """
    # What is no URL has no well-known places; asking for it says so.
    places = (issuer,) if origin(issuer) is None else server_urls(issuer)
    return await _first(client, places, server, lambda answer, given: _server(answer, given, issuer, server))


def _server(answer: Answer, given: dict[str, Any], issuer: str, server: str) -> AuthorizationServerMetadata:
    told = _text(given, "issuer") or ""
    token_endpoint = _text(given, "token_endpoint") or ""
    problem = None
    if not same_identifier(told, issuer):
        problem = f"it says it is {told or 'nobody'}, not {issuer} (RFC 8414 section 3.3)"
    endpoints = {
        name: _text(given, name)
        for name in (
            "jwks_uri",
            "device_authorization_endpoint",
            "authorization_endpoint",
            "revocation_endpoint",
            "introspection_endpoint",
            "userinfo_endpoint",
            "registration_endpoint",
        )
    }
    for name, url in {"token_endpoint": token_endpoint, **endpoints}.items():
        if problem is None and url and (reason := refused_url(url, server=server)) is not None:
            problem = f"its {name} must not be used: {reason}"
    return AuthorizationServerMetadata(
        url=safe_text(answer.url, one_line=True),
        issuer=told,
        token_endpoint=token_endpoint,
        scopes_supported=_texts(given, "scopes_supported"),
        # Absent means authorization code and implicit (RFC 8414 section 2).
        grant_types_supported=_texts(given, "grant_types_supported") or ("authorization_code", "implicit"),
        code_challenge_methods_supported=_texts(given, "code_challenge_methods_supported"),
        token_endpoint_auth_methods_supported=_texts(given, "token_endpoint_auth_methods_supported"),
        dpop_signing_alg_values_supported=_texts(given, "dpop_signing_alg_values_supported"),
        authorization_details_types_supported=_texts(given, "authorization_details_types_supported"),
        protected_resources=_texts(given, "protected_resources"),
        iss_in_response=given.get("authorization_response_iss_parameter_supported") is True,
        client_id_metadata_documents=given.get("client_id_metadata_document_supported") is True,
        problem=problem,
        **endpoints,
    )


def fallback_server(server: str) -> AuthorizationServerMetadata:
    """What the 2025-03-26 revision assumed of a server that publishes no metadata at all (its authorization, 2.3.3).

    The endpoints at the root of the server's own origin; that revision required PKCE, so S256 is taken as known.
    """
    parts = urlsplit(server)
    base = f"{parts.scheme}://{parts.netloc}"
    return AuthorizationServerMetadata(
        url="",
        issuer=base,
        token_endpoint=f"{base}/token",
        authorization_endpoint=f"{base}/authorize",
        registration_endpoint=f"{base}/register",
        grant_types_supported=("authorization_code", "refresh_token"),
        code_challenge_methods_supported=("S256",),
        token_endpoint_auth_methods_supported=("none",),
    )


async def _first(
    client: httpx2.AsyncClient,
    urls: tuple[str, ...],
    server: str,
    read: Callable[[Answer, dict[str, Any]], Metadata],
) -> Metadata | None:
    """The first document without a problem; else the first one with; None where each place says that there is none."""
    wrong: Metadata | None = None
    unreached: ServerUnreachable | None = None
    trouble: ServerUnreachable | None = None
    for url in urls:
        try:
            answer = await fetch(client, "GET", url, server=server)
        except ServerUnreachable as error:
            unreached = unreached or error
            continue
        if answer.status == 200 and answer.json is not None:
            found = read(answer, answer.json)
            if found.problem is None:
                return found
            wrong = wrong or found
        elif answer.status == 200:
            why = "metadata is due there, and it is no JSON object (RFC 8414 section 3)"
            trouble = trouble or unreadable(answer.url, why)
        elif answer.status == 429 or answer.status >= 500:
            trouble = trouble or overloaded(answer.url, answer.status, answer.oauth_why, answer.retry_after)
    if wrong is None and (failure := trouble or unreached) is not None:
        raise failure
    return wrong


def _text(given: dict[str, Any], name: str) -> str | None:
    value = given.get(name)
    return safe_text(value, one_line=True) if isinstance(value, str) else None


def _texts(given: dict[str, Any], name: str) -> tuple[str, ...]:
    value = given.get(name)
    if not isinstance(value, list):
        return ()
    return tuple(safe_text(item, one_line=True) for item in value if isinstance(item, str))
