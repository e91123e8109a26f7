"""The room, over real sockets: what phones see of the talk, and *be the human* from the account to the revocation."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx2
import pytest

from demo.audience import attendees, guard, life
from demo.audience.server import DATABASE
from demo.presenter import address
from deputize.errors import EnvironmentNotReady, UsageError
from tests.conftest import HANGS

from .conftest import House, Phone, beat, form, statement, until

HOSTILE = '<img src=x onerror="alert(1)">\x1b[31m\x9b\u202e'

NAMES_NOT_SHOWN = (
    *("fuck", "F.u-c K", "sh1t", "fu\u115fck", "Adm1n", "admin\u3164", "\u3164", "A\ufe0f"),
    *("x" * 25, "<b>", "a\u202eb", "e" + "\u0301" * 9),
)
FORM = {"content-type": "application/x-www-form-urlencoded"}


def events(phone: Phone, path: str, enough: str, seconds: float = HANGS) -> str:
    """What an event stream has said when `enough` was in it."""
    said = ""
    with phone.http.stream("GET", path, timeout=seconds) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        for chunk in stream.iter_text():
            said += chunk
            if enough in said:
                return said
    raise AssertionError(said)


def test_the_page_shows_what_is_recorded_and_a_stream_says_it_as_it_comes(house: House):
    phone = house.phone()
    house.record(beat("The first beat"), statement("One sentence"))
    until(lambda: "The first beat" in phone.page("/") and "One sentence" in phone.page("/"))
    heard: list[str] = []
    listener = threading.Thread(target=lambda: heard.append(events(phone, "/feed", "Another sentence")))
    listener.start()
    house.record(statement("Another sentence"))
    listener.join(HANGS)
    assert heard and "event: now" in heard[0] and "Another sentence" in heard[0]
    # Who missed something is given that alone.
    last = int(re.findall(r"^id: (\d+)", heard[0], re.MULTILINE)[-1])
    house.record(statement("A third one"))
    again = events(phone, f"/feed?after={last}", "A third one")
    assert "One sentence" not in again and "event: +panels" in again


def test_whatever_a_recording_says_is_text_on_the_page(house: House):
    phone = house.phone()
    consent = {"event": "consent", "state": "asked", "human": HOSTILE, "agent": HOSTILE, "amount": HOSTILE}
    closing = {"event": "closing", "text": HOSTILE}
    house.record(beat(HOSTILE, speaker=HOSTILE), statement(HOSTILE), consent, closing)
    page = phone.shows("/", "onerror")
    assert "<img" not in page and not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", page)


def test_the_code_by_which_the_human_on_stage_approves_is_not_on_it(house: House):
    phone = house.phone()
    device = {"user_code": "BCDF-GHJK", "verification_uri": "https://as.example/device", "client": "Shirt Agent"}
    house.record(
        beat("The consent"),
        {"event": "panel", "name": "device", "step": "s", "with": {"given": device, "now": 0}},
        {"event": "consent", "state": "asked", "human": "Alice Ito", "agent": "Shirt Agent", "amount": "60.00 USD"},
    )
    page = phone.shows("/", "Alice Ito")
    assert "BCDF" not in page and "as.example" not in page


def test_a_line_that_is_no_event_changes_nothing(house: House):
    phone = house.phone()
    bad = [
        {"event": "beat"},
        {"event": "beat", "header": []},
        {"event": "panel", "name": "order", "with": {"given": 1}},
    ]
    panel = {"event": "panel", "name": "no_such_panel", "step": "s", "with": {"given": {}}}
    house.record(
        beat("Before"), *bad, panel, {"event": "result", "verdict": 3}, {"event": "closing", "text": "Still here"}
    )
    page = phone.shows("/", "Still here")
    assert "Before" in page and "Look at the stage" in page


def test_an_attendee_approves_an_agent_sees_it_buy_and_sees_it_revoked(house: House):
    phone = house.phone()
    assert phone.join("Zoë").url.path == "/you"
    consent = phone.sign_in(phone.link())
    assert "Zoë" in consent and "Shirt Agent" in consent
    assert "alice@example.com" not in consent  # the talk's accounts are none of this room's
    assert phone.decide(limit="30").status_code == 200
    phone.sees("Bought a shirt for 25.00 USD")
    phone.sees("5.00 USD")
    phone.press("/you/buy")
    until(lambda: phone.rules() == ["limits.spending", "allowed"])
    assert [(one.number, one.name) for one in life.revoke(house.state, phone.number)] == [(phone.number, "Zoë")]
    until(lambda: phone.rules()[0] == "standing.agent")
    # It was revoked once, and there is nothing more to take.
    assert life.revoke(house.state, phone.number) == ()


def test_all_are_revoked_at_once_and_each_next_call_is_refused(house: House):
    phones = [house.phone() for _ in range(3)]
    for phone in phones:
        phone.join()
        phone.decide(limit="100")
    for phone in phones:
        phone.sees("Bought a shirt")
    assert {one.number for one in life.revoke(house.state, None)} >= {phone.number for phone in phones}
    for phone in phones:
        until(lambda phone=phone: phone.rules()[0] == "standing.agent")


def test_a_no_is_an_outcome_and_the_agent_may_ask_again(house: House):
    phone = house.phone()
    phone.join("Ann")
    phone.decide("deny")
    phone.sees("You said no")
    phone.press("/you/ask")
    phone.decide("approve")
    phone.sees("Bought a shirt")


def test_an_agent_does_not_act_for_another_attendee_who_said_yes(house: House):
    ann, eve = house.phone(), house.phone()
    ann.join("Ann")
    eve.join("Eve")
    fields = form(eve.sign_in(ann.link()), "/device/consent") | {"decision": "approve", "limit": "30"}
    assert eve.http.post("/device/consent", data=fields).status_code == 200
    ann.page("/you?decided")
    ann.sees("another account said yes")
    assert ann.rules() == []


def test_a_code_is_taken_from_the_link_on_the_phone_that_shows_it_and_on_no_other(house: House):
    ann, eve = house.phone(), house.phone()
    ann.join("Ann")
    eve.join("Eve")
    for phone, typed in ((ann, False), (eve, True), (house.phone(), True)):
        page = phone.http.post("/device", data=form(phone.page(ann.link()), "/device"))
        assert ('id="typed"' in page.text) is typed


def test_nobody_signs_in_as_another_attendee(house: House):
    ann, eve = house.phone(), house.phone()
    ann.join("Ann")
    eve.join("Eve")
    assert eve.http.post("/device", data={"user_code": "x"}).status_code == 403  # no form of ours
    sign_in = eve.enter(eve.link()).text
    assert f"no{eve.number}@" in sign_in and f"no{ann.number}@" not in sign_in
    fields = form(sign_in, "/device/sign-in") | {"account": f"no{ann.number}@{attendees.DOMAIN}"}
    answer = eve.http.post("/device/sign-in", data=fields)
    assert answer.url.path == "/device/sign-in"  # asked once more who it is
    nobody = house.phone()
    page = nobody.enter(ann.link()).text
    assert "This browser has no account here" in page and "@" not in page


def test_a_form_from_elsewhere_does_nothing(house: House):
    phone = house.phone()
    phone.join("Ann")
    phone.decide(limit="100")
    phone.sees("Bought a shirt")
    assert phone.http.post("/you/buy", data={"csrf": "0" * 64}).status_code == 200
    elsewhere = {"origin": "https://evil.example"}
    assert phone.http.post("/you", data={"name": "x"}, headers=elsewhere).status_code == 403
    for path in ("/you/buy", "/you/ask"):
        assert phone.http.get(path).status_code == 405
    assert phone.rules() == ["allowed"]


@pytest.mark.parametrize("name", NAMES_NOT_SHOWN)
def test_a_name_that_is_not_shown_makes_no_account(house: House, name: str):
    phone = house.phone()
    answer = phone.join(name)
    assert (answer.status_code, "set-cookie" in answer.headers) == (400, False)
    assert "<b>" not in answer.text


def test_what_is_for_software_and_for_the_presenter_is_not_on_the_network(house: House):
    phone = house.phone()
    software = (
        "/oauth2/token",
        "/oauth2/device_authorization",
        "/oauth2/introspect",
        "/oauth2/register",
        "/mcp",
        "/events",
    )
    for path in (*software, "/account/sessions", "/room/revoke/all", "/presenter/", "/audit", "/open/mcp", "/health"):
        assert (phone.http.get(path).status_code, phone.http.post(path).status_code) == (404, 404), path
    # On loopback the presenter's command line is known by a secret in the state folder.
    with httpx2.Client(base_url=house.inside, verify=False) as inside:
        for headers in ({}, {"authorization": "Bearer guess"}):
            assert inside.post("/room/revoke/all", headers=headers).status_code == 401
        assert inside.get("/mcp", headers={"host": "evil.example"}).status_code == 421


def test_the_issuer_is_the_address_that_phones_use(house: House):
    metadata = house.phone().http.get("/.well-known/oauth-authorization-server").json()
    assert metadata["issuer"] == house.room.url
    resource = house.phone().http.get("/.well-known/oauth-protected-resource/mcp").json()
    assert (resource["resource"], resource["authorization_servers"]) == (f"{house.room.url}/mcp", [house.room.url])


def test_requests_that_no_phone_sends_are_refused(house: House):
    http = house.phone().http
    assert http.get("/", headers={"host": "evil.example"}).status_code == 421
    assert http.request("DELETE", "/you").status_code == 405
    assert http.get("/?" + "x" * guard.LONGEST_TARGET).status_code == 414
    assert http.post("/you", data={"name": "x" * guard.LONGEST_BODY}).status_code == 413
    assert http.post("/device", content=iter([b"x" * 9000]), headers=FORM).status_code == 411
    # A parser believes the chunks and not the length (RFC 9112 section 6.3), and a body may come with any method.
    both = {**FORM, "content-length": "5", "transfer-encoding": "chunked"}
    assert http.post("/you", content=iter([b"name=" + b"x" * 9000]), headers=both).status_code == 411
    assert http.request("GET", "/presenter/", content=iter([b"x" * 9000])).status_code == 411
    assert http.request("GET", "/presenter/", content=b"x" * 9000).status_code == 413
    assert http.head("/feed").status_code == 200  # and no stream
    assert http.get("/nothing").status_code == 404
    headers = http.get("/").headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert (headers["x-frame-options"], headers["x-content-type-options"]) == ("DENY", "nosniff")


def test_the_way_to_the_presenter_s_page_leads_to_what_is_there_and_nowhere_else(house: House):
    received: list[bytes] = []

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            received.append(self.requestline.encode())
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as page:
        threading.Thread(target=page.serve_forever, daemon=True).start()
        address.write(house.state, page.server_port)
        try:
            client = house.phone().http
            assert client.get("/presenter/", headers={"cookie": "a=ü".encode("latin-1")}).status_code == 200
            for elsewhere in ("%00", "%0d%0aX:1", "..%2f", "%3Fkey=1", "http://evil.example/", "@evil.example"):
                assert client.get(f"/presenter/{elsewhere}").status_code == 404, elsewhere
            assert received == [b"GET / HTTP/1.1"]
        finally:
            address.forget(house.state, page.server_port)
            page.shutdown()


def test_where_an_attendee_came_from_is_written_down_nowhere(house: House):
    house.phone().join("Ann")
    with contextlib.closing(sqlite3.connect(house.state / life.FOLDER / DATABASE)) as kept:
        rows = kept.execute("SELECT * FROM room_attendees").fetchall()
    assert rows and "127.0.0.1" not in str(rows)


def test_the_pages_work_without_scripts_and_hold_none(house: House):
    phone = house.phone()
    for path in ("/", "/you"):
        page = phone.page(path)
        assert '<noscript><meta http-equiv="refresh"' in page
        assert re.findall(r"<script[^>]*>", page) == ['<script src="/room.js" defer>']
        assert " style=" not in page and " on" not in "".join(re.findall(r"<\w+([^>]*)>", page)).replace(" one", "")


def test_one_session_serves_a_room_and_another_is_told(house: House):
    with pytest.raises(EnvironmentNotReady) as refused:
        life.start(house.state, "")
    assert "another session" in refused.value.why
    with pytest.raises(UsageError):
        life.revoke(house.state, 599)


@pytest.mark.long
def test_the_room_ends_with_the_session_that_is_killed(tmp_path: Path):
    state = tmp_path / "state"
    starts = (
        "from pathlib import Path; from demo.audience import life; "
        f"print(life.start(Path({str(state)!r}), '').url, flush=True); input()"
    )
    session = subprocess.Popen([sys.executable, "-c", starts], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert session.stdout is not None
    url = session.stdout.readline().strip()
    assert httpx2.get(url, verify=False).status_code == 200
    phone = Phone(httpx2.Client(base_url=url, follow_redirects=True, timeout=HANGS, verify=False))
    phone.join("Ann")
    number = phone.number
    session.kill()
    session.wait()
    until(lambda: life.find(state) is None)
    # The accounts are there again for the session that goes on; what the agents held is not.
    room = life.start(state, "")
    try:
        assert room.url == url
        assert phone.number == number
        with pytest.raises(EnvironmentNotReady):
            life.forget(state)
    finally:
        room.stop()
    life.forget(state)
    assert not (state / "audience").exists()
