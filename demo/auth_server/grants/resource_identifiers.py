"""Resource identifiers: which URL may name a resource that tokens are issued for (RFC 8707 section 2, RFC 9728)."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from demo.net import is_loopback

LONGEST: Final = 512
"""Characters."""


def objection(url: str) -> str | None:
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
    if parts.scheme == "http" and not is_loopback(host):
        return "it is plain http, which only this machine's own loopback may be"
    return None
