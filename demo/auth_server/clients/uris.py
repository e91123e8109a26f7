"""The URIs that a client names: where it may be redirected to (OAuth 2.1, RFC 8252), and which resource a token is for
(RFC 8707, RFC 9728)."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import parse_qsl, urlsplit

from deputize.net import LOOPBACK_HOSTS

LONGEST = 512
"""Characters."""
EDITOR_SCHEMES = frozenset({"cursor", "vscode", "vscode-insiders"})
"""Private-use schemes without a period that MCP clients in use really register."""

OURS = frozenset({"code", "state", "iss", "error", "error_description", "error_uri"})
"""What we add to a redirect URI's query (RFC 6749 section 4.1.2, RFC 9207): where it is there already, which of the two
a client reads is anybody's guess."""

_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]+")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
"""Of a host's name (RFC 1123 section 2.1)."""
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
"""A last label that browsers take for a number, and the whole for an IPv4 address (WHATWG URL, "ends in a number")."""
_CONTROL = re.compile(r"%(?![2-9A-Fa-f][0-9A-Fa-f])|%7[Ff]")
_SEPARATOR = re.compile(r"%(?:2[EeFf]|5[Cc]|40)")
"""A dot, slash, backslash or @ that one parser reads before it is decoded, and another after."""
_LOOPBACK = re.compile(r"(http://(?:127\.0\.0\.1|localhost|\[::1\]))(?::[0-9]{1,5})?([/?].*)?")


def redirect_uri_objection(uri: str) -> str | None:
    """Why `uri` may not be registered, or None when it may.

    It is `https`, `http` on loopback (RFC 8252 section 7.3), or a scheme of the client's own. Such a scheme has a
    period (RFC 8252 section 8.4) or is a known editor's: so none that a browser or an operating system acts upon by
    itself, as `javascript:`, `data:` or `file:`, is ever redirected to. A fragment is refused (OAuth 2.1 section 2.3),
    and so is every pattern: it is compared as it stands (RFC 9700 section 2.1).
    """
    if len(uri) > LONGEST:
        return f"a redirect URI is at most {LONGEST} characters long"
    if "#" in uri:
        return "a redirect URI has no fragment"
    if not _CHARACTERS.fullmatch(uri):  # RFC 3986 section 2: what else is in it, two parsers may read in two ways
        return "a redirect URI has the characters of RFC 3986 only"
    if "*" in uri:
        return "a redirect URI has no wildcard"
    if _CONTROL.search(uri):
        return "a redirect URI encodes no control character, and each other one by two hexadecimal digits"
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "this redirect URI is no URI"
    if "@" in parts.netloc:
        return "a redirect URI names no user"
    if _SEPARATOR.search(parts.path) or any(segment in (".", "..") for segment in parts.path.split("/")):
        return "a redirect URI has no . or .. in its path, and no dot, slash, backslash or @ encoded there"
    if OURS & {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}:
        return "a redirect URI has no parameter of an authorization response"
    if parts.scheme in ("http", "https"):
        if not host or port == 0 or not _is_host(host):
            return "a redirect URI names a host"
        if parts.scheme == "http" and not _LOOPBACK.fullmatch(uri):
            return "a redirect URI is https, or http on loopback (127.0.0.1, [::1], localhost)"
        return None
    if "." not in parts.scheme and parts.scheme not in EDITOR_SCHEMES:
        return "a redirect URI is https, http on loopback, or of a private-use scheme with a period (RFC 8252)"
    return None


def _is_host(host: str) -> bool:
    """Whether that is a host's name, or an address as everybody writes it."""
    try:
        ipaddress.ip_address(host)
        return "%" not in host  # an address with a zone means another machine on each machine
    except ValueError:
        labels = host.split(".")
        return len(host) <= 253 and all(map(_LABEL.fullmatch, labels)) and not _NUMBER.fullmatch(labels[-1])


def is_one_of(asked: str, registered: tuple[str, ...]) -> bool:
    """Whether `asked` is among `registered`, character for character; only the port of a loopback one is free.

    A native application listens on whatever port it gets (RFC 8252 section 7.3); `localhost` is treated alike,
    because MCP clients register it.
    """
    if asked in registered:
        return True
    found = _LOOPBACK.fullmatch(asked)
    if found is None or redirect_uri_objection(asked) is not None:
        return False
    return any(other.groups() == found.groups() for uri in registered if (other := _LOOPBACK.fullmatch(uri)))


def leads_to_loopback(uri: str) -> bool:
    """Whether `uri` is a good redirect URI that leads nowhere but to a program on the user's own machine."""
    return _LOOPBACK.fullmatch(uri) is not None and redirect_uri_objection(uri) is None


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
