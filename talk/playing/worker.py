"""The step in which the shop runs as a Worker: on Cloudflare, under workerd on this machine, or only described.

Whichever it is, the panel says so, and so does `where`. What is described was not done: nothing of it is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from demo import panels
from demo.errors import advice
from demo.evidence.screen import Link
from deputize.errors import AuthorizationRefused, ExplainedError
from deputize.evidence import Money
from talk.playing.kind import PURCHASE, Kind, Option, Step
from talk.playing.observing import observe
from talk.playing.scene import Played, Scene

if TYPE_CHECKING:
    from demo.client.agent import Agent
    from demo.client.mcp.outcome import CallOutcome
    from demo.deploy.local_worker import LocalWorker

T = TypeVar("T")

SCOPES = ("openid", "shop:read", "orders:read", "shop:buy", "offline_access")

LIMIT = Money(6000)

READ = "listMcpShopInventory"

SHIRT = {"company": "Night Shift Agents", "mailingAddress": "1 Edge Row, Lisbon", "tshirtSize": "M"}

USED_UP = ("limits.quota", "limits.spending")
"""What only a new consent helps: an earlier run has used up the one at hand."""

RAY = "CF-Ray"
"""The header that every answer through Cloudflare's network has."""

CLOUDFLARE, HERE, NOWHERE = "cloudflare", "this machine", "nowhere"


def worker(step: Step, scene: Scene) -> Played:
    """Run the shop as a Worker where that can be done, and call it."""
    own = scene.cast.server.worker is not None or scene.cast.server.beside
    if scene.strict and not own:
        return described(step, "the dry run deploys nothing and starts no Worker")
    if scene.cast.edge == "off" and not own:
        return described(step, "Workers are switched off here (edge)")
    try:
        if own:
            return _called(step, scene, scene.cast.server.url)
        if not scene.cast.server.ours:
            return _the_server_itself(step, scene)
        if scene.cast.edge == "auto":
            from demo.deploy import record

            last = record.recall(scene.cast.server.state)
            if last is not None:
                return _deployed(step, scene, last.url, last.worker, last.variables)
        if not scene.cast.server.is_local:
            return described(step, "this talk's server was not started from this state folder")
        return _here(step, scene)
    except CannotRun as reason:
        return described(step, str(reason))


class CannotRun(Exception):
    """A Worker cannot be run: the beat describes it instead. What goes wrong once it runs is no such reason."""


def described(step: Step, why: str) -> Played:
    """What the step would have done, with the reason why it did not: nothing of it is checked."""
    options = step.options
    shown = Link(
        options["title"], options["url"], f"{options.get('note', '')} {why[:1].upper()}{why[1:]}.".strip(), False
    )
    reason = f"not live: {why}"
    played = Played({"where": NOWHERE}, {"link": lambda: panels.link(shown)})
    played.unobservable = {name: reason for name in step.expect if name != "where"}
    played.said = "link" in step.show
    return played


def _the_server_itself(step: Step, scene: Scene) -> Played:
    """At another server that is a shop like ours, the talk's server is the one that was deployed."""
    other = scene.cast.other
    if other is None or not other.seen.reports_decisions or not scene.cast.server.url.startswith("https://"):
        raise CannotRun("this talk's server is not ours")
    agent = scene.cast.agent()
    refused = _at_cloudflare(agent)
    note = f"This talk's own shop, as it runs there now. {_ended(refused, 'without a token')}"
    return _live(step, CLOUDFLARE, agent.endpoint(), note, refused)


def _deployed(step: Step, scene: Scene, url: str, folder: str, variables: dict[str, str]) -> Played:
    """Deploy again what `demo deploy` deployed from this state, and call it without a token."""
    from demo.client.agent import Agent
    from demo.deploy import checking, tools, wrangler
    from demo.logins import token_store

    def deploy() -> str:
        built = tools.find(Path(folder))
        if wrangler.account(built, scene.stage.waiting) is None:
            raise AuthorizationRefused("nobody is logged in at Cloudflare", do=wrangler.log_in(built))
        online = wrangler.deploy(built, variables, scene.stage.waiting)
        checking.look(online.url, scene.cast.server.state, scene.stage.waiting)
        return online.url

    base = or_not(deploy)
    agent = Agent(base, store=token_store(scene.cast.server.state, server=base), client_id=None)
    refused = _at_cloudflare(agent)
    note = f"Deployed a moment ago, by wrangler. {_ended(refused, 'without a token')}"
    return _live(step, CLOUDFLARE, agent.endpoint(), note, refused)


def _at_cloudflare(agent: Agent) -> CallOutcome:
    """A call without a token, answered by way of Cloudflare's network."""
    refused = agent.call(READ, {}, token="none")
    if not any(exchange.header(RAY) for exchange in refused.exchanges):
        raise CannotRun("nothing in this server's answers says that it runs on Cloudflare")
    return refused


