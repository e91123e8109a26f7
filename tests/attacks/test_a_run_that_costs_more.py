"""A run of a model spends no more than its own bound where the shop does not say what it took, or says it in a way that
cannot be counted; and what is kept of a run lands in no file of somebody else's.

CWE-636 (what cannot be counted is too much), CWE-59 (a link that stands where a file is to be made).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from demo import model
from demo.client import Agent
from demo.evidence.model import ModelBounds
from demo.evidence.shop import Order
from demo.model.driving import PURCHASE
from demo.model.script import keep
from demo.model.spending import Budget
from deputize.errors import EnvironmentNotReady
from deputize.evidence import Money
from tests.unit.model.conftest import agent, server
from tests.unit.model.test_model_scripts import BUY, script

__all__ = ["agent", "server"]

TOLD: dict[str, Callable[[Order], Order | None]] = {
    "nothing": lambda order: None,
    "another currency": lambda order: dataclasses.replace(order, price=Money(2500, "EUR")),
    "less than nothing": lambda order: dataclasses.replace(order, price=Money(-2500)),
}


@pytest.mark.parametrize("told", TOLD.values(), ids=TOLD)
@pytest.mark.parametrize("weakened", [False, True], ids=["as it is", "without the check"])
def test_what_a_purchase_took_is_counted_or_ends_the_run(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, weakened: bool, told: Callable[[Order], Order | None]
) -> None:
    bought: list[str] = []

    def call(tool: str, given: dict[str, Any], **options: Any) -> Any:
        # Both halves of each test find the same orders, which is not what is counted here.
        outcome = agent.call(
            tool, given | ({"idempotencyKey": f"{len(bought)}"} if tool == PURCHASE else {}), **options
        )
        if outcome.order is None:
            return outcome
        bought.append(outcome.order.id)
        return dataclasses.replace(outcome, order=told(dataclasses.replace(outcome.order, replayed=False)))

    class Shop:
        """The agent, at a shop that tells of its orders otherwise."""

        def __getattr__(self, name: str) -> Any:
            return call if name == "call" else getattr(agent, name)

    if weakened:
        monkeypatch.setattr(Budget, "paid", lambda budget, price: "")
    looks = {"calls": [{"tool": "listMcpShopInventory"}]}
    buys = {"times": 3, "calls": [{"tool": PURCHASE, "arguments": BUY}]}
    run = model.drive(Shop(), "x", script(looks, buys), ModelBounds(spending=Money(3000)))  # type: ignore[arg-type]  # it is one
    assert (len(bought), run.end.reason) == ((3, "script") if weakened else (1, "spending"))


@pytest.mark.parametrize("there", ["a file", "a link to a file", "a link to nothing yet"])
def test_a_run_is_kept_in_no_file_that_is_there(tmp_path: Path, there: str) -> None:
    """`demo agent --record` looked before the run, and others had minutes since."""
    theirs, file = tmp_path / "theirs", tmp_path / "kept.toml"
    if there != "a link to nothing yet":
        theirs.write_text("theirs")
    if there == "a file":
        file = theirs
    else:
        file.symlink_to(theirs)
    with pytest.raises(EnvironmentNotReady):
        keep((), file)
    assert not theirs.exists() or theirs.read_text() == "theirs"


def test_what_is_kept_is_its_users_alone(tmp_path: Path) -> None:
    keep((), tmp_path / "kept.toml")
    assert (tmp_path / "kept.toml").stat().st_mode & 0o077 == 0
