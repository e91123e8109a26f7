"""Steps in which the human revokes a grant and gives it back: revoke, reinstate."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from demo import panels
from demo.evidence.grants import Delivery, Revocation
from demo.evidence.screen import Comparison
from deputize.errors import AuthorizationRefused
from talk.playing.kind import AGENTS, TOOL, Kind, Option, Past, Step
from talk.playing.observing import differences, observe, unobservable
from talk.playing.scene import Played, Scene

if TYPE_CHECKING:
    from demo.client.agent import Agent
    from demo.client.mcp.outcome import CallOutcome
    from talk.playing.other_server import OtherServer


def revoke(step: Step, scene: Scene) -> Played:
    """Call, revoke, call again."""
    other, what = scene.cast.other, step.options["what"]
    if other is not None and (what == "token" or other.no_console() is not None):
        return _handed_back(step, scene)
    agent = scene.cast.agent(step.options["who"])
    console = scene.cast.humans.console() if what != "token" else None
    tool = scene.cast.tools.name(step.options["tool"])
    before = _called(scene, agent, tool)
    target = target_of(agent, what)
    delivered: tuple[Delivery, ...] | None = None
    if console is None:
        agent.revoke(agent.token())
    else:
        delivered = console.revoke(what, target)
    revoked_at = time.monotonic()
    # The very token of before, not a refreshed one: its JWT has not expired, and must be refused all the same.
    after = agent.call(tool, {}, refresh=False)
    seconds = time.monotonic() - revoked_at
    played = _revoked(what, target, before, after, seconds, scene, delivered or ())
    if delivered is None:
        played.unobservable["acknowledged"] = "the authorization server does not say how shops came to know"
    elif not delivered and console is not None and console.admin is not None:
        played.unobservable["acknowledged"] = "this shop asks no authorization server: it was told at its own route"
    else:
        played.observed["acknowledged"] = bool(delivered) and all(one.acknowledged for one in delivered)
    held = agent.stored()
    played.observed["unexpired"] = held is not None and held.expires_at > time.time()
    if after.decision is not None:
        played.observed["differs"] = differences(
            after, sent=held, door="protected", arguments={}, ours=scene.cast.server.ours, skew=agent.skew or 0.0
        )
    if what in ("session", "token") and scene.cast.other is None:
        played.observed["final"] = _is_final(scene, agent, str(what), target)
    elif scene.cast.other is not None:
        played.unobservable["final"] = "a session that was ended is reinstated in no standard, and so it is not tried"
    return played


def _called(scene: Scene, agent: Agent, tool: str) -> Any:
    return scene.with_retries(lambda: agent.call(tool, {}))[-1]


def _is_final(scene: Scene, agent: Agent, what: str, target: str) -> bool:
    """Whether what was ended stays ended: it is neither reinstated nor renewed."""
    try:
        if what == "session":
            scene.cast.humans.console().reinstate(what, target)
            return False
    except AuthorizationRefused:
        pass
    try:
        agent.refresh()
    except AuthorizationRefused:
        return True
    return False


def target_of(agent: Agent, what: str) -> str:
    """What is to be revoked or reinstated, by its id in the agent's token as that is: no grant has to be good, or to be
    renewed, to be taken back, and one that was taken back is not renewed until it is reinstated."""
    chain = agent.chain(agent.stored() or agent.token())
    # At AuthKit the consent is the session, and the client stands for the agent.
    names = {
        "session": chain.session or chain.consent,
        "agent": chain.agent or agent.client_id or "",
        "user": chain.human_id,
        "token": chain.token_id,
    }
    return names[what]


def _handed_back(step: Step, scene: Scene) -> Played:
    """The same at another server: the agent hands its token in (RFC 7009), and presents it once more."""
    agent = scene.cast.agent()
    tool = scene.cast.tools.name(step.options["tool"])
    held = agent.token()
    before = _called(scene, agent, tool)
    if (why := agent.revoke(held)) is not None:
        raise AuthorizationRefused("the authorization server did not confirm the revocation", why=why, do="demo doctor")
    revoked_at = time.monotonic()
    after = agent.call(tool, {}, token=held)
    played = _revoked("token", "the agent's token", before, after, time.monotonic() - revoked_at, scene)
    seen = [observe(before), observe(after)]
    tells = scene.cast.other is not None and scene.cast.other.seen.reports_decisions
    played.unobservable = unobservable(before, seen[0], tells=tells) | unobservable(after, seen[1], tells=tells)
    played.observed |= {"unexpired": held.expires_at > time.time(), "same_token": True}
    played.unobservable["acknowledged"] = "RFC 7009 does not say how shops came to know"
    played.unobservable["final"] = "the token was handed back; that it cannot be renewed is not tried"
    for name, one in zip(("before", "after"), seen, strict=True):
        if "verdict" in one:
            played.observed[name] = one["verdict"]
    if after.status == 401 and "error" not in seen[1]:
        played.unobservable["error"] = "its challenge names no error (RFC 6750 section 3.1)"
    if after.decision is None:
        same = (("the call", _http(before), _http(after)), ("its token", "the agent's", "the same, not refreshed"))
        conclusion = "Revoked at the authorization server, refused at the shop." if after.status == 401 else ""
        shown = Comparison("The same call, before and after its token was handed back (RFC 7009)", same, conclusion)
        played.panels["revocation"] = lambda: panels.comparison(shown)
    return played


def _http(outcome: CallOutcome) -> str:
    return f"HTTP {outcome.status}"


def _revoked(
    what: Any,
    target: str,
    before: CallOutcome,
    after: CallOutcome,
    seconds: float,
    scene: Scene,
    delivered: tuple[Delivery, ...] = (),
) -> Played:
    seen = observe(after)
    observed: dict[str, Any] = {name: seen[name] for name in ("status", "gate", "rule", "error") if name in seen}
    for name, decision in (("before", before.decision), ("after", after.decision)):
        if decision is not None:
            observed[name] = decision.verdict
    if before.decision is not None and after.decision is not None and before.decision.token_id is not None:
        observed["same_token"] = before.decision.token_id == after.decision.token_id
    shown = Revocation(what, target, before.decision, after.decision, seconds, delivered)
    played = Played(observed, status=after.status, decision=after.decision)
    played.decisions = [one for one in (before.decision, after.decision) if one is not None]
    played.panels["revocation"] = lambda: panels.revocation(shown, scene.names())
    if (decision := after.decision) is not None:
        played.panels["decision"] = lambda: panels.decision(decision, scene.names())
    return played


def reinstate(step: Step, scene: Scene) -> Played:
    """Reinstate, and call again."""
    agent, console = scene.cast.agent(), scene.cast.humans.console()
    what = step.options["what"]
    console.reinstate(what, target_of(agent, what))
    outcome = _called(scene, agent, scene.cast.tools.name(step.options["tool"]))
    seen = observe(outcome)
    played = Played(
        {name: seen[name] for name in ("status", "verdict", "gate", "rule") if name in seen},
        status=outcome.status,
        decision=outcome.decision,
    )
    if (decision := outcome.decision) is not None:
        played.decisions = [decision]
        played.panels["decision"] = lambda: panels.decision(decision, scene.names())
    return played


def _cannot_revoke(step: Step, other: OtherServer, _: Past) -> str | None:
    if (why := other.no_door("protected") or other.no_token()) is not None:
        return why
    if other.lent:
        return "the stored login is only borrowed for this run: the next one needs it, too"
    if other.no_console() is None:
        return other.no_tool(step.options["tool"], {}, "protected", stored=True)
    if step.options["what"] not in ("session", "token"):
        return f"revoking all that a human gave an {step.options['what']} is in no standard; RFC 7009 revokes a token"
    auth_server = other.authorization_server()
    if isinstance(auth_server, str):
        return auth_server
    if auth_server.revocation_endpoint is None:
        return f"its authorization server revokes nothing: no revocation_endpoint (RFC 7009) in {auth_server.url}"
    return other.no_tool(step.options["tool"], {}, "protected", stored=True)


def _cannot_reinstate(_: Step, other: OtherServer, __: Past) -> str | None:
    if other.no_console() is None:
        return other.no_token()
    return "reinstating is in no standard; only the bundled authorization server does it"


REVOKE = Kind(
    "revoke",
    "Call, revoke as the human, and call again at once.",
    revoke,
    {"what": Option(required=True, choices=("session", "agent", "user", "token")), "tool": TOOL, "who": AGENTS},
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
        "acknowledged": bool,
        "differs": list,
    },
    ("revocation", "decision"),
    why_not=_cannot_revoke,
)
REINSTATE = Kind(
    "reinstate",
    "Reinstate an agent or a user, as the human, and call again.",
    reinstate,
    {"what": Option(required=True, choices=("agent", "user")), "tool": TOOL},
    {"status": int, "verdict": str, "gate": str, "rule": str},
    ("decision",),
    why_not=_cannot_reinstate,
)
