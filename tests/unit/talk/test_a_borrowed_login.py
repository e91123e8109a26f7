"""The dry run at a server behind OAuth: a stored login is borrowed and left in place; what was left out counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.client.agent import Agent
from demo.settings import Settings
from deputize.tokens.store import TokenStore
from talk.director import Director
from talk.report import as_json, as_junit, too_little
from talk.results import BeatResult, StepResult
from talk.run import Run
from talk.script import load_talk
from talk.stage.screen import AsideStage
from tests.unit.talk.foreign_servers import AuthServer, corner_shop, listening
from tests.unit.talk.test_talk_at_another_server import NAMES, WithSomebody, played, red, steps


def test_with_a_stored_login_the_beats_that_need_one_play_and_it_stands_afterwards(tmp_path: Path) -> None:
    mine, fresh = tmp_path / "mine", tmp_path / "fresh"
    for folder in (mine, fresh):
        folder.mkdir()
    with listening(corner_shop(), AuthServer(revocation=True)) as url:
        assert not red(played(url, mine, only=("login",)))
        settings = Settings(server=url, state=fresh, port=0, tools=NAMES)
        with Run.open(fresh) as run, run.performing():
            director = Director(run, load_talk(None), settings, AsideStage(WithSomebody()), strict=True, logins=mine)
            results = {one.beat.id: director.play(one) for one in director.plan.beats}
        found = steps(results)
        assert not red(results)
        assert "nobody can decide" in (found["login/granted"].skipped or "")
        for name in ("whoami/token", "buy/first"):
            assert found[name].skipped is None, name
        assert "borrowed" in (found["revoke/end"].skipped or "")
        held = Agent(url, store=TokenStore.open(mine, server=url), client_id=None)
        assert held.tools().status == 200


def beats(skipped: int, of: int, words: int = 0) -> list[BeatResult]:
    made = [StepResult(f"s{n}", "call", True, 0.0, skipped="not here" if n < skipped else None) for n in range(of)]
    made += [StepResult(f"w{n}", "say", True, 0.0) for n in range(words)]
    return [BeatResult("b", "B", (), True, 0.0, tuple(made))]


@pytest.mark.parametrize(
    ("skipped", "of", "most", "enough"),
    [
        (0, 0, None, True),
        (5, 10, None, True),
        (6, 10, None, False),
        (10, 10, None, False),
        (6, 10, 6, True),
        (6, 10, 5, False),
        (1, 10, 0, False),
        (0, 10, 0, True),
    ],
)
def test_how_much_may_be_skipped(skipped: int, of: int, most: int | None, enough: bool) -> None:
    results = beats(skipped, of, words=9)
    why = too_little(results, most)
    assert (why is None) is enough
    told = as_json("plan", "http://server", results, 1.0, too_little=why)
    assert (told["ok"], told["skipped"], told["played"]) == (enough, skipped, of + 9 - skipped)
    assert ('failures="0"' in as_junit("plan", results, 1.0, too_little=why)) is enough
