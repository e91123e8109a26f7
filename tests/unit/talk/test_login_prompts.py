"""Who answers a login: what stops the sample human is raised, and nothing else is raised in its place."""

from __future__ import annotations

import io
import time
import webbrowser
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from deputize.errors import AuthorizationRefused, ExplainedError
from deputize.evidence import AuthorizationRequest, DeviceCode
from talk.stage import prompts
from talk.stage.keys import Key
from talk.stage.prompts import BrowserPrompt, DevicePrompt, LoginPrompt
from talk.stage.screen import Stage
from tests.unit.talk.presenter import Presenter

ACCOUNT = "alice@example.com"
CODE = DeviceCode("BCDF-GHJK", "http://127.0.0.1:9/device", None, time.time() + 60, 1.0, "An agent", ())
REQUEST = AuthorizationRequest("http://127.0.0.1:9/authorize", "http://127.0.0.1:9/callback", 0.0, "An agent", ())


class Stopped(ExplainedError):
    """What a consent page that cannot be driven raises."""


class Helpless:
    """A sample human who finds no page."""

    account = ACCOUNT

    def decide(self, verification_uri: str, user_code: str, approve: bool) -> object:
        raise Stopped("no page")

    def authorize(self, url: str, approve: bool) -> tuple[object, str]:
        raise Stopped("no page")


class Login:
    """As much of a login under way as a prompt looks at."""

    url = REQUEST.url


@pytest.fixture(params=["device", "browser"])
def prompt(request: pytest.FixtureRequest) -> LoginPrompt:
    stage = Stage(Console(file=io.StringIO()))
    if request.param == "device":
        return DevicePrompt(stage, CODE, Helpless(), approve=True, ask=False, shown=True)
    login: Any = Login()
    return BrowserPrompt(stage, login, Helpless(), approve=True, ask=False)


def given_up(prompt: LoginPrompt) -> None:
    deadline = time.monotonic() + 60
    while not prompt.failed() and time.monotonic() < deadline:
        prompt.tick(deadline - time.monotonic(), "pending")
        time.sleep(0.01)
    assert prompt.failed()


def test_what_stopped_the_sample_human_is_raised_instead_of_the_login_that_was_given_up(prompt: LoginPrompt) -> None:
    with pytest.raises(Stopped, match="no page") as told, prompt:
        given_up(prompt)
        raise AuthorizationRefused("the login was given up")
    assert isinstance(told.value.__cause__, AuthorizationRefused)


def test_what_has_nothing_to_do_with_the_answer_is_left_as_it_is(prompt: LoginPrompt) -> None:
    with pytest.raises(KeyboardInterrupt), prompt:
        given_up(prompt)
        raise KeyboardInterrupt


def test_a_login_that_was_granted_all_the_same_stands(prompt: LoginPrompt) -> None:
    with prompt:
        given_up(prompt)


def test_a_clickers_key_approves_at_the_second_press_and_never_by_reflex(monkeypatch: pytest.MonkeyPatch) -> None:
    answered: list[bool] = []
    now = [0.0]
    monkeypatch.setattr(prompts, "time", SimpleNamespace(monotonic=lambda: now[0]))

    class Watched(Helpless):
        def decide(self, verification_uri: str, user_code: str, approve: bool) -> object:
            answered.append(approve)
            return None

    def pressed(*keys: str, clicker: bool = True, apart: float = 1.0) -> list[bool]:
        answered.clear()
        stage = Stage(Console(file=io.StringIO()))
        prompt = DevicePrompt(stage, CODE, Watched(), approve=True, ask=False, shown=True, clicker=clicker)
        for key in keys:
            now[0] += apart
            prompt._take(Key("forward") if key == ">" else Key("text", key))
        if prompt._thread is not None:
            prompt._thread.join()
        return answered

    assert pressed(">") == []
    assert pressed(">", ">") == [True]
    assert pressed(">", ">", apart=0.2) == [], "a double click is one movement of a hand"
    assert pressed(*">" * 30, apart=0.03) == [], "so is a key that is held down"
    assert pressed(">", ">", apart=11.0) == [], "what was pressed long ago is forgotten"
    assert pressed(">", "d") == [False]
    assert pressed(">", clicker=False) == [True], "demo login is played by nobody's clicker"
    assert pressed("Y") == [True]
    assert pressed("n") == [False]


@pytest.mark.parametrize("opens", [False, webbrowser.Error("could not locate runnable browser")])
def test_a_browser_that_does_not_open_is_said(monkeypatch: pytest.MonkeyPatch, opens: bool | Exception) -> None:
    def open_(url: str) -> bool:
        if isinstance(opens, Exception):
            raise opens
        return opens

    monkeypatch.setattr(webbrowser, "open", open_)
    stage = Presenter("b")
    said = len(stage.notes) + 1  # how to answer
    with DevicePrompt(stage, CODE, Helpless(), approve=True, ask=True, shown=True) as prompt:
        deadline = time.monotonic() + 60
        while len(stage.notes) == said and time.monotonic() < deadline:
            prompt.tick(1.0, "pending")
            time.sleep(0.01)
    assert len(stage.notes) == said + 1
