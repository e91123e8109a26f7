"""Where phones reach the page: a loopback address for trying out, an address of this machine, or a tunnel's."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

from deputize import net
from deputize.errors import UsageError

DEFAULT_PORT: Final = 7329
"""After the local server's and the presenter's page's."""


@dataclass(frozen=True)
class Address:
    """Where to listen, and under which origin that is known.

    Args:
        host: the address that is listened on.
        port: the port that is asked for; None for the usual one, or a free one.
        tls: whether TLS ends here, with a certificate made for `host`.
        public: the origin that phones use, where it is not the one that is listened on: a tunnel's.
    """

    host: str = net.LOOPBACK
    port: int | None = None
    tls: bool = False
    public: str | None = None

    def origin(self, port: int) -> str:
        """The origin that phones use when this is listened on at `port`; also the issuer's name."""
        if self.public is not None:
            return self.public
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{port}"


def read(given: str) -> Address:
    """What was given with `--audience`.

    Args:
        given: empty for loopback; an IP address of this machine, with or without a port; or the `https` origin of a
            tunnel that leads to the loopback port.

    Raises:
        UsageError: it is none of these.
    """
    text = given.strip()
    if "://" in text:
        return Address(public=_tunnel(text))
    if not text:
        return Address()
    host, port = _split(text)
    try:
        address = ip_address(host)
    except ValueError:
        raise UsageError(
            f"--audience {text}: that is no IP address",
            why="phones need an address of this machine, or a tunnel's https:// address",
            do=_suggestion(),
        ) from None
    if address.is_unspecified or address.is_multicast:
        raise UsageError(
            f"--audience {text}: that is not one address", why="the page listens on one that is named", do=_suggestion()
        )
    # In the form that a browser sends it in its Host header (WHATWG URL, "host serializing").
    name = address.compressed if isinstance(address, IPv6Address) else str(address)
    return Address(name, port, tls=not net.is_loopback(name))


def own_addresses() -> tuple[str, ...]:
    """The IPv4 addresses of this machine that are not loopback."""
    import socket

    import psutil

    found = (one.address for many in psutil.net_if_addrs().values() for one in many if one.family == socket.AF_INET)
    return tuple(one for one in found if not net.is_loopback(one))


def _split(text: str) -> tuple[str, int | None]:
    """Host and port of `1.2.3.4`, `1.2.3.4:8443`, `::1`, `[::1]:8443`."""
    host, colon, port = text.rpartition(":")
    if text.startswith("[") and text.endswith("]"):
        return text[1:-1], None
    if not colon or (text.count(":") > 1 and not text.startswith("[")):
        return text, None
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise UsageError(f"--audience {text}: {port!r} is no port", do="use one from 1024 to 65535")
    return host.strip("[]"), int(port)


def _tunnel(text: str) -> str:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    plain = parts.path in ("", "/") and not (parts.query or parts.fragment or parts.username or parts.password)
    if parts.scheme != "https" or not parts.hostname or not plain:
        raise UsageError(
            f"--audience {text}: that is no tunnel's address",
            why="an authorization server is https where it is not loopback (RFC 8414 section 2), at the root of a host",
            do="use the form https://NAME.EXAMPLE",
        )
    return f"https://{parts.hostname}" + (f":{port}" if port not in (None, 443) else "")


def _suggestion() -> str:
    own = own_addresses()
    named = f"--audience={own[0]}" if own else "--audience=ADDRESS"
    return f"use {named}, or a tunnel's: --audience=https://NAME.EXAMPLE"
