"""Steps in which the human reads what happened and what stands: audit, sessions."""

from __future__ import annotations

import re
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from demo import panels
from demo.evidence.audit import Dispatched
from demo.evidence.shop import Decision
from deputize.evidence import Chain
from talk.playing.humans import person_of
from talk.playing.kind import Kind, Past, Step
from talk.playing.scene import Played, Scene

if TYPE_CHECKING:
    from demo.evidence.grants import SessionView
    from talk.playing.other_server import OtherServer

_DIGEST = re.compile(r"sha256:[0-9a-f]{16}")
"""What stands for a call's arguments: an address must not be read in the trail."""

TRAIL = 1000
"""Entries of the audit trail that are read: the latest, and so all that a run has made."""


def audit(_: Step, scene: Scene) -> Played:
    """The trail as the human reads it, held against every decision that this run has seen."""
    entries = trail(scene)
    seen = [Decision.from_dict(dict(decision)) for result in scene.seen() for decision in result.decisions]
    me = _reader(scene)
    ours = [decision for decision in seen if decision.user in (None, me)]
    written = {entry.audit_id: entry for entry in entries}
    others = {decision.audit_id for decision in seen} - {decision.audit_id for decision in ours}
    missing = [one for one in ours if (two := written.get(one.audit_id)) is None or one != two]
    mine = {decision.audit_id for decision in ours}
    orders = [entry for entry in entries if entry.audit_id in mine and entry.order_id and entry.door == "protected"]
    shown = tuple(entry for entry in entries if entry.audit_id in mine)
    handed_on = any(entry.handed_on_by for entry in shown)
    listed = scene.cast.humans.console().sessions() if (orders or handed_on) and scene.cast.other is None else ()
    # What a sub-agent is called, as the authorization server has it: who is on record may be of another process.
    names = tuple((dict(scene.names()) | {one.id: one.name for of in listed for one in of.sub_agents}).items())
    observed: dict[str, Any] = {
        "complete": bool(ours) and not missing,
        "missing": len(missing),
        "others": sum(1 for entry in entries if entry.user not in (None, me)),
        "hidden": len(others - written.keys()),
        "digests": all(_DIGEST.fullmatch(entry.arguments or "") for entry in shown if entry.tool is not None),
        "traced": bool(orders) and all(_leads_back(entry, scene, listed) for entry in orders),
        "nobody": any(entry.door == "open" and entry.user is None for entry in shown),
        "refusals": any(entry.verdict == "deny" for entry in shown),
        # Of an order at least: one whose session was revoked before it was told is told no more.
        "behind": False,
    }
    played = Played(observed, {"audit": lambda: panels.audit(shown, names)})
    if scene.cast.other is not None:
        played.unobservable["hidden"] = "no sample human of another name signs in at this server's authorization server"
    if orders:
        behind = _behind(orders[-1], scene)
        if behind is None:
            played.unobservable["behind"] = "this shop tells no service behind it of an order"
        elif behind.txn is not None or any(_has_own_token(one, scene) for one in orders[-2::-1]):
            observed["behind"] = True
        played.panels["chain"] = lambda: panels.chain(_traced(orders[-1], scene, names), behind=behind)
    return played


def trail(scene: Scene) -> tuple[Decision, ...]:
    return scene.cast.humans.console().audit(limit=TRAIL)


def _reader(scene: Scene) -> str | None:
    """The human whose console reads, by the id in its token."""
    from deputize.tokens import claims

    jwt = claims.take_apart(scene.cast.humans.console().agent.token().access_token)
    subject = jwt.claims.get("sub") if jwt is not None else None
    return subject if isinstance(subject, str) else None


def _leads_back(entry: Decision, scene: Scene, listed: tuple[SessionView, ...]) -> bool:
    """Whether an order leads back to its human, its agent and a consent given before it, as the authorization server
    lists them. AuthKit names no agent but the client, and its session is the consent: these are then what it leads to.
    """
    if scene.cast.other is None:
        # A sub-agent's consent is that of the agent at the top, through each that handed on.
        chain = [entry.agent, *(entry.handed_on_by or "").split()]
        return bool(entry.user) and any(
            (one.id, one.consent, one.agent, one.client) == (entry.session, entry.consent, chain[-1], entry.client)
            and (one.created_at or 0.0) <= entry.at
            and set(pairwise(chain)) <= {(below.id, below.parent) for below in one.sub_agents}
            for one in listed
        )
    return bool(entry.user and (entry.agent or entry.client) and (entry.consent or entry.session))


