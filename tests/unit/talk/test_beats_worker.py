"""The beats in which the shop runs as a Worker: whichever of the three it was, the panel says so and no more."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from demo.client.mcp.outcome import CallOutcome
from demo.deploy import record, tools
from demo.deploy.local_agent import EdgeAgent, EdgePurchase
from demo.evidence.shop import Decision, Order
from deputize.errors import EnvironmentNotReady
from deputize.evidence import Exchange, Money
from talk.cast import Cast
from talk.playing import KINDS, edge_agent, worker
from talk.playing.kind import Step, holds
from talk.playing.scene import Scene
from talk.script import load_talk
from talk.stage.screen import Stage

BEATS = ("deploy", "where-agents-run")
"""The one that runs the shop as a Worker, and the one that runs an agent as one."""


def step_of(beat: str) -> Step:
    (found,) = [step for step in load_talk().beats[beat].steps if step.do in ("worker", "edge-agent")]
    return found


def played(beat: str, state: Path, *, edge: str = "auto", strict: bool = False) -> Any:
    cast = Cast("http://127.0.0.1:1", state, is_local=True, port=0, edge=edge)
    step = step_of(beat)
    return KINDS[step.do].play(step, Scene("run", beat, cast, Stage(Console(quiet=True)), list, strict))


def drawn(panel: Any) -> str:
    console = Console(width=120, height=40, color_system=None)
    with console.capture() as captured:
        console.print(panel)
    return " ".join(captured.get().split())


def is_described(beat: str, given: Any, why: str) -> None:
    from demo.panels.fit import overflow

    step = step_of(beat)
    assert given.observed == {"where": "nowhere"}
    assert set(given.unobservable) == set(step.expect), "nothing of it is checked"
    assert all(why in told for told in given.unobservable.values())
    panel = given.panels["link"]()
    assert "(not live: described, not done)" in drawn(panel)
    assert "Live on Cloudflare" not in drawn(panel)
    assert overflow(panel, 80, 21) is None
    assert set(given.panels) == {"link"}


@pytest.fixture
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    def looked(*_: object, **__: object) -> None:
        raise AssertionError("nothing of Node is looked for here")

    monkeypatch.setattr(tools, "find", looked)
    monkeypatch.setattr(tools, "install", looked)


@pytest.mark.parametrize("beat", BEATS)
@pytest.mark.usefixtures("nothing_starts")
def test_a_dry_run_only_describes_and_looks_for_no_node(beat: str, tmp_path: Path) -> None:
    record.remember(tmp_path, record.Record("https://shop.example", str(tmp_path), {}))
    is_described(beat, played(beat, tmp_path, strict=True), "the dry run")


@pytest.mark.parametrize("beat", BEATS)
@pytest.mark.usefixtures("nothing_starts")
def test_switched_off_it_only_describes(beat: str, tmp_path: Path) -> None:
    is_described(beat, played(beat, tmp_path, edge="off"), "switched off")


@pytest.mark.usefixtures("nothing_starts")
def test_where_it_would_only_be_described_nothing_is_made_ready(tmp_path: Path) -> None:
    cast = Cast("http://127.0.0.1:1", tmp_path, is_local=True, port=0, edge="off")
    for near in (True, False):
        edge_agent.ahead(cast, near)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("beat", BEATS)
def test_where_the_worker_cannot_be_started_it_describes_and_says_why(
    beat: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(_: Path) -> None:
        raise EnvironmentNotReady("Node was not found", why="wrangler is a program for Node")

    monkeypatch.setattr(tools, "find", find)
    is_described(beat, played(beat, tmp_path), "Node was not found")


def test_what_was_deployed_once_is_described_where_nobody_is_logged_in_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from demo.deploy import wrangler

    record.remember(tmp_path, record.Record("https://shop.example", str(tmp_path), {}))
    monkeypatch.setattr(tools, "find", lambda folder: tools.Tools(folder, folder, folder))
    monkeypatch.setattr(wrangler, "account", lambda *_: None)
    is_described("deploy", played("deploy", tmp_path), "nobody is logged in at Cloudflare")


def test_the_setting_takes_three_words(monkeypatch: pytest.MonkeyPatch) -> None:
    from demo.settings import from_environment
    from deputize.errors import UsageError

    for word in ("auto", "local", "off"):
        monkeypatch.setenv("DEMO_EDGE", word)
        assert from_environment({}).edge == word
    monkeypatch.setenv("DEMO_EDGE", "moon")
    with pytest.raises(UsageError):
        from_environment({})


@pytest.mark.parametrize(
    ("server", "tells", "headers", "where"),
    [
        ("https://shop.example", True, (("CF-Ray", "8f-LIS"),), "cloudflare"),
        ("https://shop.example", True, (("Server", "cloudflare?"),), "nowhere"),
        ("https://shop.example", False, (("CF-Ray", "8f-LIS"),), "nowhere"),
        ("http://127.0.0.1:1", True, (("CF-Ray", "8f-LIS"),), "nowhere"),
    ],
)
def test_the_talks_own_server_is_called_live_on_cloudflare_only_by_its_answers(
    server: str, tells: bool, headers: tuple[tuple[str, str], ...], where: str
) -> None:
    step = step_of("deploy")
    exchange = Exchange("POST", f"{server}/mcp", (), None, 401, headers, None, 0.0, 0.0)
    refused = CallOutcome("", 401, True, None, (), None, "", None, None, (exchange,), None)
    agent = SimpleNamespace(call=lambda *_, **__: refused, endpoint=lambda: f"{server}/mcp")
    elsewhere = SimpleNamespace(seen=SimpleNamespace(reports_decisions=tells))
    at = SimpleNamespace(ours=False, beside=False, worker=None, url=server)
    cast: Any = SimpleNamespace(edge="auto", other=elsewhere, server=at, agent=lambda: agent)
    given = KINDS["worker"].play(step, Scene("run", "deploy", cast, Stage(Console(quiet=True)), list))
    assert given.observed["where"] == where
    assert ("Live on Cloudflare" in drawn(given.panels["link"]())) is (where == "cloudflare")
    if where == "cloudflare":
        assert given.observed["refused"] == 401
        assert {"order", "attributed"} <= set(given.unobservable), "nothing was bought there"


def answered(status: int, *, order: bool = False) -> CallOutcome:
    bought = Order("order_1", "shirt", "M", "ACME", Money(2500), 0.0, "user_alice", "agent_1", "consent_1")
    return CallOutcome(
        tool="x",
        status=status,
        is_error=status != 200,
        decision=None,
        limits=(),
        structured=None,
        text="",
        challenge=None,
        retry_after=None,
        exchanges=(),
        order=bought if order else None,
    )


@pytest.mark.parametrize(
    ("refused", "bought", "says"),
    [
        (answered(401), answered(200, order=True), "HTTP 401, without a token. It bought a shirt, deputized."),
        (answered(200), answered(403), "Let in, without a token. HTTP 403, deputized."),
    ],
)
def test_the_panel_says_how_the_calls_ended(
    refused: CallOutcome, bought: CallOutcome, says: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    here = SimpleNamespace(base_url="http://127.0.0.1:2", pid=1)
    answers = iter((refused,))
    monkeypatch.setattr(worker, "_running", lambda _: contextlib.nullcontext(here))
    monkeypatch.setattr(worker, "_buy", lambda *_: bought)
    agent = SimpleNamespace(call=lambda *_, **__: next(answers), endpoint=lambda: "http://127.0.0.1:2/mcp")
    monkeypatch.setattr(worker, "_agent", lambda *_: agent)
    given = played("deploy", tmp_path)
    words = " ".join(re.sub("[█▀▄]+", " ", drawn(given.panels["link"]())).split())
    assert says in words
    assert given.observed["order"] is (bought.order is not None)


class AgentOnTheEdge:
    """What the step sees of an agent; `after` is what it has and says once it was killed, and once it was revoked."""

    def __init__(self, killed: EdgeAgent, revoked: EdgeAgent) -> None:
        self.runtime, self.does = 1, iter((agent(1), killed, revoked))

    def status(self) -> EdgeAgent:
        return agent(0, phase="new")

    def start(self, key: str) -> EdgeAgent:
        return agent(0, authorize="http://127.0.0.1:2/authorize")

    def until(self, *_: object) -> EdgeAgent:
        return next(self.does)

    def crash(self) -> None:
        self.runtime += 1

    def hurry(self, seconds: int = 0) -> None: ...

    def arrive(self, url: str) -> None: ...


def agent(orders: int, process: str = "p1", phase: str = "working", *, logins: int = 1, **more: Any) -> EdgeAgent:
    bought = [EdgePurchase(n, f"k{n}", "bought", 1, f"order_{n}", False, "", "") for n in range(1, orders + 1)]
    said: dict[str, Any] = {"why": "", "starts": 1, "decides": "script", "authorize": None, "due": None, **more}
    return EdgeAgent(phase=phase, process=process, logins=logins, purchases=tuple(bought), **said)


def entry(order: str | None, **more: Any) -> Decision:
    said = {"user": "user_alice", "username": "alice@example.com", "agent": "agent_1", "session": "session_1"}
    rule = "limits.ok" if order else "standing.session"
    found = {"verdict": "allow" if order else "deny", "rule": rule, "order_id": order, **said, **more}
    return Decision.from_dict(
        {"gate": "limits", "reason": "", "door": "protected", "at": 1.0, "audit_id": "a", **found}
    )


WELL, OVER = agent(2, "p2"), agent(2, "p2", "over")
TRAIL = [entry("order_1"), entry("order_2"), entry(None)]


@pytest.mark.parametrize(
    ("killed", "revoked", "trail", "wrong"),
    [
        pytest.param(WELL, OVER, TRAIL, set(), id="well"),
        pytest.param(agent(2, "p2", logins=2), agent(2, "p2", "over", logins=2), TRAIL, {"kept"}, id="logged in again"),
        pytest.param(agent(2), OVER, TRAIL, {"kept"}, id="the same process"),
        pytest.param(agent(1, "p2", "over"), agent(1, "p2", "over"), TRAIL, {"bought"}, id="bought no more"),
        pytest.param(
            WELL, OVER, [TRAIL[0], entry("order_2", agent="agent_2"), TRAIL[2]], {"attributed"}, id="another agent"
        ),
        pytest.param(WELL, OVER, [TRAIL[0], entry("order_2", user=None), TRAIL[2]], {"attributed"}, id="nobody's"),
        pytest.param(WELL, agent(3, "p2"), TRAIL[:2], {"stopped", "bought_after", "rule"}, id="went on"),
        pytest.param(
            WELL, agent(2, "p2", "asking", authorize="http://a/"), TRAIL, {"stopped", "asked_again"}, id="asks again"
        ),
        pytest.param(WELL, agent(2, "p2", "over", due="2026-11-30T12:00Z"), TRAIL, {"stopped"}, id="keeps its alarm"),
    ],
)
def test_what_an_agent_on_the_edge_does_otherwise_is_seen(
    killed: EdgeAgent,
    revoked: EdgeAgent,
    trail: list[Decision],
    wrong: set[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    step, here = step_of("where-agents-run"), AgentOnTheEdge(killed, revoked)
    monkeypatch.setattr(edge_agent, "_running", lambda _: contextlib.nullcontext(here))
    console = SimpleNamespace(audit=lambda **_: tuple(trail), revoke=lambda *_: None)
    human = SimpleNamespace(authorize=lambda *_: (None, "http://127.0.0.1:2/callback?code=1"))
    at = SimpleNamespace(worker=None, beside=False, ours=True)
    humans = SimpleNamespace(human=lambda: human, console=lambda: console)
    cast: Any = SimpleNamespace(edge="auto", server=at, humans=humans)
    given = KINDS["edge-agent"].play(step, Scene("run", "x", cast, Stage(Console(quiet=True)), list))
    assert {name for name, wanted in step.expect.items() if not holds(name, wanted, given.observed)} == wrong
