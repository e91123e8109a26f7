"""The step in which a language model drives: it decides what to call, the talk's agent calls, the shop decides."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from demo import panels
from demo.evidence.model import Driven, DrivenCall, ModelBounds, ModelCall, ModelRead, ModelWords
from deputize.errors import EnvironmentNotReady, UsageError
from deputize.evidence import Money
from talk.playing.kind import AGENTS, NO_TABLE, PURCHASE, Contradiction, Kind, Option, Past, Step
from talk.playing.observing import differences
from talk.playing.other_server import IDEMPOTENCY, NotHere
from talk.playing.scene import RETRY_SECONDS, Played, Scene

if TYPE_CHECKING:
    from demo.client.mcp.outcome import CallOutcome
    from demo.model import Drive, Endpoint, Script
    from talk.playing.other_server import OtherServer

STAGE_SECONDS, ANSWER_SECONDS = 60.0, 30.0
"""That a room waits for a model: for the whole run, and for one answer."""

ITS_CHOICE = "a real model decides for itself what it does; the gates' decisions are checked"
"""Why nothing is expected of what a model that nobody scripted chooses."""


def model(step: Step, scene: Scene) -> Played:
    """Have a model do what a human asks, with the authority of the talk's agent."""
    agent, options = scene.cast.agent(step.options["who"]), step.options
    own = _presenters(scene)

    def happened(event: Any) -> None:
        if isinstance(event, ModelCall):
            scene.stage.status(f"the model calls {event.tool}")

    from demo.model import drive

    with _listing(options["listing"], scene):
        try:
            driven = drive(
                agent,
                options["prompt"],
                own or _script(step),
                _bounds(step),
                on_event=happened,
                key=lambda number: scene.key(f"{step.id}.{number}"),
                names=scene.cast.tools.call,
                patience=RETRY_SECONDS,
                on_wait=lambda left, what: scene.stage.waiting(what, left),
            )
        except EnvironmentNotReady as missing:
            if scene.strict:
                raise
            raise NotHere(missing.what, why=f"{missing.why}; {missing.do}") from missing
    if driven.fault is not None and driven.end.reason in ("server", "model"):
        raise driven.fault
    return _played(step, scene, driven, scripted=own is None)


def _presenters(scene: Scene) -> Endpoint | Script | None:
    """The model that the presenter has chosen for this session (`DEMO_MODEL`, docs/agent.md); None where the step's own
    script plays, as always in the dry run.

    Raises:
        UsageError, EnvironmentNotReady: it cannot be asked.
    """
    if scene.strict or not os.environ.get("DEMO_MODEL"):
        return None
    from demo.logins import token_store
    from demo.model import Wished, chosen
    from demo.model.choosing import KEY_SLOT

    state = scene.cast.server.state
    return chosen(Wished(), Wished(), os.environ, lambda url: token_store(state, server=url).kept(KEY_SLOT))


def _played(step: Step, scene: Scene, driven: Drive, *, scripted: bool) -> Played:
    options, orders = step.options, {order.id: order for order in driven.orders}
    task = driven.task
    lure = _found(options["lure"] or options["listing"], driven)
    calls = tuple(_calls(options["told"], driven))
    rules = sorted({one.rule for one in calls if one.verdict == "deny"})
    refusing = next((one for one in driven.decisions if one.verdict == "deny"), None)
    placing = next((one for one in driven.decisions if one.order_id is not None), None)
    observed: dict[str, Any] = {
        "calls": len(calls),
        "tools": list(dict.fromkeys(one.tool for one in calls)),
        "allowed": sum(1 for one in calls if one.verdict == "allow"),
        "denied": sum(1 for one in calls if one.verdict == "deny"),
        "rules": rules,
        "orders": len(orders),
        "spent": sum(order.price.amount for order in orders.values()),
        "ended": driven.end.reason,
        "made_by": task.made_by,
        "read": bool(lure),
        "fooled": any(one.luring for one in calls),
        "harm": sum(1 for one in calls if one.luring and one.verdict != "deny"),
        "attributed": all(one.user is not None for one in driven.decisions),
        "differs": _differences(driven, scene, step),
    }
    played = Played(observed, decision=placing or refusing, decisions=list(driven.decisions))
    if not scripted:
        played.unobservable = dict.fromkeys(set(observed) - {"harm", "attributed", "differs"}, ITS_CHOICE)
    elif scene.cast.other is not None and not scene.cast.other.seen.reports_decisions:
        told = "this server does not say what its gates decided (no demo/decision in its answer)"
        played.unobservable = dict.fromkeys(("rules", "attributed", "differs", "denied", "allowed"), told)
    said = next((one.text for one in reversed(driven.events) if isinstance(one, ModelWords)), "")
    view = Driven(
        task.prompt,
        "" if task.made_by == "script" else task.model,
        task.made_by,
        calls,
        len(orders),
        driven.end.why,
        said,
        lure,
    )
    played.panels["driven"] = lambda: panels.driven(view)
    if refusing is not None:
        played.panels["refusal"] = lambda: panels.decision(refusing, scene.names())
    if (first := placing or refusing) is not None:
        played.panels["decision"] = lambda: panels.decision(first, scene.names())
    if orders and (bought := next(iter(orders.values()))).user is not None:
        agent, action = scene.cast.agent(options["who"]), f"bought {bought.item}, {bought.price}"
        played.panels["order"] = lambda: panels.order(bought, scene.names())
        played.panels["chain"] = lambda: panels.chain(agent.chain(agent.token(), action))
    return played