def _traced(entry: Decision, scene: Scene, names: tuple[tuple[str, str], ...]) -> Chain:
    """An order's chain by the audit trail and the authorization server's list of sessions; no token is asked."""
    consent = entry.consent or entry.session or ""
    session = next((one for one in scene.cast.humans.console().sessions() if one.consent == consent), None)
    below = next((one for one in session.sub_agents if one.id == entry.agent), None) if session else None
    granted = below or session
    return Chain(
        human=entry.username or entry.user or "",
        human_id=entry.user or "",
        agent=entry.agent or entry.client or "",
        client=session.client_name if session else entry.client or "",
        session=entry.session or "",
        consent=consent,
        action=f"placed {entry.order_id}",
        token_id=entry.token_id or "",
        scopes=granted.scopes if granted else (),
        spending_limit=granted.spending_limit if granted else None,
        at=entry.at,
        source=f"audit trail entry {entry.audit_id}, and the authorization server's list of sessions",
        convention="the shop's own record: user, agent and consent of the decision",
        handed_on_by=tuple((entry.handed_on_by or "").split()),
        names=names,
    )


def _behind(entry: Decision, scene: Scene) -> Dispatched | None:
    """What was told behind the shop of an order, which may be on its way: waited for within a second."""
    from demo.client.audit import reading

    until = time.monotonic() + 1.0
    while (found := reading.dispatched(scene.cast.humans.console(), entry.order_id or "")) is not None:
        if found.state != "waiting" or time.monotonic() >= until:
            break
        time.sleep(0.1)
    return found


def _has_own_token(entry: Decision, scene: Scene) -> bool:
    """Whether an order was told behind the shop by a token of its own."""
    from demo.client.audit import reading

    found = reading.dispatched(scene.cast.humans.console(), entry.order_id or "")
    return found is not None and found.txn is not None


def sessions(_: Step, scene: Scene) -> Played:
    """The sessions that the human's consents opened."""
    console = scene.cast.humans.console()
    listed = console.sessions()
    elsewhere, token = scene.cast.other is not None, console.agent.token()
    info = person_of(console.agent, token) if elsewhere else console.agent.userinfo(token)
    observed: dict[str, Any] = {
        "live": sum(1 for session in listed if session.revoked_at is None),
        "agents": len({session.agent for session in listed if session.agent}),
    }
    if info is not None:
        observed["human"] = str(info.get("email", ""))
    unobservable = {"human": "the human here is not the talk's sample human"} if elsewhere else {}
    return Played(observed, {"sessions": lambda: panels.sessions(listed, time.time())}, unobservable=unobservable)


def _no_trail(_: Step, other: OtherServer, __: Past) -> str | None:
    if (why := other.no_console()) is None:
        return None
    answer = other.seen.audit
    how = f"GET /audit answered {answer.status}" if answer is not None else other.seen.failure("audit")
    return f"{why}; here {how}"


def _no_sessions(_: Step, other: OtherServer, __: Past) -> str | None:
    if other.no_console() is None:
        return None
    auth_server = other.authorization_server()
    named = auth_server if isinstance(auth_server, str) else f"{auth_server.issuer} is another"
    return f"a list of what a human granted is in no standard; only the bundled authorization server has one ({named})"


AUDIT = Kind(
    "audit",
    "Read the audit trail as the human, and compare it with every decision this run has seen.",
    audit,
    observes={
        "complete": bool,
        "missing": int,
        "others": int,
        "hidden": int,
        "digests": bool,
        "traced": bool,
        "nobody": bool,
        "refusals": bool,
        "behind": bool,
    },
    shows=("audit", "chain"),
    why_not=_no_trail,
)
SESSIONS = Kind(
    "sessions",
    "List the sessions that the human's consents opened, as the human.",
    sessions,
    observes={"human": str, "live": int, "agents": int},
    shows=("sessions",),
    why_not=_no_sessions,
)
