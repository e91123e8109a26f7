"""The policy file as the Worker's variables: the same rules at both shops, where the Worker can have them."""

from __future__ import annotations

from typing import Final

from demo.policy_file import SHIPPED, Policy
from deputize.errors import UsageError

MOST_CALLS: Final = 100_000
"""Of a limit at the Worker, which keeps the time of each call of a window in one value (`worker/src/settings.ts`)."""
MOST_BYTES: Final = 5_000
"""Of a variable of a Worker (developers.cloudflare.com/workers/platform/limits: 5 KB)."""


def variables(policy: Policy) -> dict[str, str]:
    """What `demo deploy --policy` sets over the Worker's configuration.

    Raises:
        UsageError: the Worker cannot keep a rule of it; nothing is left out in silence.
    """
    other = [tool for tool, scope in vars(policy.scopes).items() if scope != SHIPPED.policy.scope_of(tool)]
    if other:
        raise UsageError(
            f"the Worker does not take other scopes for {', '.join(other)}",
            why="what each tool needs is in its code, which `make worker-data` writes from the policy that ships",
            do="change demo/policy.toml and run make worker-data, or leave [scopes] as it ships",
        )
    if max(policy.rate.calls, policy.rate.open_calls) > MOST_CALLS:
        raise UsageError(
            f"a rate of more than {MOST_CALLS} calls is too much for the Worker",
            why="it keeps the time of each call",
            do="set a lower one under [rate]",
        )
    allowlist = ",".join(policy.allowlist)
    if len(allowlist.encode()) > MOST_BYTES:
        raise UsageError(
            f"the allowlist is longer than {MOST_BYTES} bytes, which a variable of a Worker holds",
            do="name a domain (@DOMAIN), a role (role:SLUG) or members in place of the people",
        )
    return {
        "ALLOWLIST": allowlist,
        "RATE_CALLS": str(policy.rate.calls),
        "RATE_SECONDS": str(policy.rate.seconds),
        "OPEN_RATE_CALLS": str(policy.rate.open_calls),
        "PURCHASES_PER_CONSENT": str(policy.quota.purchases_per_consent),
        "APPROVE_ABOVE": "none" if policy.approval is None else str(policy.approval.above),
    }
