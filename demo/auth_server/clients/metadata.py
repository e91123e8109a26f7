"""Client metadata (RFC 7591 section 2), as a client sends it or publishes it: read strictly, kept in bounds."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from authlib.oauth2 import OAuth2Error

from deputize.text import bounded

from ..state.accounts import ordered
from .uris import redirect_uri_objection

CODE = "authorization_code"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
AUTH_METHODS = ("none", "client_secret_basic", "client_secret_post")
"""What a client may register."""
PRIVATE_KEY_JWT = "private_key_jwt"
ENDPOINT_AUTH_METHODS = (*AUTH_METHODS, PRIVATE_KEY_JWT)
"""What the endpoints take: beside those, the method of the human's own console, which is registered beforehand."""
MOST_REDIRECT_URIS = 10
LONGEST_NAME = 60
"""Characters of a `client_name` that are shown. What is longer pushes the rest of a consent page away."""
UNNAMED = "An agent without a name"


class InvalidClientMetadata(OAuth2Error):  # type: ignore[misc]  # Authlib ships no types
    """A value of the metadata is invalid (RFC 7591 section 3.2.2)."""

    error = "invalid_client_metadata"


class InvalidRedirectUri(OAuth2Error):  # type: ignore[misc]  # Authlib ships no types
    """One of the redirect URIs is invalid (RFC 7591 section 3.2.2)."""

    error = "invalid_redirect_uri"


@dataclass(frozen=True)
class ClientMetadata:
    """What we keep of a client's metadata. All of it is the client's own claim."""

    name: str
    redirect_uris: tuple[str, ...]
    grant_types: tuple[str, ...]
    auth_method: str
    application_type: str
    scope: tuple[str, ...]
    bound: bool = False
    """Whether it always proves a key (RFC 9449 section 5.2): then it gets no bearer tokens."""

    def to_dict(self) -> dict[str, Any]:
        """As RFC 7591 section 3.2.1 answers it: everything registered, with the values registered."""
        answer: dict[str, Any] = {
            "client_name": self.name,
            "redirect_uris": list(self.redirect_uris),
            "grant_types": list(self.grant_types),
            "response_types": ["code"] if CODE in self.grant_types else [],
            "token_endpoint_auth_method": self.auth_method,
            "application_type": self.application_type,
        }
        answer |= {"scope": " ".join(self.scope)} if self.scope else {}
        return answer | ({"dpop_bound_access_tokens": True} if self.bound else {})


def read_metadata(
    given: dict[str, Any],
    *,
    supported: Sequence[str],
    auth_methods: Sequence[str] = AUTH_METHODS,
    default_auth_method: str,
) -> ClientMetadata:
    """The metadata in a JSON object; what we do not know in it is ignored (RFC 7591 section 2), and null is absent: so
    clients write what they leave out whose language has optional fields.

    Args:
        given: the parsed JSON.
        supported: the grant types that this server serves.
        auth_methods: the `token_endpoint_auth_method`s that are allowed here.
        default_auth_method: the one that is meant where none is named.

    Raises:
        InvalidRedirectUri: a redirect URI that we would not send anybody to, or none where one is needed.
        InvalidClientMetadata: another value that is of the wrong type, or that we cannot serve.
    """
    grant_types = _texts(given, "grant_types", (CODE,))
    if not set(grant_types) - {"refresh_token", TOKEN_EXCHANGE}:
        raise InvalidClientMetadata("grant_types names no grant by which a token is first got")
    if not set(grant_types) <= set(supported):
        raise InvalidClientMetadata(f"grant_types are among: {', '.join(supported)}")
    response_types = _texts(given, "response_types", ("code",) if CODE in grant_types else ())
    if not set(response_types) <= {"code"}:
        raise InvalidClientMetadata("the only response type is code")
    if CODE in grant_types and not response_types:
        raise InvalidClientMetadata("authorization_code goes with the response type code")
    auth_method = _text(given, "token_endpoint_auth_method", default_auth_method)
    if auth_method not in auth_methods:
        raise InvalidClientMetadata(f"token_endpoint_auth_method is one of: {', '.join(auth_methods)}")
    application_type = _text(given, "application_type", "web")
    if application_type not in ("native", "web"):
        raise InvalidClientMetadata("application_type is native or web")
    return ClientMetadata(
        name=clean_name(_text(given, "client_name", "")),
        redirect_uris=_redirect_uris(given, needed=CODE in grant_types),
        grant_types=tuple(grant for grant in supported if grant in grant_types),
        auth_method=auth_method,
        application_type=application_type,
        # Those that exist (section 2 lets the server choose). Kept and answered, and no limit: an agent that asks for
        # more later asks a human, who is the limit.
        scope=ordered(_text(given, "scope", "").split()),
        bound=_flag(given, "dpop_bound_access_tokens"),
    )


def clean_name(name: str) -> str:
    """A name as it may stand on a consent page: one line, no control or direction-changing character, no
    pile of marks, not long."""
    visible = "".join(" " if character.isspace() else character for character in name)
    visible = "".join(character for character in visible if unicodedata.category(character)[0] != "C")
    visible = " ".join(bounded(visible, lambda _: "").split())
    if len(visible) > LONGEST_NAME:
        visible = visible[: LONGEST_NAME - 1].rstrip() + "…"
    return visible or UNNAMED


def _redirect_uris(given: dict[str, Any], *, needed: bool) -> tuple[str, ...]:
    uris = given.get("redirect_uris")
    if uris is None:
        uris = []
    if not isinstance(uris, list) or not all(isinstance(uri, str) for uri in uris):
        raise InvalidRedirectUri("redirect_uris is an array of strings")
    if needed and not uris:
        raise InvalidRedirectUri("authorization_code needs at least one redirect URI")
    if len(uris) > MOST_REDIRECT_URIS:
        raise InvalidRedirectUri(f"there are at most {MOST_REDIRECT_URIS} redirect URIs")
    for uri in uris:
        if (why := redirect_uri_objection(uri)) is not None:
            raise InvalidRedirectUri(why)
    return tuple(dict.fromkeys(uris))


def _text(given: dict[str, Any], name: str, default: str) -> str:
    value = given.get(name)
    if value is None:
        return default
    if not isinstance(value, str):
        raise InvalidClientMetadata(f"{name} is a string")
    return value


def _flag(given: dict[str, Any], name: str) -> bool:
    value = given.get(name)
    if value is not None and not isinstance(value, bool):
        raise InvalidClientMetadata(f"{name} is true or false")
    return value is True


def _texts(given: dict[str, Any], name: str, default: tuple[str, ...]) -> tuple[str, ...]:
    value = given.get(name)
    if value is None:
        return default
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidClientMetadata(f"{name} is an array of strings")
    return tuple(value)
