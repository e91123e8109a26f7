"""Another user of this machine finishes no login that was begun here, and an agent ends in nobody else's account.

The arguments of a browser are everybody's to read (`ps`, CWE-214). With the login's address in them another user signs
in with an account of their own, and the agent acts for them from then on (login CSRF: RFC 6749 section 10.12, RFC 9700
section 4.7). PKCE and `state` do not help: it is the right login, finished by the wrong human.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from rich.console import Console

from demo.client import Agent, SampleHuman
from deputize import OAuthRefused
from deputize.oauth import loopback
from deputize.oauth.browser_flow import BROWSER, BrowserLogin
from talk.stage.prompts import BrowserPrompt, DevicePrompt
from talk.stage.screen import Stage
from tests.conftest import HANGS
from tests.unit.client.fakes import ALICE, agent_at

MALLORY = "mallory@example.org"
SCOPES = ("openid", "shop:read", "offline_access")


@pytest.fixture
def agent(base_url: str, tmp_path: Path) -> Agent:
    return agent_at(base_url, tmp_path)


@pytest.fixture
def login(agent: Agent) -> Iterator[BrowserLogin]:
    begun = agent.start_login(SCOPES, BROWSER)
    yield begun
    begun.close()


def opened(prompt: BrowserPrompt | DevicePrompt, monkeypatch: pytest.MonkeyPatch) -> str:
    """What this machine's browser would be started with."""
    arguments: list[str] = []
    monkeypatch.setattr("talk.stage.prompts.open_browser", lambda url, _: arguments.append(url))
    if isinstance(prompt, BrowserPrompt):
        prompt._begin(asked=True)
    else:
        from talk.stage.keys import Key

        assert prompt._take(Key("text", "b"))
    return arguments[0]


def shows_the_login(login: BrowserLogin, monkeypatch: pytest.MonkeyPatch) -> bool:
    url = opened(BrowserPrompt(Stage(Console(file=io.StringIO())), login, None, approve=True, ask=True), monkeypatch)
    return any(name in url for name in ("state=", "code_challenge", "authorize"))


def test_no_argument_of_a_browser_holds_the_login(login: BrowserLogin, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not shows_the_login(login, monkeypatch)


def test_a_terminal_that_opens_the_login_itself_shows_it(login: BrowserLogin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BrowserLogin, "begins_at", property(lambda self: self.url))
    assert shows_the_login(login, monkeypatch)


def test_nor_the_code_of_a_device(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    code = agent.start_login(SCOPES).code
    code = replace(code, verification_uri_complete=f"{code.verification_uri}?user_code={code.user_code}")
    prompt = DevicePrompt(Stage(Console(file=io.StringIO())), code, None, approve=True, ask=True, shown=True)
    assert code.user_code not in opened(prompt, monkeypatch)


def test_the_address_leads_one_browser_and_a_second_one_ends_the_login(agent: Agent, login: BrowserLogin) -> None:
    with httpx2.Client(verify=False) as human, httpx2.Client(verify=False) as thief:
        for _ in range(2):  # a reload is the same browser
            answer = human.get(login.begins_at)
            assert (answer.status_code, answer.headers["location"]) == (303, login.url)
        second = thief.get(login.begins_at)
    assert second.status_code == 409 and "location" not in second.headers
    with pytest.raises(OAuthRefused) as caught:
        agent.finish_login(login, timeout=HANGS)
    assert caught.value.oauth_error == "contested" and agent.stored() is None


PYTHON = shutil.which("python3", path="/usr/bin:/bin")
"""One that another user may start."""
ASK = """
import http.client, sys, urllib.parse
parts = urllib.parse.urlsplit(sys.argv[1])
asked = http.client.HTTPConnection(parts.netloc, timeout=10)
asked.request("GET", f"{parts.path}?{parts.query}" if parts.query else parts.path)
print(asked.getresponse().status)
"""


def as_another_user(url: str) -> int:
    line = [str(PYTHON), "-I", "-c", ASK, url]
    done = subprocess.run(line, cwd="/", user=65534, capture_output=True, text=True, timeout=HANGS, check=True)
    return int(done.stdout)


@pytest.mark.skipif(
    sys.platform != "linux" or os.getuid() != 0 or PYTHON is None, reason="only root becomes another user"
)
def test_another_users_browser_is_answered_with_nothing(
    login: BrowserLogin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    redirect = f"{login.redirect_uri}?code=theirs&state={login.state}&iss={login.asked.metadata.issuer}"
    assert as_another_user(login.begins_at) == as_another_user(redirect) == 403
    listener = login.asked.listener
    assert listener is not None and listener.found is None and not listener.contested
    # Where nobody looks whose the connection is, they are led to the login.
    monkeypatch.setattr(loopback, "CONNECTIONS", tmp_path / "unknown")
    assert as_another_user(login.begins_at) == 303


def finished_by(agent: Agent, account: str, expected: str | None) -> Callable[[], object]:
    login = agent.start_login(SCOPES, BROWSER)
    _, came = SampleHuman(account).authorize(login.url, True)
    return lambda: agent.finish_login(login, pasted=lambda: came, expected=expected, timeout=HANGS)


def test_the_yes_of_another_account_than_was_asked_for_is_not_taken(agent: Agent) -> None:
    with pytest.raises(OAuthRefused) as caught:
        finished_by(agent, MALLORY, ALICE)()
    assert caught.value.oauth_error == "another_account" and MALLORY in (caught.value.why or "")
    assert "was revoked" in (caught.value.why or "") and agent.stored() is None


@pytest.mark.parametrize("expected", [ALICE, "ALICE@example.com", "user_alice"])
def test_that_of_the_right_one_is(agent: Agent, expected: str) -> None:
    finished_by(agent, ALICE, expected)()
    assert agent.token().human == (ALICE, "user_alice")


def test_where_nobody_compares_the_agent_ends_in_the_attackers_account_and_says_so(agent: Agent) -> None:
    finished_by(agent, MALLORY, None)()
    assert agent.token().human[0] == MALLORY
