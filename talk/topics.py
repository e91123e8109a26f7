"""The topics that a plan of this talk must cover: one id for each row of the talk's table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TOPICS: Mapping[str, str] = MappingProxyType(
    {
        "cloudflare-101": "where agents run: stateful, global",
        "workos-101": "how identity is managed: sign-in, users, sessions, audit",
        "mcp": "the protocol that connects an agent to tools",
        "deploy-button": "one click or one command, and an MCP server is live on Cloudflare",
        "github": "where the code is: link and QR code",
        "authless": "easy to do authless, but nobody can say who bought",
        "failure": "an agent without a token is refused",
        "auth-challenge": "what the refusal says, where to get authority, and from whom",
        "oauth": "device login and consent: a human deputizes an agent",
        "benefits": "audit trail, rate limits, delegation",
        "whoami": "the user, the agent, the session and the scopes, from the token itself",
        "buy-shirt": "the agent buys, and it counts",
        "scopes": "what this agent may not do, and how it asks for more",
        "limits": "an allowlist of who, a rate limit and a purchase quota of how many times",
        "audit-trail": "who authorized what, when, through which agent",
        "revoke": "authority taken back, and the very next call refused",
        "future": "rate limits per agent, audit trails for compliance, revocation patterns",
        "call-to-action": "deputies, not users; the two questions; the code",
    }
)
"""Topic id to what the audience sees."""
