"""Steps of the human in control: audit, sessions, revoke, reinstate, and the restart that must change nothing."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from demo import panels
from demo.errors import AuthorityRefused
from demo.evidence import Chain, Comparison, Decision, Revocation
from talk.playing.holding import differences
from talk.playing.login import person_of
from talk.playing.scene import Played, Scene, observe, untold
from talk.script import Step

if TYPE_CHECKING:
    from demo.client.agent import Agent
    from demo.client.mcp.outcome import CallOutcome
    from demo.evidence import SessionView

_DIGEST = re.compile(r"sha256:[0-9a-f]{16}")
"""What stands for a call's arguments: an address must not be read in the trail."""
TRAIL = 1000
"""Entries of the audit trail that are read: the latest, and so all that a run has made."""


def audit(_: Step, scene: Scene) -> Played:
    """The trail as the human reads it, held against every decision that this run has seen."""
    trail = _trail(scene)
    seen = [Decision.from_dict(dict(decision)) for result in scene.seen() for decision in result.decisions]
    me = _reader(scene)
    ours = [decision for decision in seen if decision.user in (None, me)]
    written = {entry.audit_id: entry for entry in trail}
    others = {decision.audit_id for decision in seen} - {decision.audit_id for decision in ours}
    missing = [one for one in ours if (two := written.get(one.audit_id)) is None or _said(one) != _said(two)]
    mine = {decision.audit_id for decision in ours}
    orders = [entry for entry in trail if entry.audit_id in mine and entry.order_id and entry.door == "protected"]
    shown = tuple(entry for entry in trail if entry.audit_id in mine)
    listed = scene.cast.console().sessions() if orders and scene.cast.house is None else ()
    observed: dict[str, Any] = {
        "complete": bool(ours) and not missing,
        "missing": len(missing),
        "others": sum(1 for entry in trail if entry.user not in (None, me)),
        "hidden": len(others - written.keys()),
        "digests": all(_DIGEST.fullmatch(entry.arguments or "") for entry in shown if entry.tool is not None),
        "traced": bool(orders) and all(_leads_back(entry, scene, listed) for entry in orders),
        "nobody": any(entry.door == "open" and entry.user is None for entry in shown),
        "refusals": any(entry.verdict == "deny" for entry in shown),
    }
    played = Played(observed, {"audit": lambda: panels.audit(shown)})
    if scene.cast.house is not None:
        played.untold["hidden"] = "no sample human of another name signs in at this server's authorization server"
    if orders:
        played.panels["chain"] = lambda: panels.chain(_traced(orders[-1], scene))
    return played


def _reader(scene: Scene) -> str | None:
    """The human whose console reads, by the id in its token."""
    from demo.client.tokens import claims

    jwt = claims.take_apart(scene.cast.console().agent.token().access_token)
    subject = jwt.claims.get("sub") if jwt is not None else None
    return subject if isinstance(subject, str) else None


def _leads_back(entry: Decision, scene: Scene, listed: tuple[SessionView, ...]) -> bool:
    """Whether an order leads back to its human, its agent and a consent given before it, as the authorization server
    lists them. AuthKit names no agent but the client, and its session is the consent: these are then what it leads to.
    """
    if scene.cast.house is None:
        return bool(entry.user) and any(
            (one.id, one.consent, one.agent, one.client) == (entry.session, entry.consent, entry.agent, entry.client)
            and (one.created_at or 0.0) <= entry.at
            for one in listed
        )
    return bool(entry.user and (entry.agent or entry.client) and (entry.consent or entry.session))


def _traced(entry: Decision, scene: Scene) -> Chain:
    """An order's chain as the audit trail and the authority's list of sessions tell it; no token is asked."""
    consent = entry.consent or entry.session or ""
    session = next((one for one in scene.cast.console().sessions() if one.consent == consent), None)
    return Chain(
        human=entry.username or entry.user or "",
        human_id=entry.user or "",
        agent=entry.agent or entry.client or "",
        client=session.client_name if session else entry.client or "",
        session=entry.session or "",
        consent=consent,
        action=f"placed {entry.order_id}",
        token_id=entry.token_id or "",
        scopes=session.scopes if session else (),
        spending_limit=session.spending_limit if session else None,
        at=entry.at,
        source=f"audit trail entry {entry.audit_id}, and the authority's list of sessions",
        convention="the shop's own record: user, agent and consent of the decision",
    )


