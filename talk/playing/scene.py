"""What every kind of step is played with, and what it gives back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from demo.evidence import Decision
from talk.cast import Cast
from talk.run import StepResult
from talk.script import Step
from talk.stage.screen import Stage

if TYPE_CHECKING:
    from rich.console import RenderableType

    from demo.client.mcp.outcome import CallOutcome

RETRY_SECONDS = 20.0
"""The longest that a step waits for a limit it did not ask for."""


@dataclass(frozen=True)
class Scene:
    """One beat being played: the actors, the stage, and what this run has seen so far."""

    run_id: str
    beat: str
    cast: Cast
    stage: Stage
    seen: Callable[[], list[StepResult]]
    strict: bool = False
    """The dry run: everything is the same each time, and nothing is asked of the machine but Python."""

    def key(self, step: str) -> str:
        """The idempotency key of a purchase: of run and step, so that a step played twice never buys twice."""
        beat, _, name = step.rpartition("/")
        return f"{self.run_id}/{beat or self.beat}/{name}"

    def patiently(self, call: Callable[[], CallOutcome]) -> list[CallOutcome]:
        """Make a call that is about something else than limits: where it is made too often (429), do what the refusal
        says and make it again, twice at most. Every outcome; the last one is the answer."""
        outcomes = [call()]
        while outcomes[-1].status == 429 and len(outcomes) < 3:
            self.wait("the rate limit, as Retry-After says", min(outcomes[-1].retry_after or 1.0, RETRY_SECONDS))
            outcomes.append(call())
        return outcomes

    def wait(self, what: str, seconds: float) -> None:
        """Wait, showing what for."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.stage.waiting(what, left)
            time.sleep(min(0.1, left))


@dataclass
class Played:
    """What a step gave: what can be observed of it, its evidence as panels (drawn when asked for), its decisions."""

    observed: dict[str, Any] = field(default_factory=dict)
    panels: dict[str, Callable[[], RenderableType]] = field(default_factory=dict)
    status: int | None = None
    decision: Decision | None = None
    decisions: list[Decision] = field(default_factory=list)
    untold: dict[str, str] = field(default_factory=dict)
    """What a stranger's server has no way to tell, each with the reason: no expectation of it is checked."""
    said: bool = False
    """Whether a panel of this step says that already; a line below it might push it off the screen."""


Player = Callable[[Step, Scene], Played]


LEFT: Mapping[str, str] = {"rate": "rate_left", "purchases": "purchases_left", "spending": "money_left"}
"""What is left of each limit, as `expect` calls it; money in cents."""
SAYS_NOT = "this server does not say what its gates decided (no demo/decision in its answer)"


def untold(outcome: CallOutcome, observed: dict[str, Any], *, tells: bool) -> dict[str, str]:
    """What of a call at a stranger's server cannot be observed; the verdict is then read from HTTP alone.

    What a server of another make does not say is nobody's failure; what it says, and says wrong, still is.

    Args:
        tells: whether the server has shown that it says what its gates decide: then it has to say it each time.
    """
    if tells:
        return {}
    missing: dict[str, str] = {}
    if outcome.decision is None:
        missing = dict.fromkeys(("gate", "rule", "attributed", "audited", "differs", "remedy"), SAYS_NOT)
        if outcome.status in (401, 403, 429):
            observed["verdict"] = "deny"
        elif outcome.allowed:
            observed["verdict"] = "allow"
    if outcome.challenge is not None and outcome.challenge.get("resource_metadata") is None:
        missing["resource_metadata"] = "its challenge names no resource_metadata (RFC 9728 section 5.1)"
    missing |= {
        name: "it does not say how much of its limits is left" for name in LEFT.values() if name not in observed
    }
    # RFC 6750 section 3.1 has no error code where no token came, as a recommendation only.
    missing["names_error"] = "whether a challenge names an error where no token came is each server's choice"
    if outcome.status != 401:  # there a challenge is a must (RFC 9110 section 15.5.2)
        missing["challenged"] = "whether it challenges where another token would help is its own choice"
    missing["price"] = "what it sells has a price of its own"
    if outcome.allowed:
        # An `order` or a `mode` of another form is that server's own, and no broken one of the shop's.
        for name, told in (("count", "items"), ("mode", "mode"), ("order", "order"), ("replayed", "order")):
            if name not in observed or (name == "order" and not observed[name]):
                missing[name] = f"its answer has no {told} in the shop's form"
        if "balance" not in observed:
            missing["balance"] = "no spending limit was agreed on here (RFC 9396)"
    return missing


def observe(outcome: CallOutcome) -> dict[str, Any]:
    """Everything that can be observed of one call; what the wire did not say is left out, never made up."""
    seen: dict[str, Any] = {"is_error": outcome.is_error, "order": outcome.order is not None}
    if outcome.status is not None:
        seen["status"] = outcome.status
    if (decision := outcome.decision) is not None:
        seen |= {"verdict": decision.verdict, "gate": decision.gate, "rule": decision.rule}
        seen["attributed"] = decision.user is not None
        header = outcome.exchanges[-1].header("Demo-Audit-Id") if outcome.exchanges else None
        seen["audited"] = header is not None and header == decision.audit_id
        seen["remedy"] = decision.remedy or ""
    if outcome.status is not None and outcome.status >= 400:
        seen["challenged"] = outcome.challenge is not None
    if (challenge := outcome.challenge) is not None:
        seen["resource_metadata"] = challenge.get("resource_metadata") is not None
        seen["names_error"] = challenge.get("error") is not None
        seen |= {name: value for name in ("error", "scope") if (value := challenge.get(name)) is not None}
    if (order := outcome.order) is not None:
        seen |= {"replayed": order.replayed, "price": order.price.amount}
        if order.balance is not None:
            seen["balance"] = order.balance.amount
    seen |= {LEFT[limit.name]: limit.left for limit in outcome.limits}
    return seen | _observe_answer(outcome.structured or {})


def _observe_answer(answer: Mapping[str, Any]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for name in ("items", "orders"):
        if isinstance(answer.get(name), list):
            seen["count"] = len(answer[name])
    if isinstance(answer.get("mode"), str):
        seen["mode"] = answer["mode"]
    return seen
