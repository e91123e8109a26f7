"""The presenter's page is its presenter's alone: whoever else asks is refused, in plain words, whatever they ask."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from demo.presenter.desk import Desk
from demo.presenter.serving import SECRET_FILE, secret_of
from demo.presenter.web import Place, on_loopback, presenter_app
from demo.settings import Settings
from talk.recording.remote import RemoteControl
from tests.conftest import Command
from tests.unit.presenter.test_desk import begun, header

SECRET = "s" * 22
ORIGIN = "http://127.0.0.1:7328"


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[TestClient]:
    app = presenter_app(Desk(Settings(state=tmp_path)), SECRET, lambda: on_loopback(7328))
    with TestClient(app, base_url=ORIGIN, follow_redirects=False) as client:
        yield client


@pytest.fixture
def presenter(stranger: TestClient) -> TestClient:
    answer = stranger.get(f"/?key={SECRET}")
    place, _, tab = answer.headers["location"].partition("#")
    assert (answer.status_code, place) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie
    assert SECRET not in cookie + tab
    stranger.params = stranger.params.set("tab", tab)
    return stranger


@pytest.fixture
def open_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("demo.presenter.desk.is_held", lambda _: True)
    recording = begun(tmp_path)
    recording.add("stage", state="open")
    recording.add("beat", header=header("opening"), play=1, recorded=False)
    return tmp_path


@pytest.mark.parametrize("path", ["/", "/?key=", "/?key=wrong", f"/?key={SECRET}x", "/events"])
def test_a_stranger_is_told_where_the_key_is_and_nothing_else(path: str, stranger: TestClient) -> None:
    answer = stranger.get(path)
    assert answer.status_code == 401
    assert "demo presenter --web" in answer.text and SECRET not in answer.text
    assert stranger.post("/remote", json={"do": "next"}).status_code == 401
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},  # a name that a stranger's DNS leads to this machine
        {"host": "127.0.0.1:9999"},
        {"host": "127.0.0.1"},
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:9999"},  # another program's page on this machine
        {"origin": "null"},
    ],
)
def test_another_name_or_another_origin_is_refused_although_the_cookie_is_right(
    headers: dict[str, str], presenter: TestClient, open_stage: Path
) -> None:
    remote = RemoteControl(open_stage)
    assert presenter.get("/", headers=headers).status_code == 403
    assert presenter.get("/events", headers=headers).status_code == 403
    assert presenter.post("/remote", json={"do": "next"}, headers=headers).status_code == 403
    assert remote.new() == []


def test_the_page_runs_only_its_own_script_and_is_framed_by_nobody(presenter: TestClient) -> None:
    answer = presenter.get("/")
    policy = answer.headers["content-security-policy"]
    nonce = policy.partition("script-src 'nonce-")[2].partition("'")[0]
    assert answer.status_code == 200 and f'<script nonce="{nonce}">' in answer.text and "NONCE" not in answer.text
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert answer.headers["cache-control"] == "no-store" and answer.headers["referrer-policy"] == "no-referrer"
    assert presenter.get("/").headers["content-security-policy"] != policy
    assert SECRET not in answer.text


def test_the_page_leads_the_stage(presenter: TestClient, open_stage: Path) -> None:
    remote = RemoteControl(open_stage)
    same = {"origin": ORIGIN, "sec-fetch-site": "same-origin"}
    assert presenter.post("/remote", json={"do": "next"}, headers=same).status_code == 200
    assert presenter.post("/remote", json={"do": "goto", "beat": "banned"}, headers=same).status_code == 200
    assert [(one.do, one.beat) for one in remote.new()] == [("next", None), ("goto", "banned")]


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"json": {"do": "next"}, "headers": {"sec-fetch-site": "cross-site"}}, 403),
        ({"json": {"do": "next"}, "headers": {"sec-fetch-site": "same-site"}}, 403),  # another port of this machine
        ({"data": {"do": "next"}}, 415),  # a form, which any page may send
        ({"content": b'{"do": "next"}', "headers": {"content-type": "text/plain"}}, 415),
        ({"content": b"{" * 5000, "headers": {"content-type": "application/json"}}, 413),
        ({"content": iter([b'{"do": "next"}']), "headers": {"content-type": "application/json"}}, 413),  # no length
        ({"content": b"[]", "headers": {"content-type": "application/json"}}, 400),
        ({"content": b"\xff", "headers": {"content-type": "application/json"}}, 400),
        ({"json": {"do": "explode"}}, 400),
        ({"json": {"do": ["next"]}}, 400),
        ({"json": {"do": "goto"}}, 400),
        ({"json": {"do": "goto", "beat": "nowhere"}}, 400),
        ({"json": {"do": "goto", "beat": {}}}, 400),
    ],
)
def test_what_is_no_command_leads_nothing(
    asked: dict[str, object], status: int, presenter: TestClient, open_stage: Path
) -> None:
    remote = RemoteControl(open_stage)
    assert presenter.post("/remote", **asked).status_code == status  # type: ignore[arg-type]  # its keyword arguments
    assert remote.new() == []


def test_where_no_stage_is_open_the_page_says_so(presenter: TestClient, tmp_path: Path) -> None:
    remote = RemoteControl(tmp_path)
    refused = presenter.post("/remote", json={"do": "next"})
    assert refused.status_code == 409 and "demo stage" in refused.json()["trouble"]
    assert presenter.post("/remote", json={"do": "hold"}).status_code == 200
    assert [one.do for one in remote.new()] == ["hold"]


def test_by_a_public_address_the_cookie_goes_over_tls_and_to_its_own_path_alone(tmp_path: Path) -> None:
    place = Place("https://talk.example", "/presenter/")
    app = presenter_app(Desk(Settings(state=tmp_path)), SECRET, lambda: [*on_loopback(7328), place])
    with TestClient(app, base_url=place.origin, follow_redirects=False) as client:
        answer = client.get(f"/?key={SECRET}")
        # A page of the one place is a stranger at the other.
        assert client.get("/", headers={"origin": ORIGIN}).status_code == 403
    assert "Secure" in answer.headers["set-cookie"] and "Path=/presenter/" in answer.headers["set-cookie"]
    assert answer.headers["location"].startswith("/presenter/#")


def test_the_secret_is_the_user_s_alone_and_an_open_page_stays_valid(tmp_path: Path) -> None:
    made = secret_of(tmp_path)
    assert (secret_of(tmp_path), len(made)) == (made, 22)
    assert stat.S_IMODE((tmp_path / SECRET_FILE).stat().st_mode) == 0o600
    (tmp_path / SECRET_FILE).write_bytes(b"\xff")
    assert secret_of(tmp_path) != made


def test_a_key_that_somebody_saw_is_none_after_a_reset(demo: Command) -> None:
    seen = secret_of(demo.state)
    assert demo("reset").returncode == 0
    assert secret_of(demo.state) != seen