def sessions(_: Step, scene: Scene) -> Played:
    """The sessions that the human's consents opened."""
    console = scene.cast.console()
    listed = console.sessions()
    strange, token = scene.cast.house is not None, console.agent.token()
    info = person_of(console.agent, token) if strange else console.agent.userinfo(token)
    observed: dict[str, Any] = {
        "live": sum(1 for session in listed if session.revoked_at is None),
        "agents": len({session.agent for session in listed if session.agent}),
    }
    if info is not None:
        observed["human"] = str(info.get("email", ""))
    untold = {"human": "the human here is not the talk's sample human"} if strange else {}
    return Played(observed, {"sessions": lambda: panels.sessions(listed, time.time())}, untold=untold)


def revoke(step: Step, scene: Scene) -> Played:
    """Call, revoke, call again."""
    house, what = scene.cast.house, step.options["what"]
    if house is not None and (what == "token" or house.no_console() is not None):
        return _given_back(step, scene)
    agent = scene.cast.agent(step.options["who"])
    console = scene.cast.console() if what != "token" else None
    tool = scene.cast.tools.name(step.options["tool"])
    before = _called(scene, agent, tool)
    target = target_of(agent, what)
    if console is None:
        agent.revoke(agent.token())
    else:
        console.revoke(what, target)
    revoked_at = time.monotonic()
    # The very token of before, not a refreshed one: its JWT has not expired, and must be refused all the same.
    after = agent.call(tool, {}, refresh=False)
    seconds = time.monotonic() - revoked_at
    played = _revoked(what, target, before, after, seconds)
    held = agent.stored()
    played.observed["unexpired"] = held is not None and held.expires_at > time.time()
    if after.decision is not None:
        played.observed["differs"] = differences(
            after, sent=held, door="protected", arguments={}, ours=scene.cast.ours, skew=agent.skew or 0.0
        )
    if what in ("session", "token") and scene.cast.house is None:
        played.observed["final"] = _is_final(scene, agent, str(what), target)
    elif scene.cast.house is not None:
        played.untold["final"] = "a session that was ended is reinstated in no standard, and so it is not tried"
    return played


def _is_final(scene: Scene, agent: Agent, what: str, target: str) -> bool:
    """Whether what was ended stays ended: it is neither reinstated nor renewed."""
    try:
        if what == "session":
            scene.cast.console().reinstate(what, target)
            return False
    except AuthorityRefused:
        pass
    try:
        agent.refresh()
    except AuthorityRefused:
        return True
    return False


def target_of(agent: Agent, what: str) -> str:
    """Whose authority is meant, by the id in the agent's token."""
    chain = agent.chain(agent.token())
    # At AuthKit the consent is the session, and the client stands for the agent.
    names = {
        "session": chain.session or chain.consent,
        "agent": chain.agent or agent.client_id or "",
        "user": chain.human_id,
        "token": chain.token_id,
    }
    return names[what]


def _given_back(step: Step, scene: Scene) -> Played:
    """The same at a stranger's server: the agent hands its token in (RFC 7009), and presents it once more."""
    agent = scene.cast.agent()
    tool = scene.cast.tools.name(step.options["tool"])
    held = agent.token()
    before = _called(scene, agent, tool)
    if (why := agent.revoke(held)) is not None:
        raise AuthorityRefused("the authority did not confirm the revocation", why=why, do="demo doctor")
    revoked_at = time.monotonic()
    after = agent.call(tool, {}, token=held)
    played = _revoked("token", "the agent's token", before, after, time.monotonic() - revoked_at)
    seen = [observe(before), observe(after)]
    tells = scene.cast.house is not None and scene.cast.house.seen.tells_decisions
    played.untold = untold(before, seen[0], tells=tells) | untold(after, seen[1], tells=tells)
    played.observed |= {"unexpired": held.expires_at > time.time(), "same_token": True}
    played.untold["final"] = "the token was handed back; that it cannot be renewed is not tried"
    for name, one in zip(("before", "after"), seen, strict=True):
        if "verdict" in one:
            played.observed[name] = one["verdict"]
    if after.status == 401 and "error" not in seen[1]:
        played.untold["error"] = "its challenge names no error (RFC 6750 section 3.1)"
    if after.decision is None:
        same = (("the call", _http(before), _http(after)), ("its token", "the agent's", "the same, not refreshed"))
        told = "Taken back at the authority, refused at the server." if after.status == 401 else ""
        shown = Comparison("The same call, before and after its token was handed back (RFC 7009)", same, told)
        played.panels["revocation"] = lambda: panels.comparison(shown)
    return played


