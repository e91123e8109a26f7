"""The step in which the shop wants a human at the moment of spending: refused, approved on the page, and made again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from demo import panels
from demo.evidence.grants import Answer
from deputize.errors import AuthorizationRefused
from deputize.oauth.challenge import remediation_of, scopes_of
from talk.playing.call import APPROVED
from talk.playing.kind import AGENTS, NO_TABLE, PURCHASE, Kind, Option, Past, Step
from talk.playing.login import OUTCOMES
from talk.playing.observing import hold_against_the_wire, played_call
from talk.playing.other_server import IDEMPOTENCY, OtherServer
from talk.playing.scene import Played, Scene

if TYPE_CHECKING:
    from demo.client.agent import Agent
    from demo.client.mcp.outcome import CallOutcome
    from demo.evidence.shop import Decision


def approve(step: Step, scene: Scene) -> Played:
    """Ask for the approval that a refused purchase wants, by the human's own page, and make the purchase with it."""
    from talk.stage.login import LoggingIn

    agent = scene.cast.agent(step.options["who"])
    tool, arguments = scene.cast.tools.call(PURCHASE, _arguments(step, scene))
    refused = scene.with_retries(lambda: agent.call(tool, arguments))[-1]
    challenge, details = refused.challenge, remediation_of(refused.challenge) if refused.challenge else ()
    if challenge is None or not details:
        # Not asked for an approval: what came instead is what is shown.
        return _played(refused, scene, agent, arguments, {"asked": False, "granted": False})
    logging_in = LoggingIn(
        agent,
        scene.stage,
        human=scene.cast.humans.human(step.options["account"]),
        approve=step.options["decide"] == "approve",
        ask=step.options["ask"],
        details=details,
        shown="device" in step.show,
        clicker=True,
    )
    try:
        granted = logging_in.by(_device(), scopes_of(challenge))
    except AuthorizationRefused as no:
        return _not_approved(step, scene, agent, logging_in, refused, getattr(no, "oauth_error", None), no)
    scene.cast.server.store.put(APPROVED, granted.token)
    observed: dict[str, Any] = {"asked": True, "granted": True, "consent_matches": granted.matches}
    observed["spending"] = logging_in.purchase.price.amount if logging_in.purchase is not None else 0
    if other := step.options.get("but"):
        key = {IDEMPOTENCY: f"{scene.key(step.id)}/but"}
        tried = scene.with_retries(lambda: agent.call(tool, {**arguments, **other, **key}, token=granted.token))[-1]
        observed["substituted"] = tried.allowed
    bought = scene.with_retries(lambda: agent.call(tool, arguments, token=granted.token))[-1]
    played = _played(bought, scene, agent, arguments, observed, sent=granted.token, before=refused)
    said = Answer(scene.cast.humans.account(step.options["account"]), agent.name, "yes", purchase=logging_in.purchase)
    _answered(played, scene, said)
    return played


def _arguments(step: Step, scene: Scene) -> dict[str, Any]:
    key = scene.key(step.options.get("same_as", step.id))
    return {**step.options["args"], IDEMPOTENCY: key}


def _device() -> Any:
    from deputize.oauth.device_flow import DEVICE
    from deputize.oauth.flows import ChosenFlow

    return ChosenFlow(DEVICE, "it is the talk's")


def _played(
    outcome: CallOutcome,
    scene: Scene,
    agent: Agent,
    arguments: Mapping[str, Any],
    observed: dict[str, Any],
    *,
    sent: Any = None,
    before: CallOutcome | None = None,
) -> Played:
    decisions = [one.decision for one in (before, outcome) if one is not None and one.decision is not None]
    played = played_call(outcome, scene, agent, decisions)
    hold_against_the_wire(played, outcome, scene, sent=sent or agent.stored(), arguments=arguments)
    played.observed |= observed
    return played


def _not_approved(
    step: Step,
    scene: Scene,
    agent: Agent,
    logging_in: Any,
    refused: CallOutcome,
    error: str | None,
    why: AuthorizationRefused,
) -> Played:
    """The end of a purchase that nobody approved: what the agent had is what it has."""
    if error is None:
        raise why
    outcome = OUTCOMES.get(error)
    decisions: list[Decision] = [refused.decision] if refused.decision is not None else []
    observed = {"asked": True, "granted": False, "error": error, "order": False}
    played = Played(observed, status=refused.status, decision=refused.decision, decisions=decisions)
    if outcome is None:
        scene.stage.note(f"{why.what}: {error}")
        return played
    human = scene.cast.humans.account(step.options["account"])
    said = Answer(human, agent.name, "no" if outcome == "declined" else "nothing", purchase=logging_in.purchase)
    _answered(played, scene, said)
    if step.options["decide"] == "approve":
        played.outcome, played.shown = outcome, ("answer",)
    return played


def _answered(played: Played, scene: Scene, answer: Answer) -> None:
    states = {"yes": "yes", "no": "no", "nothing": "unanswered"}
    amount = str(answer.purchase.price) if answer.purchase is not None else ""
    state: Any = states[answer.said]
    scene.stage.consent(state, human=answer.human, agent=answer.agent, amount=amount)
    played.panels["answer"] = lambda: panels.answer(answer)


def _cannot(step: Step, other: OtherServer, past: Past) -> str | None:
    return "the talk's sample human approves at the bundled authorization server only"


APPROVE = Kind(
    "approve",
    "A single purchase that a human must approve: it is refused, approved on the authorization server's page, and "
    "made. `same_as` names an earlier purchase that was refused, whose key it uses. With "
    "`but` the approval is tried first for a purchase that departs in these arguments.",
    approve,
    {
        "who": AGENTS,
        "account": Option(default="alice@example.com"),
        "door": Option(default="protected", choices=("protected",)),
        "args": Option(dict, default=NO_TABLE),
        "same_as": Option(),
        "but": Option(dict),
        "decide": Option(default="approve", choices=("approve", "deny")),
        "ask": Option(bool, default=True),
    },
    {
        "asked": bool,
        "granted": bool,
        "error": str,
        "consent_matches": bool,
        "substituted": bool,
        "spending": int,
        "status": int,
        "verdict": str,
        "gate": str,
        "rule": str,
        "is_error": bool,
        "order": bool,
        "replayed": bool,
        "price": int,
        "balance": int,
        "rate_left": int,
        "purchases_left": int,
        "money_left": int,
        "remedy": str,
        "attributed": bool,
        "audited": bool,
        "differs": list,
    },
    ("device", "answer", "order", "decision", "exchange", "chain", "limits", "challenge"),
    names={"account": "account"},
    why_not=_cannot,
    of_this_folder=True,
    draws_itself=True,
    holds=("device",),
)
