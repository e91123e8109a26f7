"""Which network addresses are the internet at large: none of a range that means this machine, this network, another
network by way of a translator or tunnel, or nobody.

The ranges are those of the IANA special-purpose address registries, whole, also where they call a range globally
reachable: no client publishes its document from an anycast service. `ipaddress.is_global` is not enough: it has had
gaps (CVE-2024-4032), and knows nothing of what an address is translated to.
"""

from __future__ import annotations

import ipaddress

_SPECIAL_V4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by customers of a carrier
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, and where clouds keep their machines' credentials
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # IETF protocol assignments, NAT64 discovery among them
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays, once
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast among it
    )
)
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
"""All that IANA has for global unicast. Outside are loopback, `::a.b.c.d` and `::ffff:a.b.c.d`, NAT64 (64:ff9b::/96 and
64:ff9b:1::/48), discard-only, SRv6, unique local, link-local, site-local and multicast addresses."""
_SPECIAL_V6 = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # IETF protocol assignments: Teredo, ORCHID, benchmarks and others
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which leads to any IPv4 address
        "2620:4f:8000::/48",  # AS112
        "3ffe::/16",  # the 6bone, which was given back
        "3fff::/20",  # documentation
    )
)
_ISATAP = (0x00005EFE, 0x02005EFE)
"""In an interface identifier, before the IPv4 address that it is a tunnel to (RFC 5214 section 6.1)."""


def is_public(address: str) -> bool:
    """Whether an address belongs to the internet at large; False for what is no address."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return not any(ip in network for network in _SPECIAL_V4)
    if ip not in _GLOBAL_V6 or any(ip in network for network in _SPECIAL_V6):
        return False
    return int(ip) >> 32 & 0xFFFFFFFF not in _ISATAP
