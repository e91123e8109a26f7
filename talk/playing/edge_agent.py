"""The step in which an agent lives where agents run: it buys by its alarm, is killed, goes on, and is revoked.

The agent is `worker/agent` under workerd on this machine, Cloudflare's own runtime; shop and human are the talk's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from demo import panels
from demo.evidence.screen import Comparison
from demo.local_server.local import AGENT, Waiting, quietly
from deputize.errors import ServerUnreachable
from talk.playing.audit import trail
from talk.playing.kind import Kind, Option, Step
from talk.playing.scene import Played, Scene
from talk.playing.worker import HERE, CannotRun, described, or_not

if TYPE_CHECKING:
    from demo.deploy.local_agent import EdgeAgent, LocalAgent
    from demo.evidence.shop import Decision
    from talk.cast import Cast

SECONDS = 40.0
"""How long one purchase of its may take: it is at rest until its alarm, and starts from nothing."""
WAKE_SECONDS = 2
"""From the moment before it is killed to its alarm."""
VARIABLES = {"EVERY_SECONDS": "600", "PURCHASES": "3"}
"""So that nothing of it happens by itself but what this step waits for."""


def edge_agent(step: Step, scene: Scene) -> Played:
    """Have an agent on this machine's workerd log in, buy, be killed, buy, and be revoked."""
    if (why := _why_not(scene.cast, strict=scene.strict)) is not None:
        return described(step, why)
    try:
        with _running(scene) as agent:
            return _lived(step, scene, agent)
    except CannotRun as reason:
        return described(step, str(reason))


def ahead(cast: Cast, near: bool) -> None:
    """Between beats of a performance: have the agent run in the background while a beat with this step is near, so that
    nobody waits for it then, and not any more once it is over. What goes wrong is said by the beat."""
    if not near:
        # Nothing of it is imported where it was never started.
        if (cast.server.state / AGENT).exists():
            from demo.deploy import local_agent

            local_agent.end(cast.server.state)
    elif _why_not(cast, strict=False) is None:
        _agent(cast).begin()


def _why_not(cast: Cast, *, strict: bool) -> str | None:
    """Why it is only described, before anything is tried; None where there is no reason."""
    own = cast.server.worker is not None or cast.server.beside
    if strict and not own:
        return "the dry run deploys nothing and starts no Worker"
    if cast.edge == "off" and not own:
        return "Workers are switched off here (edge)"
    return None if cast.server.ours else "this talk's server is not ours"


def _agent(cast: Cast, waiting: Waiting = quietly, *, stays: bool = False) -> LocalAgent:
    from demo.deploy.local_agent import LocalAgent

    return LocalAgent(cast.server.state, cast.agent().endpoint(), variables=VARIABLES, stays=stays, waiting=waiting)


@contextmanager
def _running(scene: Scene) -> Iterator[LocalAgent]:
    with ExitStack() as stack:
        # On stage it stays for another look at this beat, and ends when the talk goes on (`ahead`).
        agent = _agent(scene.cast, scene.stage.waiting, stays=not scene.strict)
        yield or_not(lambda: stack.enter_context(agent))


def _lived(step: Step, scene: Scene, agent: LocalAgent) -> Played:
    _log_in(step, scene, agent)
    first = agent.until("the agent's first purchase, by its alarm", lambda now: _has(now, 1), SECONDS)
    pid = agent.runtime
    agent.hurry(WAKE_SECONDS)
    agent.crash()
    second = agent.until("its next purchase, by its alarm", lambda now: _has(now, 2), SECONDS)
    written = {entry.order_id: entry for entry in _calls(scene) if entry.order_id}
    entries = [written[order] for order in second.orders if order in written]
    kept = first.process != second.process and agent.runtime != pid and first.logins == second.logins
    kept = kept and first.orders == second.orders[: len(first.orders)]
    by = {(entry.user, entry.agent, entry.session) for entry in entries}
    observed: dict[str, Any] = {
        "where": HERE,
        "kept": kept,
        "bought": len(second.orders),
        # Each by one human, one agent and one consent, in the shop's own record.
        "attributed": len(entries) == len(second.orders) > 0 and len(by) == 1 and all(all(one) for one in by),
    }
    played = Played(observed)
    shown = _killed(
        first, second, (pid, agent.runtime), entries, went_on=kept and len(second.orders) > len(first.orders)
    )
    played.panels["comparison"] = lambda: panels.comparison(shown)
    if entries and entries[-1].session:
        _revoke(scene, agent, second, entries[-1], played)
    # The link stands for it where it is only described.
    played.shown = tuple(name for name in step.show if name in played.panels)
    return played