def _here(step: Step, scene: Scene) -> Played:
    """Start the Worker under workerd with the local authorization server, and call it."""
    with _running(scene) as here:
        return _called(step, scene, here.base_url)


def _called(step: Step, scene: Scene, base: str) -> Played:
    """At a Worker on this machine: be refused, get a grant, buy."""
    agent = _agent(scene, base)
    refused = agent.call(READ, {}, token="none")
    bought = _buy(agent, scene, step)
    # The code leads to where a phone can go: nobody else's reaches this machine's loopback.
    ends = f"{_ended(refused, 'without a token')} {_ended(bought, 'deputized')}"
    note = f"Not on Cloudflare: under workerd, at {agent.endpoint()}. {ends}"
    return _live(step, HERE, step.options["url"], note, refused, bought)


def _live(
    step: Step, where: str, url: str, note: str, refused: CallOutcome, bought: CallOutcome | None = None
) -> Played:
    seen = observe(refused)
    answer = {"refused": seen.get("status"), "rule": seen.get("rule")}
    observed: dict[str, Any] = {"where": where, **{name: value for name, value in answer.items() if value is not None}}
    title = "Live on Cloudflare" if where == CLOUDFLARE else "The Worker, on this machine"
    played = Played(observed | (_bought(bought) if bought else {}), status=refused.status)
    if bought is None:
        why = "nothing is bought there in this beat: a person would have to log in at its authorization server"
        played.unobservable = {name: why for name in ("order", "attributed") if name in step.expect}
    played.panels["link"] = lambda: panels.link(Link(title, url, note))
    decision = bought.decision if bought is not None else refused.decision
    # Not a decision of the run's own shop: the audit beat would look for it there.
    if decision is not None:
        played.panels["decision"] = lambda: panels.decision(decision)
    if bought is not None and (order := bought.order) is not None:
        played.panels["order"] = lambda: panels.order(order)
    return played


def _ended(outcome: CallOutcome, how: str) -> str:
    """How a call ended, in words: what it was answered, not what it should have been."""
    if outcome.order is not None:
        return f"It bought a shirt, {how}."
    return f"Let in, {how}." if outcome.allowed else f"HTTP {outcome.status}, {how}."


def _bought(outcome: CallOutcome) -> dict[str, Any]:
    seen = observe(outcome)
    return {name: seen[name] for name in ("order", "attributed") if name in seen}


def _buy(agent: Agent, scene: Scene, step: Step) -> CallOutcome:
    """One purchase with a grant for this very shop: an earlier one where it still stands, else asked for aside."""
    arguments = {**SHIRT, "idempotencyKey": scene.key(step.id)}

    def buy() -> CallOutcome:
        return scene.with_retries(lambda: agent.call(PURCHASE, arguments))[-1]

    if _stands(agent):
        outcome = buy()
        if outcome.decision is None or outcome.decision.rule not in USED_UP:
            return outcome
    login = agent.start_login(SCOPES, spending=LIMIT)
    scene.cast.humans.human().decide(login.code.verification_uri, login.code.user_code, True)
    agent.finish_login(login, timeout=30.0)
    scene.stage.note("the sample human granted the agent access to the Worker's shop, aside")
    return buy()


def _stands(agent: Agent) -> bool:
    try:
        return agent.stored() is not None and agent.tools().status == 200
    except AuthorizationRefused:
        return False


def _agent(scene: Scene, base: str) -> Agent:
    from demo.client.agent import Agent
    from demo.logins import token_store

    return Agent(base, store=token_store(scene.cast.server.state, server=base), slot="worker")


@contextmanager
def _running(scene: Scene) -> Iterator[LocalWorker]:
    """The talk's own Worker, or one under workerd; where that cannot be started, it is a reason to describe it."""
    from demo.deploy.local_worker import LocalWorker

    if scene.cast.server.worker is not None:
        yield scene.cast.server.worker
        return
    if scene.cast.server.beside:
        raise CannotRun("only demo run --worker can start its own Worker again")
    with ExitStack() as stack:
        started = LocalWorker(scene.cast.server.state, scene.cast.server.url, waiting=scene.stage.waiting)
        yield or_not(lambda: stack.enter_context(started))


def or_not(start: Callable[[], T]) -> T:
    """What `start` gives; what stops it is a reason to describe instead."""
    try:
        return start()
    except ExplainedError as error:
        raise CannotRun(
            f"{error.what}: {advice(error) or error.why}" if error.do or error.why else error.what
        ) from error


WORKER = Kind(
    "worker",
    "The shop as a Worker: deployed again where `demo deploy` did so before, else under workerd on this machine, else "
    "only described.",
    worker,
    {
        "title": Option(required=True),
        "url": Option(required=True),
        "note": Option(),
    },
    {"where": str, "refused": int, "rule": str, "order": bool, "attributed": bool},
    ("link", "decision", "order"),
)
