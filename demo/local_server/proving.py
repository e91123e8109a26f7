"""How a local server proves that it is this state folder's own: by what another user cannot know.

Any user of a machine may listen on a port that a server has left, and repeat all that `/health` tells everybody. So
each local server makes a secret at its start and writes it into the state folder, which is its user's alone; a command
sends a random challenge first, and nothing else before the answer is right.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Any

CHALLENGE = "challenge"
"""The query parameter of `/health` that asks for a proof."""
LONGEST_CHALLENGE = 128


def new_secret() -> str:
    """A server's secret for as long as its process lives: 256 random bits."""
    return secrets.token_hex(32)


def proof(secret: str, base_url: str, instance: str, challenge: str) -> str:
    """What only the holder of `secret` can answer to a challenge (HMAC-SHA256, RFC 2104).

    The server's address is part of it: another program cannot pass the challenge on to the true server, which listens
    elsewhere, and answer with what that says.
    """
    told = "\n".join(("demo local server", base_url, instance, challenge))
    return hmac.new(secret.encode(), told.encode(), "sha256").hexdigest()


def proves(answer: Any, secret: str, base_url: str, instance: str, challenge: str) -> bool:
    """Whether an answer to a challenge is right; told in constant time."""
    wanted = proof(secret, base_url, instance, challenge)
    return isinstance(answer, str) and hmac.compare_digest(answer.encode(), wanted.encode())
