"""What the bundled shop and its authorization server know by name: tools, arguments, rules, scopes, accounts.

A beat that names anything else is misspelt, or meant for another server: that one says `server = "other"` at its top.
Pure data, of which a test holds that the shop says the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from http import HTTPStatus
from types import MappingProxyType

from demo.evidence import GATES
from demo.settings.tools import VERBS

TOOLS: Mapping[str, tuple[str, ...]] = VERBS
VALUES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"tshirtSize": ("S", "M", "L", "XL", "XXL"), "mode": ("normal", "banned")}
)
"""Arguments of which only these values are taken."""
RULES = (
    "open.anonymous",
    "allowed",
    *(f"token.{rule}" for rule in ("missing", "malformed", "signature", "issuer", "audience", "expired", "type")),
    *(f"standing.{rule}" for rule in ("unknown", "session", "agent", "user", "token", "banned")),
    "allowlist.user",
    "scope.insufficient",
    *(f"limits.{rule}" for rule in ("rate", "quota", "consent", "spending")),
)
SCOPES = (
    *("openid", "shop:read", "orders:read", "shop:buy", "user:read", "demo:mode"),
    *("audit:read", "sessions:manage", "offline_access"),
)
ACCOUNTS = ("alice@example.com", "grace@example.com", "mallory@example.org")
ERRORS = (
    *("invalid_request", "invalid_token", "insufficient_scope"),  # RFC 6750 section 3.1
    *("invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope"),
    *("access_denied", "unsupported_response_type", "server_error", "temporarily_unavailable"),  # RFC 6749
    *("authorization_pending", "slow_down", "expired_token"),  # RFC 8628 section 3.5
    *("invalid_target", "invalid_authorization_details", "unsupported"),  # RFC 8707, RFC 9396; the agent's own word
)
STATUSES = tuple(status.value for status in HTTPStatus)

EXPECTED: Mapping[str, Mapping[str, Collection[object]]] = MappingProxyType(
    {
        "rule": {"rule": RULES},
        "gate": {"gate": (*GATES, "door")},
        "verdict": {"verdict": ("allow", "deny")},
        "before": {"verdict": ("allow", "deny")},
        "after": {"verdict": ("allow", "deny")},
        "error": {"error": ERRORS},
        "scope": {"scope": SCOPES},
        "mode": {"mode": VALUES["mode"]},
    }
)
"""Of what is expected, by the observable: what it is, and which values there are."""
LISTS: Mapping[str, Mapping[str, Collection[object]]] = MappingProxyType(
    {"names": {"tool": tuple(TOOLS)}, "left_out": {"scope": SCOPES}, "scopes": {"scope": SCOPES}}
)
"""The same where a list of them is expected."""
