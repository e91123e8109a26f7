"""Hosts and ports of this machine: what every package asks about them, answered once."""

from __future__ import annotations

import socket
import sys
from typing import Final
from urllib.parse import urlsplit

LOOPBACK: Final = "127.0.0.1"
"""Where the servers of this program listen."""
LOOPBACK_NAMES: Final = (LOOPBACK, "localhost", "[::1]")
"""How a server of this machine is called, as in a URL."""
LOOPBACK_HOSTS: Final = frozenset({LOOPBACK, "localhost", "::1"})
"""The hosts for which an authorization server goes without TLS, as `urlsplit` names them: these and no others. A name
such as `a.localhost` may be resolved to another machine, so that `is_loopback` would promise too much there."""

_NOT_HANDED_OUT: Final = range(20_000, 32_768)
"""Below what Linux hands out (ip_local_port_range), and below the dynamic ports of others (RFC 6335 section 6)."""


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address with or without brackets, means this machine (RFC 6761 section 6.3, RFC 1122
    section 3.2.1.3, RFC 4291 section 2.5.3)."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    from ipaddress import IPv6Address, ip_address

    try:
        address = ip_address(name)
    except ValueError:
        return False
    # Python before 3.13 does not look into ::ffff:127.0.0.1, which is 127.0.0.1 to a socket.
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def is_loopback_url(url: str) -> bool:
    """Whether the host of a URL means this machine; False for what is no URL."""
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:
        return False


def listening(host: str, port: int) -> socket.socket:
    """A TCP socket that is bound to `port` (0: any free one) and that no other program can bind beside us.

    Raises:
        OSError: the port is taken.
    """
    sock = _socket(host)
    try:
        sock.bind((host, port))
        sock.listen(128)
    except BaseException:
        sock.close()
        raise
    return sock


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with _socket(LOOPBACK) as probe:
        try:
            probe.bind((LOOPBACK, port))
        except (OSError, OverflowError):
            return False
        return True


def free_port() -> int:
    """A loopback port that nobody listens on at this moment, and that no system hands out by itself: until it is
    listened on, neither who binds port 0 nor the near end of a connection is given it."""
    import random

    for port in random.sample(_NOT_HANDED_OUT, 100):
        if is_free(port):
            return port
    with _socket(LOOPBACK) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _socket(host: str) -> socket.socket:
    # The protocol is named so that asyncio sees TCP and turns Nagle off: without it a small POST takes 40 ms more.
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if sys.platform == "win32":
        # There SO_REUSEADDR lets a second program take the port over: "Using SO_REUSEADDR and SO_EXCLUSIVEADDRUSE",
        # learn.microsoft.com/windows/win32/winsock. Not tested: there is no Windows machine in these tests.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
    return sock
