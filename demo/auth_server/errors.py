"""OAuth error codes that Authlib does not bring: RFC 8707, RFC 9396, and a realm for RFC 7617."""

from __future__ import annotations

from authlib.oauth2.rfc6749 import InvalidClientError, OAuth2Error


class InvalidTargetError(OAuth2Error):  # type: ignore[misc]  # Authlib ships no types
    """The requested resource is unknown, malformed, or was not granted (RFC 8707 section 2)."""

    error = "invalid_target"


class InvalidAuthorizationDetailsError(OAuth2Error):  # type: ignore[misc]  # Authlib ships no types
    """The authorization details are of no known type or not as that type asks (RFC 9396 section 5)."""

    error = "invalid_authorization_details"


class BasicRequiredError(InvalidClientError):  # type: ignore[misc]  # Authlib ships no types
    """Client authentication by HTTP Basic is missing or wrong (RFC 6749 section 5.2, RFC 7617 section 2)."""

    def __init__(self) -> None:
        super().__init__("authenticate with the resource server's id and secret by HTTP Basic", status_code=401)

    def get_headers(self) -> list[tuple[str, str]]:
        """Authlib's headers, with the realm that RFC 7617 requires of a challenge."""
        headers = [(name, value) for name, value in super().get_headers() if name != "WWW-Authenticate"]
        return [*headers, ("WWW-Authenticate", 'Basic realm="introspection", charset="UTF-8"')]
