"""The scopes there are, each in plain words for the person who is asked (RFC 6749 section 3.3)."""

from __future__ import annotations

from collections.abc import Iterable

SCOPES: dict[str, str] = {
    "openid": "Know who you are: your name and email address",
    "shop:read": "See what the shop has",
    "orders:read": "See your orders, with their addresses",
    "shop:buy": "Buy in your name, within the limit you set",
    "user:read": "Read your profile at the shop",
    "demo:mode": "Switch the demo's mode for you",
    "audit:read": "Read the audit trail of what was done for you",
    "sessions:manage": "See and take back what you granted",
    "offline_access": "Stay signed in, without asking you each time",
}
"""Name to plain words, in the order in which a consent page lists them."""

CONSOLE_ONLY = frozenset({"sessions:manage"})
"""What only the human's own console may hold: an agent that could lift its own revocation was never revoked."""

CONSOLE = frozenset({"openid", "audit:read", "sessions:manage", "offline_access"})
"""All that the console may hold: it looks and takes back. It never shops, so that nothing is bought without an agent
that the human can revoke."""


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """The known scopes among `names`, each once, in the order of `SCOPES`."""
    wanted = set(names)
    return tuple(name for name in SCOPES if name in wanted)
