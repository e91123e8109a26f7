"""Origins and which URLs an agent may fetch: https anywhere, http on this machine only."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from deputize.net import is_loopback

Origin = tuple[str, str, int]
"""Scheme, host, port."""

_PORTS = {"http": 80, "https": 443}


def origin(url: str) -> Origin | None:
    """Scheme, host and port of an http or https URL (RFC 6454 section 4), None for anything else."""
    try:
        parts: SplitResult = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname:
        return None
    return parts.scheme, parts.hostname.lower(), port or _PORTS[parts.scheme]


def refused_url(url: str, *, server: str) -> str | None:
    """Why an agent of `server` must not fetch `url`, or None.

    A remote server's metadata may not send the agent to addresses of the agent's own machine: that would let
    others reach what listens only there (server-side request forgery, MCP security best practices).
    """
    where = origin(url)
    if where is None:
        return "it is not an http or https URL"
    scheme, host, _ = where
    if "@" in urlsplit(url).netloc:
        return "it carries credentials of its own"
    if is_loopback(host):
        home = origin(server)
        if home is None or not is_loopback(home[1]):
            return "it points to this machine, which the server is not on"
        return None
    if scheme != "https":
        return "it is plain http, which is only allowed on this machine"
    return None
