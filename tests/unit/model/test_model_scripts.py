"""A script in a model's place: it reacts to what it reads, its calls are real, and it says what it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from demo import model
from demo.client import Agent
from demo.client.human.sample_human import SampleHuman
from demo.evidence.model import HumanAsked, ModelBounds, ModelCall, ModelEvent, ModelTask
from demo.model import steps_of
from demo.model.script import Came, OutOfLines, Player, Script, read, written
from deputize.errors import AuthorizationRefused, UsageError
from deputize.evidence import Money
from deputize.tokens.store import MemoryStore
from deputize.tokens.stored import StoredToken
from tests.conftest import ROOT, serving
from tests.unit.model.conftest import SCOPES, log_in


@pytest.fixture(scope="module")
def dear(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A shop that wants a human for every purchase above a dollar."""
    state = tmp_path_factory.mktemp("dear")
    policy = re.sub(r"(?m)^above = .*$", "above = 100", (ROOT / "demo" / "policy.toml").read_text("utf-8"))
    (state / "policy.toml").write_text(policy, "utf-8")
    with serving(state / "server.sqlite3", policy_folder=state) as url:
        yield url


def script(*lines: dict[str, object]) -> Script:
    """A script of these lines."""
    return read({"made_by": "script", "line": list(lines)}, "test", "test.toml")


BUY = {"company": "Example", "mailingAddress": "1 Main Street", "tshirtSize": "M"}


def test_the_shipped_script_buys_the_size_that_was_asked_for_and_says_that_it_is_a_script(agent: Agent) -> None:
    seen: list[ModelEvent] = []
    run = model.drive(agent, "Please buy me a shirt, size XL", model.shipped(), on_event=seen.append)
    assert run.end.reason == "done"
    assert [order.size for order in run.orders] == ["XL"]
    assert run.end.spent == run.orders[0].price
    assert tuple(seen) == run.events
    task = seen[0]
    assert isinstance(task, ModelTask) and task.made_by == "script" and task.where == ""
    assert (run.end.tokens_read, run.end.tokens_written) == (0, 0)  # nobody counted any


@pytest.mark.parametrize(
    ("asked", "tools"),
    [
        ("what did I order?", ["listMcpShopOrders"]),
        ("list my orders", ["listMcpShopOrders"]),
        ("Can you order a shirt for me, please?", ["listMcpShopInventory"]),  # and it asks for the size
        ("who am I?", ["getUserInfo"]),
        ("what is the weather?", []),
    ],
)
def test_the_shipped_script_does_what_it_says_it_knows_and_nothing_else(
    agent: Agent, asked: str, tools: list[str]
) -> None:
    run = model.drive(agent, asked, model.shipped())
    assert [call.tool for call in run.calls] == tools and run.end.reason == "done" and not run.orders


def test_the_same_run_again_buys_nothing_twice(agent: Agent) -> None:
    def again() -> model.Drive:
        return model.drive(agent, "buy a shirt, size S", model.shipped(), key=lambda number: f"run-{number}")

    first, second = again(), again()
    assert [order.replayed for order in (*first.orders, *second.orders)] == [False, True]
    assert first.orders[0].id == second.orders[0].id and second.end.spent is None


def test_a_line_goes_by_what_was_read_and_takes_its_words_from_it(fresh_agent: Agent) -> None:
    log_in(fresh_agent, SCOPES)
    run = model.drive(
        fresh_agent,
        "buy",
        script(
            {"calls": [{"tool": "listMcpShopInventory"}]},
            {"read": '"nothing like it"', "calls": [{"tool": "prettyPlease"}]},
            {
                "read": r'"amount": (?P<price>\d+)',
                "times": 5,
                "says": "For {price}.",
                "calls": [{"tool": "buyMcpShopItem", "arguments": BUY | {"company": "At {price}"}}],
            },
        ),
    )
    tried = [call.arguments for call in run.calls if call.tool == "buyMcpShopItem"]
    assert len(tried) == 5 and all("At 2500" in one for one in tried)
    assert [one.rule for one in run.decisions[1:4]] == ["allowed", "allowed", "limits.spending"]
    assert run.end.refused == 3 and run.end.reason == "repeats"  # and a refused call is not made for ever


def test_a_script_that_has_no_line_for_what_came_ends_there(agent: Agent) -> None:
    run = model.drive(agent, "x", script({"calls": [{"tool": "listMcpShopInventory"}]}))
    assert run.end.reason == "script" and run.end.calls == 1


@pytest.mark.parametrize("where", ["asked", "read"])
def test_a_script_that_would_look_for_its_line_for_ever_ends(where: str) -> None:
    text = "a" * 200 + "!"
    player = Player(script({where: r"(a|aa)+\1$", "says": "x"}))
    with pytest.raises(OutOfLines):
        player.next(text, [Came(text, "allowed")])
    found = Player(script({where: r"(?P<all>a+!)$", "says": "{all}"})).next(text, [Came(text, "allowed")])
    assert found.says == text


@pytest.mark.parametrize("approve", [True, False], ids=["yes", "no"])
def test_a_missing_scope_is_asked_of_the_human_whose_no_ends_the_run(fresh_agent: Agent, approve: bool) -> None:
    log_in(fresh_agent, ("openid", "shop:read", "offline_access"))
    run = model.drive(
        fresh_agent,
        "buy a shirt, size M",
        model.shipped(),
        ask_human=lambda scopes: log_in(fresh_agent, scopes, approve=approve),
    )
    asked = next(event for event in run.events if isinstance(event, HumanAsked))
    assert "shop:buy" in asked.scopes and asked.said == ("yes" if approve else "no")
    assert run.end.reason == ("done" if approve else "human") and len(run.orders) == approve
    assert isinstance(run.fault, AuthorizationRefused) is not approve


