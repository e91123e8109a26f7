"""A live step that fails on stage: again, the recorded take, or without the beat; by one key, or by --fallback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from demo.client.agent import Agent
from deputize.errors import EnvironmentNotReady, ServerUnreachable
from talk.recording import finding
from talk.recording.reader import read
from talk.recording.writer import Recording
from talk.run import Run
from talk.stage import screen
from tests.unit.talk.presenter import Presenter, cursor, play


@pytest.fixture
def breaks(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Has the token be unreadable so many times: what `whoami` looks at."""

    def break_it(times: int) -> None:
        left, view = [times], Agent.view

        def broken(self: Agent, *given: object, **named: object) -> object:
            if left[0] > 0:
                left[0] -= 1
                raise ServerUnreachable("the authorization server does not answer", why="HTTP 503")
            return view(self, *given, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(Agent, "view", broken)

    return break_it


def test_again_tries_the_step_once_more(base_url: str, tmp_path: Path, breaks: Callable[[int], None]) -> None:
    play(base_url, tmp_path, "login", Presenter("y"))
    breaks(2)
    stage = Presenter("\r ?r", "r")  # what a reflex presses chooses nothing
    result = play(base_url, tmp_path, "whoami", stage)
    assert stage.troubles == ["the authorization server does not answer: HTTP 503"] * 2
    assert (result.ok, result.recovered, cursor(tmp_path)) == (True, None, ("whoami", True))


def test_skip_goes_on_and_what_builds_on_the_beat_tries_it_live(
    base_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(base_url, tmp_path, "login", Presenter("y"))

    def fail(*_: object, **__: object) -> object:
        raise ServerUnreachable("the shop does not answer")

    with monkeypatch.context() as broken:
        broken.setattr(Agent, "call", fail)
        result = play(base_url, tmp_path, "buy", Presenter("s"))
    assert (result.ok, result.recovered, result.skipped) == (False, "skip", "the shop does not answer")
    assert cursor(tmp_path) == ("buy", True)
    after = Presenter()
    assert play(base_url, tmp_path, "audit", after).ok
    assert any("builds on buy" in note for note in after.notes)
    with Run.open(tmp_path) as run:
        orders = {result.decision["order_id"] for result in run.purchases(["buy"]) if result.decision}
    assert len(orders) == 1, "nothing is bought twice"


@pytest.mark.parametrize("by_itself", [False, True])
def test_the_recorded_take_is_shown_marked_and_counts_for_the_cursor_alone(
    base_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, breaks: Callable[[int], None], by_itself: bool
) -> None:
    monkeypatch.setattr(screen, "FALLBACK_SECONDS", 0.05)
    play(base_url, tmp_path, "login", Presenter("y"))
    breaks(1)
    recording = Recording(tmp_path)
    stage = Presenter("" if by_itself else "t", fallback="recorded" if by_itself else "ask", recording=recording)
    result = play(base_url, tmp_path, "whoami", stage)
    recording.close()
    assert (result.recovered, cursor(tmp_path)) == ("recorded", ("whoami", True))
    assert stage.shown, "the take's panels were drawn"
    with Run.open(tmp_path) as run:
        assert run.beats_played()["whoami"] is False
    events = read(next((tmp_path / "recordings").glob("*.jsonl"))).events
    marked = [event["recorded"] for event in events if event.name == "beat"]
    assert marked[-2:] == [False, True]
    assert [event["how"] for event in events if event.name == "recovery"] == ["recorded"]


def test_without_a_take_the_beat_is_skipped_and_that_is_said(
    base_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, breaks: Callable[[int], None]
) -> None:
    monkeypatch.setattr(finding, "SHIPPED", tmp_path / "nowhere")
    monkeypatch.setattr(screen, "FALLBACK_SECONDS", 0.05)
    play(base_url, tmp_path, "login", Presenter("y"))
    breaks(1)
    stage = Presenter("t", fallback="recorded")
    assert play(base_url, tmp_path, "whoami", stage).recovered == "skip"
    assert any("cannot be played" in note for note in stage.notes)


@pytest.mark.parametrize("fallback", ["stop", "ask"])
def test_where_nobody_chooses_it_ends_as_it_did(
    base_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, breaks: Callable[[int], None], fallback: str
) -> None:
    monkeypatch.setattr(screen, "RECOVERY_SECONDS", 0.05)
    play(base_url, tmp_path, "login", Presenter("y"))
    breaks(1)
    stage = Presenter("x" if fallback == "ask" else "", fallback=fallback)  # type: ignore[arg-type]
    with pytest.raises(ServerUnreachable):
        play(base_url, tmp_path, "whoami", stage)
    assert cursor(tmp_path) == ("whoami", False)
    assert play(base_url, tmp_path, None, Presenter()).ok


def test_so_it_is_where_what_the_beat_needs_cannot_be_had(
    base_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server, the grant, a beat played aside: the beat's own steps have not begun."""
    from talk.director import Director

    def fail(*_: object, **__: object) -> object:
        raise EnvironmentNotReady("the local server cannot be started", why="the port is taken")

    play(base_url, tmp_path, "login", Presenter("y"))
    with monkeypatch.context() as broken:
        broken.setattr(Director, "_grant_stands", fail)
        stage = Presenter("r", "t")
        result = play(base_url, tmp_path, "whoami", stage)
    assert len(stage.troubles) == 2
    assert (result.recovered, cursor(tmp_path)) == ("recorded", ("whoami", True))


def test_a_verdict_that_is_not_the_scripts_is_said_in_words(
    base_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(base_url, tmp_path, "login", Presenter("y"))
    agent_call = Agent.call

    def without_a_token(self: Agent, *given: object, **named: object) -> object:
        return agent_call(self, *given, **named | {"token": "none"})  # type: ignore[arg-type]

    monkeypatch.setattr(Agent, "call", without_a_token)
    stage = Presenter("s")
    assert play(base_url, tmp_path, "buy", stage).recovered == "skip"
    assert stage.troubles == ["the call was refused by the rule token.missing, where the script has it allowed"]


def test_a_performance_that_is_cut_off_at_the_choice_goes_on_at_the_step_that_failed(
    base_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(base_url, tmp_path, "login", Presenter("y"))
    agent_call = Agent.call

    def without_a_token(self: Agent, *given: object, **named: object) -> object:
        return agent_call(self, *given, **named | {"token": "none"})  # type: ignore[arg-type]

    class CutOff(Presenter):
        def _choose_recovery(self, trouble: str) -> screen.Recovery:
            raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(Agent, "call", without_a_token)
        with pytest.raises(KeyboardInterrupt):
            play(base_url, tmp_path, "buy", CutOff())
    assert cursor(tmp_path) == ("buy", False)
    result = play(base_url, tmp_path, None, Presenter())
    assert (result.id, result.ok, cursor(tmp_path)) == ("buy", True, ("buy", True))
