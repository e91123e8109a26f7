"""What a beat that was cut off has left behind, undone before the next one: a policy, a ban, a suspended agent."""

from __future__ import annotations

import contextlib

from deputize.errors import ExplainedError
from talk.cast import Cast
from talk.playing.kind import Step
from talk.run import Run
from talk.script import Plan, PlannedBeat
from talk.stage.screen import Stage


def put_policy_back(cast: Cast, planned: PlannedBeat, stage: Stage) -> None:
    """Where a beat that changed the shop's policy was cut off, have the next one find it as it was."""
    from talk.playing.policy import KEPT, changed_for, put_back

    state = cast.server.state
    if (state / KEPT).exists() and changed_for(state) != planned.id:
        stage.note("A beat that changed the shop's policy was cut off: it is put back.")
        put_back(state, cast.server.worker)


def end_a_ban(run: Run, planned: PlannedBeat, cast: Cast) -> None:
    """Where a beat was cut off that has the shop ban the agent, have the next one find it let in again."""
    modes = [one.observed["mode"] for one in run.all_results() if "mode" in one.observed]
    if modes[-1:] != ["banned"] or any("mode" in step.expect for step in planned.beat.steps):
        return
    with contextlib.suppress(ExplainedError, OSError):  # which the beat will say
        cast.agent().call("prettyPlease", {})


def let_in(run: Run, plan: Plan, cast: Cast, stage: Stage) -> None:
    """Where a beat was given up that had put the agent out, by a ban of the shop's or by suspending it, undo that."""
    if not _put_out(run, plan):
        return
    from talk.playing.revoke import target_of

    agent = cast.agent()
    refused = agent.call("listMcpShopInventory", {}).decision
    rule = refused.rule if refused is not None else ""
    if rule == "standing.banned":
        agent.call("prettyPlease", {})
    elif rule in ("standing.agent", "standing.user"):
        what = rule.partition(".")[2]
        cast.humans.console().reinstate(what, target_of(agent, what))
    else:
        return
    stage.note("the beat that was given up had put the agent out: it is let in again")


def _put_out(run: Run, plan: Plan) -> bool:
    """Whether a beat that puts the agent out for a while did not come to its end, at which it lets it in again."""
    played = run.beats_played()
    return any(
        played.get(one.id) is False and any(_puts_out(step) for step in one.beat.steps)
        for one in (*plan.beats, *plan.encores)
    )


def _puts_out(step: Step) -> bool:
    """Whether a step takes the agent's standing, or its human's, which another step of its beat gives back."""
    banned = step.do == "call" and step.options.get("args", {}).get("mode") == "banned"
    return banned or (step.do == "revoke" and step.options["what"] in ("agent", "user"))