@pytest.mark.parametrize("approve", [True, False], ids=["yes", "no"])
def test_a_dear_purchase_is_approved_by_the_human_on_the_servers_page_or_not_made(dear: str, approve: bool) -> None:
    agent = Agent(dear, store=MemoryStore().at(dear))
    log_in(agent, SCOPES)

    def approved(details: tuple[dict[str, Any], ...], scopes: tuple[str, ...]) -> StoredToken:
        login = agent.start_login(scopes, details=details)
        SampleHuman("alice@example.com").decide(login.code.verification_uri, login.code.user_code, approve)
        # For this one call: the agent's own token stays where it is.
        return agent.finish_login(replace(login, code=replace(login.code, interval=0.05)), keep=False)

    run = model.drive(agent, "buy a shirt, size M", model.shipped(), approve=approved)
    asked = next(event for event in run.events if isinstance(event, HumanAsked))
    assert asked.approval and not asked.scopes and asked.said == ("yes" if approve else "no")
    assert run.end.reason == ("done" if approve else "human") and len(run.orders) == approve
    if not approve:  # and what the model wanted is there as refused, by the human
        assert steps_of(run.events)[-1].calls[-1].asked == asked
    refused = model.drive(agent, "buy a shirt, size S", model.shipped())
    assert refused.decisions[-1].rule == "limits.approval" and not refused.orders


def test_where_nobody_can_be_asked_the_refusal_is_what_the_model_reads(fresh_agent: Agent) -> None:
    log_in(fresh_agent, ("openid", "shop:read", "offline_access"))
    run = model.drive(fresh_agent, "buy a shirt, size M", model.shipped())
    assert run.decisions[-1].rule == "scope.insufficient" and run.end.reason == "done" and not run.orders


def test_the_run_spends_no_more_than_its_own_bound(agent: Agent) -> None:
    looks = {"calls": [{"tool": "listMcpShopInventory"}]}
    buys = {"times": 3, "calls": [{"tool": "buyMcpShopItem", "arguments": BUY}]}
    run = model.drive(agent, "x", script(looks, buys), ModelBounds(spending=Money(2500)))
    assert len(run.orders) == 1 and run.end.reason == "spending" and run.end.spent == Money(2500)
    # The bound was the run's: the shop was not asked a second time.
    assert [one.tool for one in run.decisions].count("buyMcpShopItem") == 1


@pytest.mark.parametrize("bound", [Money(2000), Money(50_000, "EUR")])
def test_a_model_that_never_looks_at_a_price_spends_nothing_within_a_bound(agent: Agent, bound: Money) -> None:
    buys = {"times": 6, "calls": [{"tool": "buyMcpShopItem", "arguments": BUY}]}
    run = model.drive(agent, "x", script(buys), ModelBounds(spending=bound))
    assert not run.orders and not run.decisions and run.end.reason == "mistakes"
    unbound = model.drive(agent, "x", script(buys | {"times": 1}))
    assert len(unbound.orders) == 1, "without a bound the human's limit is all there is"


def test_a_kept_run_is_a_script_that_calls_the_same(agent: Agent, tmp_path: Path) -> None:
    run = model.drive(agent, "who am I?", model.shipped())
    file = tmp_path / "kept.toml"
    file.write_text(written(run.events), "utf-8")
    kept = model.load(file)
    again = model.drive(agent, kept.task, kept)
    assert again.calls == run.calls and kept.kind == "recording"  # whose own name is all that a file can say of it


@pytest.mark.parametrize(
    "text",
    [
        "",
        "made_by = 'script'",
        "made_by = 'script'\nline = []",
        "made_by = 'script'\n[[line]]",
        "made_by = 'script'\n[[line]]\nsays = 3",
        "made_by = 'script'\n[[line]]\nsays = 'x'\nread = '('",
        f"made_by = 'script'\n[[line]]\nsays = 'x'\nread = '{'(' * 5000 + ')' * 5000}'",
        "made_by = 'script'\n[[line]]\nsays = 'x'\nasked = 'a{99999999999999999999}'",
        "made_by = 'script'\n[[line]]\nsays = 'x'\ntimes = 0",
        "made_by = 'script'\n[[line]]\nsays = 'x'\nwhen = 'y'",
        "made_by = 'script'\n[[line]]\ncalls = [{ tool = 1 }]",
        "made_by = 3\n[[line]]\nsays = 'x'",
        "line = [",
    ],
)
def test_what_is_no_script_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(UsageError) as caught:
        model.load(file)
    assert "mine.toml" in caught.value.what and caught.value.do


def test_words_and_calls_of_a_model_survive_the_file_whatever_is_in_them(tmp_path: Path) -> None:
    odd = 'a "quote", a \\ backslash, \x7f, \n, é, \U0001f600'
    events = (ModelTask(odd, "openai:x", "model", "", "", (), ModelBounds()), ModelCall(1, "tool", odd))
    file = tmp_path / "kept.toml"
    file.write_text(written(events), "utf-8")
    kept = model.load(file)
    assert kept.task == odd and kept.lines[0].calls[0].arguments == odd
