"""Outside the dry run a fault of another server makes its step red or skipped, and `demo next` goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.client.agent import Agent
from demo.settings import Settings
from deputize.errors import AuthorizationRefused, ServerUnreachable
from talk.director import Director
from talk.run import Run
from talk.script import load_talk
from tests.unit.talk.foreign_servers import AuthServer, corner_shop, listening
from tests.unit.talk.test_talk_at_another_server import NAMES, WithSomebody


def director(run: Run, url: str, state: Path) -> Director:
    settings = Settings(server=url, state=state, port=0, tools=NAMES)
    return Director(run, load_talk(None), settings, WithSomebody())


def next_beat(url: str, state: Path) -> tuple[str, bool]:
    """What one `demo next` plays, by a director of its own each time; and whether it was as expected."""
    with Run.open(state) as run, run.performing():
        here = director(run, url, state)
        planned = here.upcoming()
        assert planned is not None
        return planned.beat.id, here.play(planned).ok


def begin_at(beat: str, url: str, state: Path) -> None:
    """A login, and then the cursor before this beat."""
    with Run.open(state) as run, run.performing():
        here = director(run, url, state)
        login = here.plan.find("login")
        assert login is not None
        assert here.play(login).ok
        before = here.plan.beats[here.plan.position(beat) - 1]
        run.place(before.beat.id, done=True)


def test_a_revocation_that_is_refused_is_red_and_next_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(corner_shop(), AuthServer(revocation=True)) as url:
        begin_at("revoke", url, tmp_path)
        monkeypatch.setattr(Agent, "revoke", lambda self, token: "HTTP 400: invalid_request")
        assert next_beat(url, tmp_path) == ("revoke", False)
        with Run.open(tmp_path) as run:
            red = [step for step in run.all_results() if not step.ok]
        assert [step.id for step in red] == ["end"]
        assert "HTTP 400" in (red[0].error or "")
        assert next_beat(url, tmp_path)[0] == "future"


def test_a_server_that_refuses_for_good_is_red_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(corner_shop(), AuthServer(revocation=True)) as url:
        begin_at("whoami", url, tmp_path)

        def refuse(*_: object, **__: object) -> object:
            raise AuthorizationRefused("its keys are none", why="HTTP 500 for ever")

        monkeypatch.setattr(Agent, "view", refuse)
        assert next_beat(url, tmp_path) == ("whoami", False)
        assert next_beat(url, tmp_path)[0] == "scopes"


def test_one_that_does_not_answer_is_asked_once_more_and_no_third_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening(corner_shop(), AuthServer(revocation=True)) as url:
        begin_at("whoami", url, tmp_path)

        def fail(*_: object, **__: object) -> object:
            raise ServerUnreachable("nobody answers")

        with monkeypatch.context() as broken:
            broken.setattr(Agent, "view", fail)
            with pytest.raises(ServerUnreachable):
                next_beat(url, tmp_path)
            assert next_beat(url, tmp_path) == ("whoami", False)
        assert next_beat(url, tmp_path)[0] == "scopes"


def test_what_builds_on_a_red_beat_is_played_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A purchase that fails there fails each time: to play it aside for the beats after it would end the talk."""
    with listening(corner_shop(), AuthServer(revocation=True)) as url:
        begin_at("buy", url, tmp_path)

        def refuse(*_: object, **__: object) -> object:
            raise AuthorizationRefused("it sells nothing today")

        with monkeypatch.context() as broken:
            broken.setattr(Agent, "call", refuse)
            assert next_beat(url, tmp_path) == ("buy", False)
        assert next_beat(url, tmp_path)[0] == "agent-decides"
        assert next_beat(url, tmp_path)[0] == "copied-token"
