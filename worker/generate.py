"""Write the shop's data as TypeScript: `python worker/generate.py` (`make worker-data`).

One source for two shops: what `demo/shop/shop.toml`, `deputize/access_tokens.py` and `demo/proofs.py` say is
written to `worker/src/generated/shop.ts`. With `--check` nothing is written, and the exit code is 1 where the file is
stale.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from demo import proofs
from demo.policy_file import SHIPPED
from demo.shop import catalog
from deputize import access_tokens

TARGET = Path(__file__).parent / "src" / "generated" / "shop.ts"
HEAD = (
    "/** The shop's data: written by `make worker-data` from `demo/shop/shop.toml`, `demo/policy.toml`,\n"
    " * `deputize/access_tokens.py` and `demo/proofs.py`. Change it there, never here. */\n"
)


def text() -> str:
    """The whole of the generated file."""
    policy = SHIPPED.policy
    found: dict[str, tuple[str, Any]] = {
        "SERVER": (
            "What the MCP server says of itself.",
            {"name": catalog.SERVER_NAME, "title": catalog.SERVER_TITLE, "instructions": catalog.INSTRUCTIONS},
        ),
        "ITEM": (
            "The one thing to buy.",
            {
                "id": catalog.ITEM_ID,
                "name": catalog.ITEM_NAME,
                "description": catalog.ITEM_DESCRIPTION,
                "sizes": catalog.SIZES,
                "price": asdict(catalog.PRICE),
            },
        ),
        "SCOPES": (
            "Scopes that no tool names, and the words of a spending limit (RFC 9396).",
            {
                "default": catalog.DEFAULT_SCOPE,
                "audit": catalog.AUDIT_SCOPE,
                "everyOrder": catalog.EVERY_ORDER_SCOPE,
                "manage": catalog.MANAGE_SCOPE,
                "shopper": catalog.SHOPPER_SCOPES,
                "adminRole": catalog.ADMIN_ROLE,
                "spendingType": catalog.SPENDING_TYPE,
                "purchaseType": catalog.PURCHASE_TYPE,
                "spendingAction": catalog.SPENDING_ACTION,
            },
        ),
        "SAMPLE_ADDRESSES": ("The only addresses that the open door tells.", sorted(catalog.SAMPLE_ADDRESSES)),
        "LIMITS": (
            "Limits, and the defaults of those that a variable may change.",
            {
                "rate_calls": policy.rate.calls,
                "rate_seconds": policy.rate.seconds,
                "open_rate_calls": policy.rate.open_calls,
                "purchases_per_consent": policy.quota.purchases_per_consent,
                "approve_above": None if policy.approval is None else policy.approval.above,
                **asdict(catalog.LIMITS),
            },
        ),
        "TOOLS": (
            "The tools as `tools/list` gives them.",
            [tool.listed(policy.scope_of(tool.name) or "") for tool in catalog.TOOLS.values()],
        ),
        "RULES": (
            "The rules of the gates: gate, HTTP status, challenge, and reason and remedy of each variant.",
            {
                rule.id: {
                    "gate": rule.gate,
                    "status": rule.status,
                    "challenge": rule.challenge,
                    "words": {name: {"reason": words[0], "remedy": words[1]} for name, words in rule.words.items()},
                }
                for rule in catalog.RULES.values()
            },
        ),
        "SENTENCES": ("Every other sentence.", catalog.SENTENCES),
        "TOKEN_TYPES": (
            "What tells an access token from others, as `deputize/access_tokens.py` explains it.",
            {
                "rfc9068": sorted(access_tokens.RFC_9068),
                "authkit": sorted(access_tokens.AUTHKIT),
                "authkitHosts": access_tokens.AUTHKIT_HOSTS,
                "authkitConsent": access_tokens.AUTHKIT_CONSENT,
                "loginClaims": access_tokens.LOGIN_CLAIMS,
                "objections": access_tokens.OBJECTIONS,
            },
        ),
        "PROOFS": (
            "Proofs of possession (RFC 9449), as `demo/proofs.py` explains them.",
            {
                "algorithms": proofs.ALGORITHMS,
                "type": proofs.TYPE,
                "seconds": proofs.SECONDS,
                "aheadSeconds": proofs.AHEAD_SECONDS,
                "nonceSeconds": proofs.NONCE_SECONDS,
                "longest": proofs.LONGEST,
                "longestId": proofs.LONGEST_ID,
            },
        ),
    }
    parts = [
        f"\n/** {about} */\nexport const {name} = {json.dumps(value, indent=2, ensure_ascii=False)} as const;\n"
        for name, (about, value) in found.items()
    ]
    return HEAD + "".join(parts)


def main(arguments: list[str]) -> int:
    """Write the file, or say whether it is fresh."""
    if arguments == ["--check"]:
        fresh = TARGET.is_file() and TARGET.read_text("utf-8") == text()
        sys.stdout.write("" if fresh else f"{TARGET} is stale: run make worker-data\n")
        return 0 if fresh else 1
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(text(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