def _log_in(step: Step, scene: Scene, agent: LocalAgent) -> None:
    """Start it, with the consent of the sample human. Its purchases are named by run and step."""
    if agent.status().phase in ("working", "asking"):
        agent.stop()  # what a talk that was killed had begun
    asked = agent.start(scene.key(step.id))
    if asked.authorize is None:
        raise ServerUnreachable("the agent cannot ask for its grant", why=asked.why, do="try this beat again")
    _, back = scene.cast.humans.human().authorize(asked.authorize, True)
    agent.arrive(back)
    scene.stage.note("the sample human granted the agent access to the shop, aside")


def _has(now: EdgeAgent, orders: int) -> bool:
    return len(now.orders) >= orders or now.phase != "working"


def _killed(
    first: EdgeAgent, second: EdgeAgent, pids: tuple[int, int], entries: list[Decision], *, went_on: bool
) -> Comparison:
    human = {entry.order_id: entry.username or entry.user or "nobody" for entry in entries}
    last = [now.orders[-1] if now.orders else "" for now in (first, second)]
    rows = (
        ("its process", f"pid {pids[0]}", f"pid {pids[1]}"),
        ("logins so far", str(first.logins), str(second.logins)),
        ("shirts bought", str(len(first.orders)), str(len(second.orders))),
        ("the last order", last[0] or "none", last[1] or "none"),
        ("allowed by", human.get(last[0], "not on record"), human.get(last[1], "not on record")),
        ("decided by", _whose(first), _whose(second)),
    )
    return Comparison(
        "Killed, and it goes on without a login" if went_on else "The agent, killed and started again",
        rows,
        "It bought once more, and nobody logged in. What it may do was not in the process." if went_on else second.why,
    )


def _calls(scene: Scene) -> list[Decision]:
    """What the shop decided about requests; not what was revoked, or became of an order behind it."""
    return [entry for entry in trail(scene) if entry.gate not in ("event", "dispatch")]


def _whose(agent: EdgeAgent) -> str:
    return "a script, no model" if agent.decides == "script" else agent.decides


def _revoke(scene: Scene, agent: LocalAgent, before: EdgeAgent, order: Decision, played: Played) -> None:
    """The human ends the session, and the agent's next purchase is due at once."""
    scene.cast.humans.console().revoke("session", order.session or "")
    agent.hurry()
    after = agent.until("the agent's next call", lambda now: now.phase != "working", SECONDS)
    refused = next((e for e in reversed(_calls(scene)) if e.session == order.session and e.verdict == "deny"), None)
    played.observed |= {
        "stopped": after.phase == "over" and after.due is None,
        "asked_again": after.authorize is not None or after.logins != before.logins,
        "bought_after": len(after.orders) - len(before.orders),
    }
    if refused is not None:
        played.observed["rule"] = refused.rule
        played.decision = refused
    rows = (
        ("the shop says", order.rule or order.verdict, refused.rule if refused is not None else "nothing"),
        ("the agent is", before.phase, after.phase),
        ("its next alarm", "set" if before.due else "none", "set" if after.due else "none"),
        ("logins so far", str(before.logins), str(after.logins)),
        ("shirts bought", str(len(before.orders)), str(len(after.orders))),
    )
    ended = after.phase == "over"
    title = "Revoked: it stops, and does not ask again" if ended else "The agent, after its session was revoked"
    played.panels["revocation"] = lambda: panels.comparison(Comparison(title, rows, after.why))


EDGE_AGENT = Kind(
    "edge-agent",
    "An agent as a Durable Object, under workerd on this machine: it buys by its alarm, is killed and started again, "
    "buys without another login, and is revoked. Only described where workerd is not installed, and in the dry run.",
    edge_agent,
    {"title": Option(required=True), "url": Option(required=True), "note": Option()},
    {
        "where": str,
        "kept": bool,
        "bought": int,
        "attributed": bool,
        "stopped": bool,
        "asked_again": bool,
        "bought_after": int,
        "rule": str,
    },
    ("link", "comparison", "revocation"),
    ahead=ahead,
)
