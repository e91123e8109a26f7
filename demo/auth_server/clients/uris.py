"""The URIs that a client names: where it may be redirected to (OAuth 2.1, RFC 8252), and which resource a token is for
(RFC 8707, RFC 9728)."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from demo.net import LOOPBACK_HOSTS

LONGEST = 512
"""Characters."""
EDITOR_SCHEMES = frozenset({"cursor", "vscode", "vscode-insiders"})
"""Private-use schemes without a period that MCP clients in use really register."""

_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]+")
_LOOPBACK = re.compile(r"(http://(?:127\.0\.0\.1|localhost|\[::1\]))(?::[0-9]{1,5})?([/?].*)?")


def redirect_uri_objection(uri: str) -> str | None:
    """Why `uri` may not be registered, or None when it may.

    It is `https`, `http` on loopback (RFC 8252 section 7.3), or a scheme of the client's own. Such a scheme has a
    period (RFC 8252 section 8.4) or is a known editor's: so none that a browser or an operating system acts upon by
    itself, as `javascript:`, `data:` or `file:`, is ever redirected to. A fragment is refused (OAuth 2.1 section 2.3).
    """
    if len(uri) > LONGEST:
        return f"a redirect URI is at most {LONGEST} characters long"
    if "#" in uri:
        return "a redirect URI has no fragment"
    if not _CHARACTERS.fullmatch(uri):  # RFC 3986 section 2: what else is in it, two parsers may read in two ways
        return "a redirect URI has the characters of RFC 3986 only"
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "this redirect URI is no URI"
    if "@" in parts.netloc:
        return "a redirect URI names no user"
    if parts.scheme in ("http", "https"):
        if not host or port == 0:
            return "a redirect URI names a host"
        if parts.scheme == "http" and not _LOOPBACK.fullmatch(uri):
            return "a redirect URI is https, or http on loopback (127.0.0.1, [::1], localhost)"
        return None
    if "." not in parts.scheme and parts.scheme not in EDITOR_SCHEMES:
        return "a redirect URI is https, http on loopback, or of a private-use scheme with a period (RFC 8252)"
    return None


def is_one_of(asked: str, registered: tuple[str, ...]) -> bool:
    """Whether `asked` is among `registered`, character for character; only the port of a loopback one is free.

    A native application listens on whatever port it gets (RFC 8252 section 7.3); `localhost` is treated alike,
    because MCP clients register it.
    """
    if asked in registered:
        return True
    found = _LOOPBACK.fullmatch(asked)
    if found is None or not _CHARACTERS.fullmatch(asked):
        return False
    return any(other.groups() == found.groups() for uri in registered if (other := _LOOPBACK.fullmatch(uri)))


def form_source(uri: str) -> str:
    """What a `form-action` must name so that a form's answer may redirect to `uri` (CSP Level 3 section 6.4.1)."""
    parts = urlsplit(uri)
    # A host-source cannot spell an IPv6 address, and a private-use scheme has no host that counts.
    if parts.scheme not in ("http", "https") or ":" in (parts.hostname or ""):
        return f"{parts.scheme}:"
    return f"{parts.scheme}://{parts.netloc}"


def resource_objection(url: str) -> str | None:
    """Why `url` cannot be a resource identifier here, or None (RFC 8707 section 2, RFC 9728 section 1.2)."""
    if len(url) > LONGEST or not url.isascii() or not url.isprintable() or any(sign in url for sign in " \"'<>\\"):
        return f"it is no URL of at most {LONGEST} characters"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "it is no URL"
    if not host or parts.scheme not in ("https", "http"):
        return "it is no absolute http or https URL"
    if "@" in parts.netloc or any(sign in url for sign in "#?*"):
        return "it has a user, a query, a fragment or a wildcard"
    if parts.scheme == "http" and host not in LOOPBACK_HOSTS:
        return "it is plain http, which only this machine's own loopback may be"
    return None