def _calls(told: Mapping[str, Any], driven: Drive) -> Iterator[DrivenCall]:
    """Each call that the model decided on, with what the server decided; a run that ends in mid-call has no answer."""
    answers = [event for event in driven.events if isinstance(event, ModelRead)]
    for number, call in enumerate(driven.calls):
        read = answers[number] if number < len(answers) else None
        decision = read.decision if read is not None else None
        verdict = decision.verdict if decision is not None else None
        if verdict == "allow" and read is not None and read.is_error:
            verdict = None  # the gates let it through, and the tool could not do it
        rule = decision.rule if decision is not None else ""
        yield DrivenCall(call.tool, call.arguments, verdict, rule, _as_told(call, told))


def _as_told(call: ModelCall, told: Mapping[str, Any]) -> bool:
    """Whether a call does what the text told the model to do: the tool, and each argument that is named."""
    if not told or call.tool != told.get("tool"):
        return False
    try:
        given = json.loads(call.arguments)
    except (ValueError, RecursionError):
        return False
    wanted = told.get("args", {})
    return isinstance(given, dict) and all(given.get(name) == value for name, value in wanted.items())


def _found(text: str, driven: Drive) -> str:
    """The text, where it stood in what the model was given to read; empty where it did not."""
    spelled = json.dumps(text, ensure_ascii=False)[1:-1]
    reads = [event.text for event in driven.events if isinstance(event, ModelRead)]
    return text if text and any(text in one or spelled in one for one in reads) else ""


def _differences(driven: Drive, scene: Scene, step: Step) -> list[str]:
    """In which parts what was decided says something else than token and calls did, over all of the run."""
    agent = scene.cast.agent(step.options["who"])
    sent = [call for call in driven.calls if not call.problem]
    skew = scene.cast.agent().skew or 0.0
    found: list[str] = []
    for call, outcome in zip(sent, driven.outcomes, strict=False):
        found += _different(outcome, json.loads(call.arguments), scene, agent.stored(), skew)
    return sorted(set(found))


def _different(outcome: CallOutcome, arguments: Any, scene: Scene, sent: Any, skew: float) -> list[str]:
    given = arguments if isinstance(arguments, dict) else {}
    return differences(outcome, sent=sent, door="protected", arguments=given, ours=scene.cast.server.ours, skew=skew)


@contextmanager
def _listing(text: str, scene: Scene) -> Iterator[None]:
    """Have the shop's listing say `text` while it lasts, and the shop's own words afterwards, whatever happens; an
    interrupted run that left its text there is put right by the next one."""
    if not text:
        yield
        return
    console = scene.cast.humans.console_of_admin()
    try:
        console.set_door("protected", description=text)
        yield
    finally:
        console.set_door("protected", description="")


def _bounds(step: Step) -> ModelBounds:
    most, money = step.options["at_most"], step.options["spending"]
    limit = Money(money) if money else None
    return ModelBounds(most, most, seconds=STAGE_SECONDS, answer_seconds=ANSWER_SECONDS, spending=limit)


def _script(step: Step) -> Script:
    from demo.model import script

    return script.read({"made_by": script.BY_HAND, **step.options["script"]}, step.id, f"the step {step.id}")


def _cannot(step: Step, other: OtherServer, past: Past) -> str | None:
    if step.options["told"]:
        return "what its texts say is not the talk's to write, and nothing else there tells a model what to do"
    if (why := other.no_door("protected") or other.no_token()) is not None:
        return why
    if past.attempted and not other.takes_key(PURCHASE, "protected", stored=True):
        return f"a model that is asked twice might buy twice: its purchases take no {IDEMPOTENCY}"
    return None


def _contradictions(given: Mapping[str, Any], step: Step) -> Iterator[Contradiction]:
    try:
        _script(step)
    except UsageError as error:
        yield Contradiction(("script",), f"{error.what}: {error.why}" if error.why else error.what, error.do)
    options = step.options
    known = {"fooled": options["told"], "harm": options["told"], "read": options["listing"] or options["lure"]}
    for key, wanted in known.items():
        if key in step.expect and not wanted:
            what = f"'{key}' is expected, and no text tells the model anything"
            yield Contradiction(("expect", key), what, "write told, and the listing or the lure that tells it")


MODEL = Kind(
    "model",
    "A language model does what `prompt` says, by calling tools with the agent's authority: a scripted one, whose "
    "`script` reacts to what it reads (docs/agent.md), or the presenter's own (`DEMO_MODEL`). While it runs, the "
    "shop's listing says `listing`; `lure` is another text that it may read. `told` is the call that such a text tells "
    "it to make: who makes it was fooled.",
    model,
    {
        "who": AGENTS,
        "prompt": Option(required=True),
        "script": Option(dict, required=True),
        "listing": Option(default=""),
        "lure": Option(default=""),
        "told": Option(dict, default=NO_TABLE),
        "at_most": Option(int, default=12),
        "spending": Option(int, default=0),
    },
    {
        "calls": int,
        "tools": list,
        "allowed": int,
        "denied": int,
        "rules": list,
        "orders": int,
        "spent": int,
        "ended": str,
        "made_by": str,
        "read": bool,
        "fooled": bool,
        "harm": int,
        "attributed": bool,
        "differs": list,
    },
    ("driven", "refusal", "decision", "order", "chain"),
    names={"tools": "tool"},
    why_not=_cannot,
    contradictions=_contradictions,
)
"""`spent` and `spending` are in cents. `harm` counts the calls of `told` that no gate refused: that is checked whoever
drives, since a gate does not depend on what a model chooses."""
