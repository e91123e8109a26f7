"""Why a step is not played: the server at hand cannot do it, or what it would show was not made ready."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from talk.cast import Cast
from talk.playing import KINDS
from talk.playing.kind import PURCHASE, SAMPLES, SUB_AGENTS, Past, Step
from talk.run import Run
from talk.script import Plan, PlannedBeat

if TYPE_CHECKING:
    from talk.playing.other_server import OtherServer

QUOTA = "limits.quota"
"""The rule by which a consent's last purchase is followed by no more."""
_SETS_UP: Mapping[str, str] = {"policy": "limits.approval", "revoke": "standing."}
"""Kinds of step that make a shop refuse afterwards, each with how the rules begin by which it does."""


def why_not(run: Run, cast: Cast, beat: str, step: Step, other: OtherServer | None) -> str | None:
    """Why the server at hand cannot do this step; the bundled one can do every one, or the step is red."""
    kind = KINDS[step.do]
    if not kind.speaks or cast.server.is_local:
        return None
    if other is None:
        if not kind.of_this_folder or cast.server.worker is not None:
            return None
        if cast.server.beside:
            return "only demo run --worker can start its own Worker again"
        return "the server was not started from this state folder"
    if step.options.get("who") in SAMPLES:
        return "it is played by a sample human of the bundled authorization server"
    granted = any(
        result.do == "login" and result.id != step.id and result.observed.get("granted") is True
        for result in run.all_results()
    )
    return kind.why_not(step, other, Past(run.attempted(beat, step.id), granted))


def unprepared(run: Run, cast: Cast, beat: str, step: Step, play: int) -> str | None:
    """Why a call is not made that is meant to be refused: what would refuse it was to be set up by a step of this
    play that was skipped. It would be let through, and a purchase would be a real one."""
    if step.do == "model" and QUOTA in step.expect.get("rules", ()) and not _quota_used(run, cast):
        return "nothing would refuse it: the quota of this consent was not used up before"
    rule = step.expect.get("rule", "") if step.do == "call" else ""  # the other kinds bring their refusal about
    for earlier in run.results(beat, play).values():
        if earlier.skipped and rule and rule.startswith(_SETS_UP.get(earlier.do, "?")):
            return f"nothing would refuse it: {earlier.id} was skipped ({earlier.skipped})"
    return None


def _quota_used(run: Run, cast: Cast) -> bool:
    """Whether this run has seen the present consent refused for its quota."""
    now = cast.consent()
    return any(
        (one.get("rule"), one.get("consent")) == (QUOTA, now)
        for result in run.all_results()
        for one in (result.decision or {}, *result.decisions)
    )


def stale_limits(run: Run, plan: Plan, cast: Cast, planned: PlannedBeat, step: Step) -> str | None:
    """Why this purchase is not made: what it would show of a quota was used up under an earlier consent.

    A purchase played again finds its order and takes nothing from the new consent, so that the beat's next one
    would really buy, where it is meant to be refused.
    """
    buys = step.do == "call" and step.options["tool"] == PURCHASE and step.options["door"] == "protected"
    if not (buys or step.do == "model"):
        return None
    if "same_as" in step.options or step.options["who"] not in ("agent", *SUB_AGENTS):
        return None
    if not other_consent(run, plan, cast, planned, step.options["who"]):
        return None
    return "the purchases before it were made under an earlier consent; demo reset begins a fresh run"


def other_consent(run: Run, plan: Plan, cast: Cast, planned: PlannedBeat, who: str = "agent") -> bool:
    """Whether the purchases that this beat builds on were made under another consent than the present one of who
    buys."""
    steps = [step for need in planned.beat.needs for step in _steps_of(plan, need)] + list(planned.beat.steps)
    own = {step.id for step in steps if step.options.get("who", "agent") == who}
    bought = [one for one in run.purchases([*planned.beat.needs, planned.id]) if one.id in own]
    earlier = {(result.decision or {}).get("consent") for result in bought} - {None}
    # A sub-agent buys in one beat alone: what it bought there before was of a consent that is over.
    builds_on_purchases = who in SUB_AGENTS or any(
        other.options.get("tool") == PURCHASE for need in planned.beat.needs for other in _steps_of(plan, need)
    )
    now = cast.consent(who)
    return builds_on_purchases and bool(earlier) and now is not None and earlier != {now}


def _steps_of(plan: Plan, beat: str) -> tuple[Step, ...]:
    planned = plan.find(beat)
    return planned.beat.steps if planned else ()
