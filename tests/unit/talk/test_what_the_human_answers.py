"""A no, no answer and another account's yes are outcomes: the talk shows them, goes on, and asks again openly."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from demo.cli import performing, verdict
from demo.client.agent import Agent
from demo.client.human.sample_human import SampleHuman
from demo.errors import EXPECTATION, OK
from demo.settings import Settings
from deputize.tokens.store import TokenStore
from talk.director import Director
from talk.results import BeatResult, StepResult
from talk.run import Run
from talk.script import load_talk
from talk.stage import login as logins
from talk.stage.screen import Stage
from tests.unit.talk.presenter import Presenter, cursor, play


def outcome(result: BeatResult) -> tuple[str | None, object]:
    return result.steps[-1].outcome, result.steps[-1].observed.get("granted")


def agent_of(base_url: str, state: Path) -> Agent:
    return Agent(base_url, store=TokenStore.open(state, server=base_url))


@pytest.mark.parametrize(("key", "said"), [("d", "declined"), ("", "unanswered")])
def test_without_a_yes_the_run_stays_at_the_consent_and_next_asks_again(
    base_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, said: str
) -> None:
    stage = Presenter(key)
    with monkeypatch.context() as short:
        if not key:
            short.setattr(logins, "LOGIN_SECONDS", 3.0)
        result = play(base_url, tmp_path, "login", stage)
    assert (outcome(result), result.ok, result.ungranted) == ((said, False), True, True)
    assert stage.shown[-1] == "answer"
    assert cursor(tmp_path) == ("login", False)
    assert agent_of(base_url, tmp_path).stored() is None
    again = Presenter("y")
    granted = play(base_url, tmp_path, None, again)
    assert (outcome(granted), granted.ungranted) == ((None, True), False)
    assert again.shown[0] == "device", "what the beat had shown before the consent is not shown again"
    assert cursor(tmp_path) == ("login", True)


def test_a_yes_of_somebody_who_may_not_come_in_is_shown_and_handed_back(base_url: str, tmp_path: Path) -> None:
    stage = Presenter(visitor="mallory@example.org")
    result = play(base_url, tmp_path, "login", stage)
    assert (outcome(result), result.ok) == (("other_account", False), True)
    assert result.steps[-1].decision is not None
    assert result.steps[-1].decision["rule"] == "allowlist.user"
    assert stage.shown[-2:] == ["answer", "decision"]
    assert agent_of(base_url, tmp_path).stored() is None
    assert cursor(tmp_path) == ("login", False)


def test_a_yes_of_another_customer_goes_on_and_is_theirs_from_then_on(base_url: str, tmp_path: Path) -> None:
    granted = play(base_url, tmp_path, "login", Presenter(visitor="grace@example.com"))
    assert (outcome(granted), granted.ok) == (("other_account", True), True)
    bought = play(base_url, tmp_path, "buy", Presenter())
    assert bought.ok
    assert {step.decision["username"] for step in bought.steps if step.decision} == {"grace@example.com"}
    revoked = play(base_url, tmp_path, "revoke", Presenter())
    assert revoked.ok, [step.failed for step in revoked.steps]
    encore = play(base_url, tmp_path, "agent-identity", Presenter())  # she is an admin, where Alice is a customer
    assert encore.ok, [step.failed for step in encore.steps]


def test_a_step_up_that_is_refused_leaves_what_was_granted(base_url: str, tmp_path: Path) -> None:
    play(base_url, tmp_path, "login", Presenter("y"))
    before = agent_of(base_url, tmp_path).stored()
    result = play(base_url, tmp_path, "scopes", Presenter("n"))
    assert outcome(result) == ("declined", False)
    assert [step.id for step in result.steps] == ["too-much", "step-up"], "what builds on the answer is not played"
    play(base_url, tmp_path, "scopes", Presenter(visitor="mallory@example.org"))
    held = agent_of(base_url, tmp_path)
    stored = held.stored()
    assert before is not None
    assert stored is not None
    assert stored.scope == before.scope
    assert held.tools().status == 200


def test_a_beat_whose_grant_has_ended_asks_on_the_screen_and_begins_after_the_yes(
    base_url: str, tmp_path: Path
) -> None:
    play(base_url, tmp_path, "login", Presenter("y"))
    agent = agent_of(base_url, tmp_path)
    assert agent.revoke(agent.token()) is None
    refused = Presenter("d")
    skipped = play(base_url, tmp_path, "whoami", refused)
    assert (skipped.ungranted, skipped.ok) == (True, True)
    assert refused.shown == ["device", "answer"]
    assert cursor(tmp_path) == ("whoami", False)
    played = play(base_url, tmp_path, None, Presenter("y"))
    assert (played.id, played.ok, played.ungranted) == ("whoami", True, False)


def test_what_else_a_beat_builds_on_is_played_after_the_human_was_asked_again(base_url: str, tmp_path: Path) -> None:
    play(base_url, tmp_path, "login", Presenter("y"))
    agent = agent_of(base_url, tmp_path)
    assert agent.revoke(agent.token()) is None
    assert play(base_url, tmp_path, "audit", Presenter("y")).ok
    with Run.open(tmp_path) as run:
        assert run.beats_played()["buy"] is True


def test_in_the_dry_run_an_answer_that_is_not_the_scripts_is_red(
    base_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide = SampleHuman.decide
    monkeypatch.setattr(SampleHuman, "decide", lambda self, page, code, _: decide(self, page, code, False))
    stage = Stage(Console(file=io.StringIO()))
    with Run.open(tmp_path) as run, run.performing():
        settings = Settings(server=base_url, state=tmp_path, port=0)
        director = Director(run, load_talk(None), settings, stage, strict=True)
        login = director.plan.find("login")
        assert login is not None
        result = director.play(login)
    assert (outcome(result), result.ok) == ((None, False), False)
    assert "granted" in result.steps[-1].failed


@pytest.mark.parametrize(("person", "asked", "code"), [(True, 2, OK), (False, 1, EXPECTATION)])
def test_a_run_asks_a_person_once_more_and_a_script_is_told(person: bool, asked: int, code: int) -> None:
    refused = StepResult("granted", "login", True, 0.0, outcome="unanswered")
    stage = Stage(Console(file=io.StringIO()), person=person)
    plays: list[object] = []
    results: list[BeatResult] = []

    class Refused:
        """As much of a director as a run looks at."""

        strict = False
        plan = SimpleNamespace(id="problem-first")

        def __init__(self) -> None:
            self.stage = stage

        def play(self, planned: object) -> BeatResult:
            plays.append(planned)
            return BeatResult("login", "", (), True, 0.0, (refused,))

    director: Any = Refused()
    beats: Any = ["login", "whoami"]
    performing._play_all(director, beats, results, stop_at_failure=True)
    assert plays == ["login"] * asked
    assert verdict.verdict(director, results, 1.0, [], None, aside_only=False) == code
