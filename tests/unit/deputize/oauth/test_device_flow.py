"""Waiting for the human's decision, as RFC 8628 sections 3.4 and 3.5 ask of a client."""

from __future__ import annotations

import itertools
import threading
import time
from pathlib import Path

import anyio
import pytest

from demo.errors import REFUSED
from deputize import OAuthRefused
from deputize.errors import ServerUnreachable
from deputize.oauth import device_flow
from tests.conftest import HANGS
from tests.unit.client.fakes import Reply, Request, Shop, agent_at, granted, oauth, raw_server

FASTER = 100.0
"""How much faster than told the client sleeps in tests of long intervals."""


@pytest.fixture
def real_time() -> None:
    """For a test that measures what a person would see."""


@pytest.fixture(autouse=True)
def _quick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "real_time" not in request.fixturenames:
        monkeypatch.setattr(device_flow, "TICK", 0.02)


@pytest.fixture
def asleep(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Every sleep that was asked for, in seconds; each lasts a part of it."""
    asked: list[float] = []
    real = anyio.sleep

    async def sleep(seconds: float) -> None:
        asked.append(seconds)
        await real(seconds / FASTER)

    monkeypatch.setattr(anyio, "sleep", sleep)
    return asked


def intervals(asleep: list[float], tick: float = 0.02) -> list[float]:
    return [round(seconds, 3) for seconds in asleep if seconds > tick]


def test_it_polls_at_the_interval_until_the_human_approves(shop: Shop, tmp_path: Path, asleep: list[float]) -> None:
    shop.device["interval"] = 2
    shop.polls(oauth("authorization_pending"), oauth("authorization_pending"), granted())
    agent = agent_at(shop.fake.base, tmp_path)
    token = agent.finish_login(agent.start_login(["shop:read"]))
    assert intervals(asleep) == [2, 2, 2]
    assert agent.stored() == token
    assert token.access_token == "access-0123456789"
    assert shop.fake.to("/token")[0].form["resource"] == [f"{shop.fake.base}/mcp"]


def test_slow_down_adds_five_seconds_to_this_and_all_later_polls(
    shop: Shop, tmp_path: Path, asleep: list[float]
) -> None:
    shop.device["interval"] = 1
    shop.polls(oauth("slow_down"), oauth("authorization_pending"), oauth("slow_down"), granted())
    agent = agent_at(shop.fake.base, tmp_path)
    agent.finish_login(agent.start_login(["shop:read"]))
    assert intervals(asleep) == [1, 6, 6, 11]


def test_slow_down_adds_five_seconds_to_a_long_interval_too(shop: Shop, tmp_path: Path, asleep: list[float]) -> None:
    shop.device["interval"] = 58
    shop.polls(oauth("slow_down"), granted())
    agent = agent_at(shop.fake.base, tmp_path)
    agent.finish_login(agent.start_login(["shop:read"]))
    assert intervals(asleep) == [58, 63]


def test_without_an_interval_five_seconds_are_meant(shop: Shop, tmp_path: Path, asleep: list[float]) -> None:
    del shop.device["interval"]
    shop.polls(granted())
    agent = agent_at(shop.fake.base, tmp_path)
    login = agent.start_login(["shop:read"])
    assert login.code.interval == 5
    agent.finish_login(login)
    assert intervals(asleep) == [5]


@pytest.mark.parametrize(
    "trouble",
    [
        Reply(503),
        Reply(429),
        Reply(500, body=b"<html>", headers=(("content-type", "text/html"),)),
        Reply(511, body=b"<html><title>Sign in to the network</title>"),
        Reply(body=b"<!doctype html><h1>Free WiFi</h1>", headers=(("content-type", "text/html"),)),
        Reply(302, headers=(("location", "https://portal.example/"),)),
        Reply(403, body=b"blocked by your network"),
        Reply(body=b"{"),
    ],
)
def test_a_server_in_trouble_is_asked_again_ever_later(
    shop: Shop, tmp_path: Path, asleep: list[float], trouble: Reply
) -> None:
    shop.device["interval"] = 1
    shop.polls(trouble, trouble, granted())
    states: list[str] = []
    agent = agent_at(shop.fake.base, tmp_path)
    agent.finish_login(agent.start_login(["shop:read"]), on_wait=lambda _, state: states.append(state))
    assert intervals(asleep) == [1, 2, 4]
    assert "no_answer" in states


def test_a_wait_that_the_server_names_is_kept_to(shop: Shop, tmp_path: Path, asleep: list[float]) -> None:
    shop.device["interval"] = 1
    shop.polls(Reply(429, headers=(("retry-after", "17"),)), granted())
    agent = agent_at(shop.fake.base, tmp_path)
    agent.finish_login(agent.start_login(["shop:read"]))
    assert intervals(asleep) == [1, 17]


def test_a_page_that_is_no_passing_fault_ends_the_login(shop: Shop, tmp_path: Path, asleep: list[float]) -> None:
    shop.polls(Reply(404, body=b"<html><title>No such page</title>"))
    agent = agent_at(shop.fake.base, tmp_path)
    with pytest.raises(OAuthRefused) as refused:
        agent.finish_login(agent.start_login(["shop:read"]))
    assert "HTTP 404" in refused.value.why and "No such page" in refused.value.why
    assert len(shop.fake.to("/token")) == 4


def test_a_token_that_is_sent_as_a_web_page_is_taken(shop: Shop, tmp_path: Path) -> None:
    full = granted()
    shop.polls(Reply(json=full.json, headers=(("content-type", "text/html"),)))
    agent = agent_at(shop.fake.base, tmp_path)
    assert agent.finish_login(agent.start_login(["shop:read"])).access_token == "access-0123456789"


def test_connection_timeouts_back_off_and_end_nothing(shop: Shop, tmp_path: Path, asleep: list[float]) -> None:
    shop.device["interval"] = 1
    shop.polls(Reply(wait=600), granted())
    login = agent_at(shop.fake.base, tmp_path).start_login(["shop:read"])
    agent_at(shop.fake.base, tmp_path, timeout=1.5).finish_login(login)
    assert intervals(asleep) == [1, 2]


def test_a_poll_that_drips_for_ever_does_not_hold_up_the_others(shop: Shop, tmp_path: Path) -> None:
    polls = 0

    def drip(connection) -> None:  # type: ignore[no-untyped-def]
        nonlocal polls
        connection.recv(65536)
        polls += 1
        if polls > 1:
            body = b'{"access_token": "a-0123456789", "token_type": "bearer"}'
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body)
            return
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n")
        while True:
            connection.sendall(b" ")
            time.sleep(0.1)

    with raw_server(drip) as base:
        shop.metadata["token_endpoint"] = f"{base}/token"
        login = agent_at(shop.fake.base, tmp_path).start_login(["shop:read"])
        token = agent_at(shop.fake.base, tmp_path, timeout=0.6).finish_login(login, timeout=HANGS)
    assert token.access_token == "a-0123456789"


@pytest.mark.parametrize("error", ["access_denied", "expired_token", "invalid_grant"])
def test_a_refusal_ends_the_login_in_oauths_own_words(shop: Shop, tmp_path: Path, error: str) -> None:
    shop.polls(oauth(error))
    agent = agent_at(shop.fake.base, tmp_path)
    with pytest.raises(OAuthRefused) as refused:
        agent.finish_login(agent.start_login(["shop:read"]))
    assert (refused.value.oauth_error, refused.value.exit_code) == (error, REFUSED)
    assert refused.value.why and refused.value.do
    assert agent.stored() is None


def test_a_denial_is_told_in_the_servers_own_words(shop: Shop, tmp_path: Path) -> None:
    words = "agents are not admitted on Sundays\x1b[2J"
    shop.polls(Reply(400, json={"error": "access_denied", "error_description": words}))
    agent = agent_at(shop.fake.base, tmp_path)
    with pytest.raises(OAuthRefused) as refused:
        agent.finish_login(agent.start_login(["shop:read"]))
    assert refused.value.why.startswith("agents are not admitted on Sundays") and "\x1b" not in refused.value.why


def test_the_codes_own_end_ends_the_wait_without_an_answer(shop: Shop, tmp_path: Path) -> None:
    shop.device |= {"expires_in": 0.5, "interval": 600}
    agent = agent_at(shop.fake.base, tmp_path)
    started = time.monotonic()
    with pytest.raises(OAuthRefused) as refused:
        agent.finish_login(agent.start_login(["shop:read"]))
    assert refused.value.oauth_error == "expired_token"
    assert time.monotonic() - started < HANGS, "the interval alone is ten minutes"


def test_the_callers_patience_ends_the_wait_as_a_timeout(shop: Shop, tmp_path: Path) -> None:
    shop.polls(oauth("authorization_pending"))
    agent = agent_at(shop.fake.base, tmp_path)
    with pytest.raises(OAuthRefused) as refused:
        agent.finish_login(agent.start_login(["shop:read"]), timeout=0.5)
    assert refused.value.oauth_error == "timeout"


def test_the_screen_hears_again_and_again_while_the_server_is_silent(
    shop: Shop, tmp_path: Path, real_time: None
) -> None:
    heard: list[float] = []
    often = threading.Event()

    def hear(left: float, _: object) -> None:
        heard.append(left)
        if len(heard) > 5:
            often.set()

    def answers_then(_: Request) -> Reply:
        return granted() if often.wait(HANGS) else oauth("access_denied")

    shop.fake.on["/token"] = answers_then
    agent = agent_at(shop.fake.base, tmp_path)
    agent.finish_login(agent.start_login(["shop:read"]), on_wait=hear)
    assert len(shop.fake.to("/token")) == 1
    assert all(later < earlier for earlier, later in itertools.pairwise(heard))


def test_giving_up_ends_it_at_once_even_while_a_poll_hangs(shop: Shop, tmp_path: Path) -> None:
    shop.polls(Reply(wait=600))
    agent = agent_at(shop.fake.base, tmp_path)
    login = agent.start_login(["shop:read"])
    started = time.monotonic()
    with pytest.raises(OAuthRefused) as refused:
        agent.finish_login(login, give_up=lambda: time.monotonic() - started > 0.5)
    assert refused.value.oauth_error == "given_up"
    assert time.monotonic() - started < HANGS, "the poll itself takes ten minutes"


def test_a_web_page_in_place_of_the_authorization_server_is_named_as_such(shop: Shop, tmp_path: Path) -> None:
    shop.polls(Reply(body=b"<!doctype html><h1>Free WiFi</h1>", headers=(("content-type", "text/html"),)))
    agent = agent_at(shop.fake.base, tmp_path)
    with pytest.raises(ServerUnreachable, match="web page"):
        agent.finish_login(agent.start_login(["shop:read"]), timeout=2.0)
    assert len(shop.fake.to("/token")) > 1, "the next poll may find the network signed in"


@pytest.mark.parametrize(
    "response",
    [
        {"token_type": "Bearer"},
        {"access_token": "abc", "token_type": "mac"},
        {"access_token": "a b\r\nx: y", "token_type": "Bearer"},
        {"access_token": 7, "token_type": "Bearer"},
        {"access_token": "abc"},
    ],
)
def test_a_token_response_that_cannot_be_used_is_refused(
    shop: Shop, tmp_path: Path, response: dict[str, object]
) -> None:
    shop.polls(Reply(json=response))
    agent = agent_at(shop.fake.base, tmp_path)
    with pytest.raises(OAuthRefused, match="cannot be used"):
        agent.finish_login(agent.start_login(["shop:read"]))


@pytest.mark.parametrize(
    ("lasts", "seconds"), [(None, 300), ("120", 120), (-5, 0), ("soon", 300), (1e300, 366 * 86400), (True, 300)]
)
def test_an_odd_lifetime_is_read_with_sense(shop: Shop, tmp_path: Path, lasts: object, seconds: float) -> None:
    shop.polls(granted(expires_in=lasts))
    agent = agent_at(shop.fake.base, tmp_path)
    token = agent.finish_login(agent.start_login(["shop:read"]))
    assert token.expires_at - time.time() == pytest.approx(seconds, abs=3)


@pytest.mark.parametrize(
    "change",
    [
        {"verification_uri": "javascript:alert(1)"},
        {"verification_uri": "http://example.com/device"},
        {"verification_uri_complete": "file:///etc/passwd"},
        {"verification_uri": "https://example.com/\x1b]0;owned\x07"},
        {"verification_uri_complete": "https://example.com/\u202edevice"},
        {"device_code": None},
        {"user_code": None},
        {"expires_in": "soon"},
    ],
)
def test_a_device_code_that_leads_astray_is_refused(shop: Shop, tmp_path: Path, change: dict[str, object]) -> None:
    shop.device |= change
    agent = agent_at(shop.fake.base, tmp_path)
    with pytest.raises(OAuthRefused) as refused:
        agent.start_login(["shop:read"])
    assert refused.value.oauth_error == "unsupported"


def test_escapes_in_the_user_code_and_errors_reach_nobodys_terminal(shop: Shop, tmp_path: Path) -> None:
    shop.device["user_code"] = "AB\x1b[2JCD"
    shop.polls(Reply(400, json={"error": "x\x1b]0;", "error_description": "\x1b[31mred\x9b"}))
    agent = agent_at(shop.fake.base, tmp_path)
    login = agent.start_login(["shop:read"])
    with pytest.raises(OAuthRefused) as refused:
        agent.finish_login(login)
    shown = login.code.user_code + refused.value.what + refused.value.why + refused.value.oauth_error
    assert "\x1b" not in shown and "\x9b" not in shown


def test_an_authorization_server_without_the_device_flow_is_said_to_be_one(shop: Shop, tmp_path: Path) -> None:
    del shop.metadata["device_authorization_endpoint"]
    agent = agent_at(shop.fake.base, tmp_path)
    with pytest.raises(OAuthRefused) as refused:
        agent.start_login(["shop:read"])
    assert refused.value.oauth_error == "unsupported" and "device_authorization_endpoint" in refused.value.why


def test_the_device_code_is_shown_nowhere(shop: Shop, tmp_path: Path) -> None:
    shop.polls(Reply(400, json={"error": "x", "error_description": f"what is {shop.device['device_code']}?"}))
    agent = agent_at(shop.fake.base, tmp_path)
    login = agent.start_login(["shop:read"])
    with pytest.raises(OAuthRefused):
        agent.finish_login(login)
    assert shop.device["device_code"] not in repr(login) + repr(agent.recorder.exchanges)
