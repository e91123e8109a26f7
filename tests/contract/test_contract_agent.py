"""The agent of `worker/agent` under workerd, at a real shop and authorization server: whatever happens to it or to them
in the middle of a purchase, it buys nothing twice, and without its human's authority nothing at all."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import psutil
import pytest

from demo.client.human.sample_human import SampleHuman
from demo.deploy import local_agent, tools, workerd
from demo.deploy.local_agent import EdgeAgent, LocalAgent
from demo.local_server import local
from demo.processes import ProcessMark
from tests.conftest import HANGS
from tests.contract.issuer import ALICE, Issuer, silent

pytestmark = pytest.mark.worker
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture
def agent(troubled: Issuer, tmp_path: Path, agents_tools: tools.Tools) -> Iterator[LocalAgent]:
    """An agent of its own, that was never started. Nothing of it happens by itself within a test."""
    variables = {"EVERY_SECONDS": "3600", "PURCHASES": "2"}
    with LocalAgent(tmp_path, f"{troubled.url}/mcp", folder=agents_tools.worker, variables=variables) as running:
        yield running


def log_in(agent: LocalAgent, key: str = "once", *, approve: bool = True) -> None:
    asked = agent.start(key)
    assert asked.authorize is not None
    _, back = SampleHuman(ALICE).authorize(asked.authorize, approve)
    agent.arrive(back)


def seen(agent: LocalAgent, is_so: Callable[[EdgeAgent], bool]) -> EdgeAgent:
    now = agent.until("a test", is_so, 60.0)
    assert is_so(now), now
    return now


def bought(number: int) -> Callable[[EdgeAgent], bool]:
    return lambda now: len(now.orders) == number


def sold(issuer: Issuer) -> list[str]:
    """The orders that the shop has on record, each once."""
    with issuer.context.store.transaction() as connection:
        rows = connection.execute("SELECT id FROM shop_orders WHERE door = 'protected' ORDER BY seq").fetchall()
    return [str(row[0]) for row in rows]


class Withheld:
    """In the place of the shop: it does what it is asked, and answers a purchase only when the test lets it."""

    def __init__(self, issuer: Issuer) -> None:
        self._app, self.placed, self.go = issuer.switch.app, threading.Event(), threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, said = b"", []

        async def hearing() -> Any:
            nonlocal body
            message = await receive()
            body += message.get("body", b"")
            return message

        async def keeping(message: Any) -> None:
            said.append(message)

        await self._app(scope, hearing, keeping)
        if b'"buyMcpShopItem"' in body and b'"tools/call"' in body:
            self.placed.set()
            for _ in range(600):
                if self.go.is_set():
                    break
                await asyncio.sleep(0.1)
        with contextlib.suppress(Exception):  # who asked may be gone
            for message in said:
                await send(message)


def test_killed_between_a_purchase_and_its_note_it_finds_the_order_again(troubled: Issuer, agent: LocalAgent) -> None:
    before = sold(troubled)
    shop = Withheld(troubled)
    with troubled.answering(shop, "/mcp"):
        log_in(agent)
        assert shop.placed.wait(60)
        agent.kill()
        shop.go.set()
    placed = [order for order in sold(troubled) if order not in before]
    assert len(placed) == 1, "the shop has sold it, and the agent does not know"
    agent.start_again()
    now = seen(agent, bought(1))
    assert (now.orders, now.purchases[0].replayed, now.purchases[0].attempts) == (tuple(placed), True, 2)
    assert [order for order in sold(troubled) if order not in before] == placed
    assert now.logins == 1


def test_many_alarms_at_once_are_one_and_the_last_purchase_hands_the_token_back(
    troubled: Issuer, agent: LocalAgent
) -> None:
    before = sold(troubled)
    log_in(agent)
    seen(agent, bought(1))
    troubled.switch.asked.clear()
    with ThreadPoolExecutor(8) as hands:
        list(hands.map(lambda _: agent.hurry(), range(8)))
    now = seen(agent, lambda now: now.phase == "done")
    assert len(now.orders) == len(set(now.orders)) == 2
    assert [order for order in sold(troubled) if order not in before] == list(now.orders)
    deadline = time.monotonic() + HANGS
    while "/oauth2/revoke" not in troubled.switch.asked and time.monotonic() < deadline:
        time.sleep(0.1)
    assert "/oauth2/revoke" in troubled.switch.asked, "with nothing left to do it keeps no authority"


def test_deployed_again_with_a_lower_number_it_buys_no_more(
    troubled: Issuer, tmp_path: Path, agents_tools: tools.Tools
) -> None:
    def deployed(purchases: str) -> LocalAgent:
        variables = {"EVERY_SECONDS": "3600", "PURCHASES": purchases}
        return LocalAgent(tmp_path, f"{troubled.url}/mcp", folder=agents_tools.worker, variables=variables)

    with deployed("2") as before:
        log_in(before)
        seen(before, bought(1))
    with deployed("1") as after:
        after.hurry()
        now = seen(after, lambda now: now.phase != "working")
        assert (now.phase, len(now.orders), now.due) == ("done", 1, None)
        seen(after, lambda _: "/oauth2/revoke" in troubled.switch.asked)


def test_begun_again_with_the_same_name_it_buys_nothing_twice(troubled: Issuer, agent: LocalAgent) -> None:
    log_in(agent, "the-same")
    first = seen(agent, bought(1)).orders
    assert agent.stop().phase == "stopped"
    before = sold(troubled)
    log_in(agent, "the-same")
    again = seen(agent, bought(1))
    assert (again.orders, again.purchases[0].replayed, again.logins) == (first, True, 2)
    assert sold(troubled) == before


def test_a_shop_that_does_not_answer_at_the_alarm_is_asked_again_and_not_for_ever(
    troubled: Issuer, agent: LocalAgent
) -> None:
    log_in(agent)
    seen(agent, bought(1))
    with troubled.answering(silent, "/mcp"):
        agent.hurry()
        waiting = seen(agent, lambda now: now.purchases[-1].attempts == 1 and now.purchases[-1].reason != "")
        assert (waiting.phase, waiting.purchases[-1].status, waiting.due is not None) == ("working", "planned", True)
        for attempts in range(1, 8):
            assert agent.status().purchases[-1].attempts >= attempts
            agent.hurry()  # else the waits in between are of 4, 8, 16, ... seconds
            seen(agent, lambda now, n=attempts: now.purchases[-1].attempts > n or now.phase == "failed")
        given_up = seen(agent, lambda now: now.phase == "failed")
    assert (given_up.due, len(given_up.orders)) == (None, 1)


def test_it_goes_on_over_expired_tokens_killed_in_between(troubled: Issuer, agent: LocalAgent) -> None:
    log_in(agent)
    seen(agent, bought(1))
    with troubled.clock_ahead(400):
        with troubled.answering(silent, "/oauth2/"):
            agent.hurry()
            waiting = seen(agent, lambda now: len(now.purchases) == 2 and now.purchases[1].reason != "")
            assert waiting.phase == "working", "nobody could say whether it still may: that is no revocation"
        agent.kill()
        agent.start_again()
        now = seen(agent, bought(2))
    assert now.logins == 1


def test_revoked_it_stops_and_does_not_log_in_again_by_itself(troubled: Issuer, agent: LocalAgent) -> None:
    log_in(agent)
    seen(agent, bought(1))
    (session,) = live_sessions(troubled, "Night Shift Agent (Cloudflare)")
    troubled.revoke("session", session)
    troubled.switch.asked.clear()
    agent.hurry()
    over = seen(agent, lambda now: now.phase == "over")
    assert (over.due, over.authorize, len(over.orders)) == (None, None, 1)
    agent.kill()
    agent.start_again()
    assert agent.status().phase == "over"
    assert {"/oauth2/authorize", "/oauth2/register"}.isdisjoint(troubled.switch.asked)
    # Its owner may ask the human again; nobody else does.
    assert agent.start("another").authorize is not None


def live_sessions(issuer: Issuer, software: str) -> list[str]:
    headers = {"authorization": f"Bearer {issuer.console()}"}
    listed = issuer.http.get(f"{issuer.url}/account/sessions", headers=headers).json()["sessions"]
    return [one["id"] for one in listed if one["client_name"] == software and one["revoked_at"] is None][-1:]


def test_a_human_who_says_no_is_not_asked_twice(agent: LocalAgent) -> None:
    log_in(agent, approve=False)
    now = seen(agent, lambda now: now.phase == "stopped")
    assert (now.due, now.purchases, now.logins) == (None, (), 0)


def test_only_its_owner_starts_sees_and_stops_it(agent: LocalAgent) -> None:
    owner = ("anybody", agent.secret)
    with httpx2.Client(base_url=agent.base_url, trust_env=False, timeout=HANGS) as http:
        for method, path in (("GET", "/"), ("GET", "/status"), ("POST", "/start"), ("POST", "/now"), ("POST", "/stop")):
            for auth in (None, ("owner", "a wrong secret, and long enough"), (agent.secret, "")):
                answer = http.request(method, path, auth=auth)
                assert answer.status_code == 401, (method, path)
                assert answer.headers["www-authenticate"].startswith("Basic ")
        # The SDK's own routes and sockets lead nowhere.
        upgrade = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA=="}
        assert http.get("/agents/shopper/shopper", headers=upgrade | {"sec-websocket-version": "13"}).status_code == 401
        assert http.get("/agents/shopper/shopper", auth=owner).status_code == 404
        # A browser adds the owner's secret to what a page of somebody else's sends.
        for foreign in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
            assert http.post("/start", auth=owner, headers=foreign).status_code == 403
        # In the place of a key that it cannot keep, another one would buy again.
        assert http.post("/start", auth=owner, headers={"idempotency-key": "two words"}).status_code == 400
        assert agent.status().phase == "new"


def test_a_made_up_way_back_changes_nothing(troubled: Issuer, agent: LocalAgent) -> None:
    asked = agent.start("once")
    with httpx2.Client(base_url=agent.base_url, trust_env=False, timeout=HANGS) as http:
        for query in ("code=x&state=made-up.shop", "error=access_denied&state=made-up.shop", "code=x", "state=.shop"):
            assert http.get(f"/callback?{query}").status_code < 500
    now = agent.status()
    assert (now.phase, now.authorize, now.logins) == ("asking", asked.authorize, 0)
    assert asked.authorize is not None
    _, back = SampleHuman(ALICE).authorize(asked.authorize, True)
    agent.arrive(back)
    first = seen(agent, bought(1))
    agent.arrive(back)  # the browser's *back*
    assert seen(agent, bought(1)).logins == first.logins == 1


def upgraded(agent: LocalAgent, path: str, message: dict[str, Any]) -> int:
    """Come as a WebSocket (RFC 6455 section 4.1) and send one message; the status of the answer."""
    place = urlsplit(agent.base_url)
    with socket.create_connection((str(place.hostname), int(place.port or 0)), timeout=HANGS) as line:
        line.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {place.netloc}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        status = int(line.recv(65536).split()[1])
        if status == 101:
            payload = json.dumps(message).encode()  # masked by zeros, which leave it as it is
            line.sendall(b"\x81" + struct.pack(">BH4x", 0x80 | 126, len(payload)) + payload)
            line.settimeout(1)
            with contextlib.suppress(TimeoutError):
                while line.recv(65536):
                    pass
    return status


def test_nobody_sets_its_state_by_a_websocket(agent: LocalAgent) -> None:
    """The SDK lets whoever is connected set the state of an object: the phase, and the round that names purchases."""
    log_in(agent)
    before = seen(agent, bought(1))
    theirs = {"phase": "working", "why": "", "round": "theirs", "logins": 9, "starts": 9, "due": 0}
    paths = ("/callback", "/callback?code=x&state=made-up.shop", "/")
    answers = [upgraded(agent, path, {"type": "cf_agent_state", "state": theirs}) for path in paths]
    assert agent.status() == before
    assert 101 not in answers


def test_a_made_up_way_back_ends_no_agent_that_waits_for_its_shop(troubled: Issuer, agent: LocalAgent) -> None:
    log_in(agent)
    seen(agent, bought(1))
    agent.kill()
    with troubled.answering(silent, "/mcp"):
        agent.start_again()
        agent.hurry()
        seen(agent, lambda now: len(now.purchases) == 2 and now.purchases[1].attempts >= 1)
        with httpx2.Client(base_url=agent.base_url, trust_env=False, timeout=HANGS) as http:
            for query in ("code=x&state=made-up.shop", "error=access_denied&state=made-up.shop", "state=made-up.shop"):
                http.get(f"/callback?{query}")
        time.sleep(0.5)
        assert agent.status().phase == "working"
    assert seen(agent, bought(2)).logins == 1


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed here")
def test_its_owner_starts_it_in_a_browser_and_no_page_of_somebody_elses_does(agent: LocalAgent) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"], timeout=30_000
        )
        signed_in = {"username": "me", "password": agent.secret, "origin": agent.base_url}
        page = browser.new_context(http_credentials=signed_in).new_page()
        page.goto(f"{agent.base_url}/")
        page.goto("about:blank")
        page.set_content(f'<form method="post" action="{agent.base_url}/start"><button>A present</button></form>')
        with page.expect_response(f"{agent.base_url}/start") as answer:
            page.click("button")
        assert answer.value.status == 403
        assert agent.status().phase == "new"
        page.goto(f"{agent.base_url}/")
        page.get_by_role("button", name="Start", exact=True).click()
        page.get_by_role("button", name=ALICE).click()
        page.locator("button[value=approve]").click()
        page.wait_for_url(f"{agent.base_url}/")
        seen(agent, bought(1))
        page.reload()
        assert agent.status().orders[0] in page.inner_text("table >> nth=1")
        page.get_by_role("button", name="Stop").click()
        page.wait_for_url(f"{agent.base_url}/")
        browser.close()
    assert agent.status().phase == "stopped"


def in_the_background(troubled: Issuer, state: Path, agents_tools: tools.Tools) -> LocalAgent:
    """As on stage: it stays when who uses it goes."""
    variables = {"EVERY_SECONDS": "3600", "PURCHASES": "2"}
    return LocalAgent(state, f"{troubled.url}/mcp", folder=agents_tools.worker, variables=variables, stays=True)


def test_begun_in_the_background_it_is_found_and_its_runtime_alone_crashes(
    troubled: Issuer, tmp_path: Path, agents_tools: tools.Tools
) -> None:
    """As on stage: started some beats before its own, by one process, and used by another."""
    in_the_background(troubled, tmp_path, agents_tools).begin()
    try:
        with in_the_background(troubled, tmp_path, agents_tools) as agent:
            mark = ProcessMark.of(agent.pid)
            log_in(agent)
            first, runtime = seen(agent, bought(1)), agent.runtime
            assert runtime != agent.pid
            agent.hurry(2)
            agent.crash()
            second = seen(agent, lambda now: now.phase == "done")
            # Another process of workerd, kept running by the same one: what was killed is what had run it.
            assert ProcessMark.of(runtime) is None and agent.runtime != runtime
            assert (second.process != first.process, second.logins, second.orders[:1]) == (True, 1, first.orders)
            assert ProcessMark.of(agent.pid) == mark and mark is not None
        assert mark.lives
    finally:
        local_agent.end(tmp_path)


def test_left_alone_it_ends_by_itself_with_all_that_it_started(
    troubled: Issuer, tmp_path: Path, agents_tools: tools.Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_agent, "LIFE_SECONDS", 20.0)
    in_the_background(troubled, tmp_path, agents_tools).begin()
    try:
        leader = workerd.noted(tmp_path / local.AGENT)
        assert leader is not None
        started, deadline = {leader}, time.monotonic() + 180
        while any(one.lives for one in started) and time.monotonic() < deadline:
            with contextlib.suppress(psutil.Error):
                below = psutil.Process(leader.pid).children(recursive=True)
                started |= {mark for one in below if (mark := ProcessMark.of(one.pid)) is not None}
            time.sleep(0.2)
        assert [one for one in started if one.lives] == []
    finally:
        local_agent.end(tmp_path)