def _http(outcome: CallOutcome) -> str:
    return f"HTTP {outcome.status}"


def _revoked(what: Any, target: str, before: CallOutcome, after: CallOutcome, seconds: float) -> Played:
    seen = observe(after)
    observed: dict[str, Any] = {name: seen[name] for name in ("status", "gate", "rule", "error") if name in seen}
    for name, decision in (("before", before.decision), ("after", after.decision)):
        if decision is not None:
            observed[name] = decision.verdict
    if before.decision is not None and after.decision is not None and before.decision.token_id is not None:
        observed["same_token"] = before.decision.token_id == after.decision.token_id
    shown = Revocation(what, target, before.decision, after.decision, seconds)
    played = Played(observed, status=after.status, decision=after.decision)
    played.decisions = [one for one in (before.decision, after.decision) if one is not None]
    played.panels["revocation"] = lambda: panels.revocation(shown)
    if (decision := after.decision) is not None:
        played.panels["decision"] = lambda: panels.decision(decision)
    return played


def reinstate(step: Step, scene: Scene) -> Played:
    """Give standing back, and call again."""
    agent, console = scene.cast.agent(), scene.cast.console()
    what = step.options["what"]
    console.reinstate(what, target_of(agent, what))
    outcome = agent.call(scene.cast.tools.name(step.options["tool"]), {})
    seen = observe(outcome)
    played = Played(
        {name: seen[name] for name in ("status", "verdict", "gate", "rule") if name in seen},
        status=outcome.status,
        decision=outcome.decision,
    )
    if (decision := outcome.decision) is not None:
        played.decisions = [decision]
        played.panels["decision"] = lambda: panels.decision(decision)
    return played


def restart(_: Step, scene: Scene) -> Played:
    """Stop and start the talk's own server, and look whether it still knows what it knew."""
    console = scene.cast.console()
    facts_before, signed_in = _remembered(scene), console.signed_in()
    before, after = scene.cast.restart(scene.stage.waiting)
    facts_after = _remembered(scene)
    live = [sum(1 for one in facts[1] if one.revoked_at is None) for facts in (facts_before, facts_after)]
    rows = (
        ("process", f"pid {before.pid}", f"pid {after.pid}"),
        ("its data", before.world, after.world),
        ("sessions granted", str(live[0]), str(live[1])),
        ("orders on record", str(len(facts_before[0])), str(len(facts_after[0]))),
        ("human's console", _signed(signed_in), _signed(console.signed_in())),
    )
    observed: dict[str, Any] = {
        "new_process": before.pid != after.pid and before.instance != after.instance,
        "orders_kept": bool(facts_before[0]) and facts_before[0] == facts_after[0],
        "sessions_kept": facts_before[1] == facts_after[1],
    }
    kept = observed["orders_kept"] and observed["sessions_kept"]
    shown = Comparison(
        "A new process, the same authority" if observed["new_process"] and kept else "The server, restarted",
        rows,
        "State outlives the process that holds it." if kept else "Not all of it is still known.",
    )
    return Played(observed, {"comparison": lambda: panels.comparison(shown)})


def _signed(known: bool) -> str:
    return "signed in" if known else "signed out"


def _remembered(scene: Scene) -> tuple[list[str], tuple[Any, ...]]:
    console = scene.cast.console()
    # When one ends by itself moves on with each refresh, of the console's own as well.
    sessions = tuple(replace(one, expires_at=None) for one in console.sessions())
    return [entry.order_id for entry in _trail(scene) if entry.order_id], sessions


def _called(scene: Scene, agent: Agent, tool: str) -> Any:
    return scene.patiently(lambda: agent.call(tool, {}))[-1]


def _trail(scene: Scene) -> tuple[Decision, ...]:
    return scene.cast.console().audit(limit=TRAIL)


def _said(decision: Decision) -> dict[str, Any]:
    """All that a decision says: the trail must say the very same."""
    return decision.to_dict()
