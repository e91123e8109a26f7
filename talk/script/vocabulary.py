"""The names that a talk may use: topics, and what the bundled shop and its authorization server know.

A beat that names anything else is misspelt, or meant for another server: that one says `server = "other"` at its top.
Pure data, of which a test holds that the shop says the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from http import HTTPStatus
from types import MappingProxyType

from demo.evidence.shop import GATES
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
    *(f"token.{rule}" for rule in ("bound", "proof", "nonce")),
    *(f"standing.{rule}" for rule in ("unknown", "session", "agent", "user", "token", "banned")),
    *("allowlist.user", "allowlist.client", "scope.insufficient", "open.closed"),
    *(f"limits.{rule}" for rule in ("rate", "quota", "consent", "spending", "approval")),
)
SCOPES = (
    *("openid", "shop:read", "orders:read", "orders:all", "shop:buy", "user:read", "demo:mode"),
    *("audit:read", "sessions:manage", "offline_access"),
)
ACCOUNTS = ("alice@example.com", "grace@example.com", "mallory@example.org")
ERRORS = (
    *("invalid_request", "invalid_token", "insufficient_scope"),  # RFC 6750 section 3.1
    *("invalid_dpop_proof", "use_dpop_nonce"),  # RFC 9449 section 12.1
    "insufficient_authorization",  # draft-ietf-oauth-rar-metadata-remediation section 4
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
NAMES: Mapping[str, Collection[object]] = MappingProxyType({"tool": tuple(TOOLS), "scope": SCOPES, "account": ACCOUNTS})
"""The values of options and observables that a kind of step says are such names (`talk.playing.kind.Kind.names`)."""

TOPICS: Mapping[str, str] = MappingProxyType(
    {
        "cloudflare-101": "where agents run: stateful, global",
        "workos-101": "how identity is managed: sign-in, users, sessions, audit",
        "mcp": "the protocol that connects an agent to tools",
        "deploy-button": "one click or one command, and an MCP server is live on Cloudflare",
        "github": "where the code is: link and QR code",
        "authless": "easy to do authless, but nobody can say who bought",
        "failure": "an agent without a token is refused",
        "auth-challenge": "what the refusal says, where to ask for permission, and whom",
        "oauth": "device login and consent: a human deputizes an agent",
        "benefits": "audit trail, rate limits, delegation",
        "whoami": "the user, the agent, the session and the scopes, from the token itself",
        "buy-shirt": "the agent buys, and it counts",
        "scopes": "what this agent may not do, and how it asks for more",
        "limits": "an allowlist of who, a rate limit and a purchase quota of how many times",
        "audit-trail": "who authorized what, when, through which agent",
        "revoke": "permission revoked, and the very next call refused",
        "future": "rate limits per agent, audit trails for compliance, revocation patterns",
        "real-agent": "a language model at the wheel: it decides, it is fooled by what it reads, and the gates hold",
        "call-to-action": "deputies, not users; the two questions; the code",
    }
)
"""The topics that a plan of this talk must cover: id to what the audience sees."""
