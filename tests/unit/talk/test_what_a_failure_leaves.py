"""After a beat that was given up in its middle, or a token out of reach, the next beat is played as ever."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.client.agent import Agent
from deputize.errors import ServerUnreachable
from talk.cast import Cast
from tests.unit.talk.presenter import Presenter, play


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A tool that the server does not answer for."""
    ask, tool = Agent.call, "listMcpShopOrders"

    def call(self: Agent, name: str, *rest: Any, **named: Any) -> Any:
        if name == tool:
            raise ServerUnreachable("nobody answers")
        return ask(self, name, *rest, **named)

    with monkeypatch.context() as broken:
        broken.setattr(Agent, "call", call)
        yield tool


def test_who_was_banned_by_a_beat_that_was_given_up_is_let_in_before_the_next(
    base_url: str, tmp_path: Path, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert play(base_url, tmp_path, "login", Presenter("y")).ok
    given_up = play(base_url, tmp_path, "banned", Presenter("s"))
    assert given_up.recovered == "skip"
    assert [step.id for step in given_up.steps if step.ok] == ["ban", "no-shirt"]
    monkeypatch.undo()
    bought = play(base_url, tmp_path, "buy", Presenter())
    assert (bought.ok, bought.recovered) == (True, None)


def test_a_console_whose_token_is_out_of_reach_signs_in_again(base_url: str, tmp_path: Path) -> None:
    cast = Cast(base_url, tmp_path, is_local=False, port=0)
    first = cast.humans.console()
    cast.server.store.delete("console")
    assert cast.humans.console().agent.stored() is not None
    assert cast.humans.console() is not first
