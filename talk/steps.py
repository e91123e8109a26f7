"""What a beat's step may say: each kind of step, its options, what can be observed of it and what it can show.

Pure data: the loader (`talk.script`) refuses a step that is not of these, the runner (`talk.runner`) plays them.
An option maps to the Python type its TOML value must have; the values of `choices` are the only ones allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

DOORS = ("protected", "open")
SAMPLES = ("twin", "mallory", "grace")
"""Who acts by the word of a sample human alone: a second session of the talk's agent (same human, same software, so the
same agent), the agent of a human who is not on the allowlist, and that of another human who is."""
WHO = ("agent", "nobody", "console", *SAMPLES)
"""Who calls: the talk's agent, nobody (no token), the human's console, or one of `SAMPLES`."""
TOKENS = ("stored", "other-audience", "expired", "forged")
"""Which token goes along: the stored one, one issued for another resource, one issued and left to
expire, the stored one with a claim that nobody signed."""


@dataclass(frozen=True)
class Kind:
    """One kind of step. `observes` names what `expect` may speak of; `shows` the panels, in their usual order."""

    about: str
    options: Mapping[str, type] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    observes: Mapping[str, type] = field(default_factory=dict)
    shows: tuple[str, ...] = ()

    @property
    def speaks(self) -> bool:
        """Whether it touches the wire, and so must say what it expects."""
        return bool(self.observes)


_CALL_OBSERVES: Mapping[str, type] = {
    "status": int,
    "verdict": str,
    "gate": str,
    "rule": str,
    "error": str,
    "scope": str,
    "is_error": bool,
    "attributed": bool,
    "audited": bool,
    "order": bool,
    "replayed": bool,
    "same_order": bool,
    "price": int,
    "balance": int,
    "rate_left": int,
    "purchases_left": int,
    "money_left": int,
    "count": int,
    "mode": str,
    "remedy": str,
    "challenged": bool,
    "names_error": bool,
    "resource_metadata": bool,
    "differs": list,
}
"""`differs` lists the parts of the decision, and of the order, that say something else than the token and the call did
(`talk.playing.holding`); prices and what is left of a limit are in cents, calls or purchases."""

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "say": Kind(
            "A sentence or two in large letters.", {"text": str, "title": str}, ("text",), shows=("statement",)
        ),
        "link": Kind(
            "Something to take home: a URL as text and QR code.",
            {"title": str, "url": str, "note": str, "live": bool},
            ("title", "url"),
            shows=("link",),
        ),
        "tools": Kind(
            "List a door's tools.",
            {"door": str, "who": str},
            choices={"door": DOORS, "who": WHO},
            observes={"status": int, "count": int, "names": list, "scopes": list, "revision": str},
            shows=("tools", "exchange"),
        ),
        "call": Kind(
            "Call a tool. `same_as` names an earlier purchase step whose idempotency key and arguments it reuses, "
            "`but` the arguments in which it departs from it.",
            {"tool": str, "args": dict, "door": str, "who": str, "token": str, "same_as": str, "but": dict},
            ("tool",),
            {"door": DOORS, "who": WHO, "token": TOKENS},
            _CALL_OBSERVES,
            ("exchange", "challenge", "decision", "order", "limits", "chain"),
        ),
        "challenge": Kind(
            "Call without a token and follow the challenge: RFC 9728, then RFC 8414.",
            {"tool": str},
            observes={
                "status": int,
                "scheme": str,
                "error": str,
                "scope": str,
                "resource": str,
                "authority": str,
                "trusted": bool,
                "device_flow": bool,
            },
            shows=("exchange", "challenge"),
        ),
        "login": Kind(
            "The human is asked, and decides on the authority's pages (RFC 8628; or a browser). `spending` in cents.",
            {"who": str, "account": str, "scopes": list, "spending": int, "decide": str, "ask": bool},
            ("scopes",),
            {"who": WHO, "decide": ("approve", "deny")},
            {
                "granted": bool,
                "error": str,
                "scopes": list,
                "left_out": list,
                "spending": int,
                "human": str,
                "consent_matches": bool,
                "verified": bool,
                "delegated": bool,
                "replaced": bool,
            },
            ("device", "token", "chain", "scopes"),
        ),
        "whoami": Kind(
            "Read the stored token, check it, and ask the authority's userinfo whether it agrees.",
            {"who": str},
            choices={"who": WHO},
            observes={
                "verified": bool,
                "human": str,
                "delegated": bool,
                "agrees": bool,
                "short_lived": bool,
                "lifetime": int,
                "listed": bool,
                "scopes": list,
                "problems": int,
            },
            shows=("token", "chain"),
        ),
        "burst": Kind(
            "Call one tool again and again until it is refused, wait as long as the refusal says, and call once more. "
            "At the refusal `shares` (who has the same limit) and `spares` (who has another one) call, too.",
            {"tool": str, "at_most": int, "shares": str, "spares": str},
            ("tool",),
            {"shares": SAMPLES, "spares": SAMPLES},
            observes={
                "status": int,
                "gate": str,
                "rule": str,
                "allowed": int,
                "limit": int,
                "window": int,
                "wait": int,
                "rate_left": int,
                "purchases_left": int,
                "money_left": int,
                "shared": bool,
                "spared": bool,
                "differs": list,
                "retry_after": bool,
                "recovered": bool,
            },
            shows=("decision", "limits"),
        ),
        "audit": Kind(
            "Read the audit trail as the human, and compare it with every decision this run has seen.",
            {},
            observes={
                "complete": bool,
                "missing": int,
                "others": int,
                "hidden": int,
                "digests": bool,
                "traced": bool,
                "nobody": bool,
                "refusals": bool,
            },
            shows=("audit", "chain"),
        ),
        "sessions": Kind(
            "List the sessions that the human's consents opened, as the human.",
            {},
            observes={"human": str, "live": int, "agents": int},
            shows=("sessions",),
        ),
        "revoke": Kind(
            "Call, take authority back as the human, and call again at once.",
            {"what": str, "tool": str, "who": str},
            ("what", "tool"),
            {"what": ("session", "agent", "user", "token"), "who": ("agent", *SAMPLES)},
            {
                "before": str,
                "after": str,
                "status": int,
                "gate": str,
                "rule": str,
                "error": str,
                "same_token": bool,
                "unexpired": bool,
                "final": bool,
                "differs": list,
            },
            ("revocation", "decision"),
        ),
        "reinstate": Kind(
            "Give standing back to an agent or a user, as the human, and call again.",
            {"what": str, "tool": str},
            ("what", "tool"),
            {"what": ("agent", "user")},
            {"status": int, "verdict": str, "gate": str, "rule": str},
            ("decision",),
        ),
        "rival": Kind(
            "Another agent tries this agent's refresh token at the authority; then this agent refreshes.",
            {},
            observes={"status": int, "error": str, "unharmed": bool},
            shows=("exchange",),
        ),
        "reuse": Kind(
            "A refresh token is used a second time, past the grace for a lost answer: its session has to end.",
            {"who": str, "tool": str},
            choices={"who": ("agent", *SAMPLES)},
            observes={"status": int, "error": str, "ended": bool, "gate": str, "rule": str},
            shows=("exchange",),
        ),
        "outage": Kind(
            "Call while the authorization server of this state folder gives the shop no answer, and once more after.",
            {"tool": str},
            observes={
                "status": int,
                "verdict": str,
                "gate": str,
                "rule": str,
                "challenged": bool,
                "differs": list,
                "retry_after": bool,
                "recovered": bool,
            },
            shows=("decision", "exchange"),
        ),
        "worker": Kind(
            "The shop as a Worker: deployed again where `demo deploy` did so before, else under workerd on this "
            "machine, else only described."
            " `restart`: never deployed, but stopped and started again here.",
            {"title": str, "url": str, "note": str, "restart": bool},
            ("title", "url"),
            observes={"where": str, "refused": int, "rule": str, "order": bool, "attributed": bool, "kept": bool},
            shows=("link", "decision", "order", "comparison"),
        ),
        "restart": Kind(
            "Stop the local server and start it again: what was granted and bought must still stand.",
            {},
            observes={"new_process": bool, "orders_kept": bool, "sessions_kept": bool},
            shows=("comparison",),
        ),
        "user": Kind(
            "Ask WorkOS who the human is and which sessions and consents stand; hold it against the human's console.",
            {},
            observes={
                "human": str,
                "same_user": bool,
                "sessions": int,
                "sessions_agree": bool,
                "consents": int,
                "consents_agree": bool,
            },
            shows=("user",),
        ),
        "audit-log": Kind(
            "Tell WorkOS's audit log of each order of this run, twice; read it back; list what WorkOS saw by itself.",
            {},
            observes={
                "told": int,
                "missing": int,
                "doubled": int,
                "traced": bool,
                "anonymous": bool,
                "events": list,
                "corroborated": bool,
            },
            shows=("audit-log",),
        ),
        "blueprint": Kind(
            "A WorkOS agent blueprint with `ceiling`, and a pass by it for the human; `wishes` is what it would like.",
            {"name": str, "ceiling": list, "wishes": list},
            ("name", "ceiling"),
            observes={
                "human": str,
                "same_user": bool,
                "agent_in_sub": bool,
                "verified": bool,
                "role": str,
                "permissions": list,
                "left_out": list,
                "beyond": int,
                "withheld": int,
            },
            shows=("permissions", "chain"),
        ),
        "validate": Kind(
            "Ask WorkOS live whether the pass of `blueprint` holds, and the keys; `revoke` ends its session between.",
            {"blueprint": str, "revoke": bool},
            ("blueprint",),
            observes={
                "before": bool,
                "valid": bool,
                "why": str,
                "signature": bool,
                "human": str,
                "permissions": list,
            },
            shows=("comparison",),
        ),
    }
)

MATCHERS = ("_has", "_min", "_max")
"""Suffixes of an `expect` key: the observed list contains; the observed number is at least, or at most."""


def base_key(key: str) -> str:
    """The observable that an `expect` key speaks of: `names_has` speaks of `names`."""
    return next((key[: -len(suffix)] for suffix in MATCHERS if key.endswith(suffix)), key)


def holds(key: str, wanted: Any, observed: Mapping[str, Any]) -> bool:
    """Whether one expectation holds. A missing observation holds nothing, whatever was wanted."""
    name = base_key(key)
    if name not in observed:
        return False
    seen = observed[name]
    if key.endswith("_has"):
        items = wanted if isinstance(wanted, list) else [wanted]
        return isinstance(seen, list) and all(item in seen for item in items)
    if key.endswith("_min"):
        return isinstance(seen, int | float) and seen >= wanted
    if key.endswith("_max"):
        return isinstance(seen, int | float) and seen <= wanted
    return type(seen) is type(wanted) and bool(seen == wanted)
