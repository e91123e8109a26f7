"""What the authorization server publishes: metadata (RFC 8414, OpenID Connect Discovery) and its keys (RFC 7517)."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from demo import proofs
from demo.scopes import SCOPES

from ..clients.metadata import ENDPOINT_AUTH_METHODS
from ..grants.authorization_details import TYPES
from ..grants.resources import served_resources
from ..grants.server import OAuthServer
from ..state.keys import ALGORITHM


def metadata(server: OAuthServer) -> dict[str, Any]:
    """The metadata document as it is now. It promises nothing that is not there."""
    context = server.context
    issuer = context.issuer
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/oauth2/authorize",
        "token_endpoint": f"{issuer}/oauth2/token",
        "device_authorization_endpoint": f"{issuer}/oauth2/device_authorization",
        "registration_endpoint": f"{issuer}/oauth2/register",
        "jwks_uri": f"{issuer}/oauth2/jwks",
        "revocation_endpoint": f"{issuer}/oauth2/revoke",
        "introspection_endpoint": f"{issuer}/oauth2/introspect",
        "userinfo_endpoint": context.userinfo_resource,
        "purchase_approval_endpoint": f"{issuer}/oauth2/purchases",  # ours: for resource servers
        "scopes_supported": list(SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(server.grant_types),
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,  # RFC 9207 section 3
        "client_id_metadata_document_supported": True,
        "token_endpoint_auth_methods_supported": list(ENDPOINT_AUTH_METHODS),
        "token_endpoint_auth_signing_alg_values_supported": [ALGORITHM],  # RFC 8414 section 2, with private_key_jwt
        "revocation_endpoint_auth_methods_supported": list(ENDPOINT_AUTH_METHODS),
        "revocation_endpoint_auth_signing_alg_values_supported": [ALGORITHM],
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic"],
        "dpop_signing_alg_values_supported": list(proofs.ALGORITHMS),  # RFC 9449 section 5.1
        "authorization_details_types_supported": list(TYPES),  # RFC 9396 section 10
        # RFC 9728 section 4; its own userinfo endpoint is one, whose tokens are asked for by `resource`.
        "protected_resources": [*served_resources(context), context.userinfo_resource],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "auth_time", "sid", "nonce", "name", "email"],
    }


def metadata_routes(server: OAuthServer) -> list[Route]:
    """The two names of the metadata, and the keys."""

    def describe(_: Request) -> JSONResponse:
        return JSONResponse(metadata(server))

    async def jwks(_: Request) -> JSONResponse:
        return JSONResponse(server.context.keys.jwks(), media_type="application/jwk-set+json")

    return [
        Route("/.well-known/oauth-authorization-server", describe, methods=["GET"]),
        Route("/.well-known/openid-configuration", describe, methods=["GET"]),
        Route("/oauth2/jwks", jwks, methods=["GET"]),
    ]
