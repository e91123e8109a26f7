"""`demo login` in each flow: at the bundled server and at one named by URL, with a person, without, and with a slip."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from demo.client import SampleHuman
from tests.conftest import HANGS
from tests.journeys.terminal import Terminal
from tests.unit.client.fakes import ALICE, Fake, Reply, Shop, faking, granted
from tests.unit.deputize.oauth.conftest import AuthServer, answered, come_back

if TYPE_CHECKING:
    from tests.conftest import Command

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def terminal(demo: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Makes terminals whose browser writes down what it was to open."""
    browser = tmp_path / "browser"
    browser.write_text(
        f'#!/bin/sh\nprintf "%s" "$1" > "{tmp_path}/opened.part"\nmv "{tmp_path}/opened.part" "{tmp_path}/opened"\n'
    )
    browser.chmod(0o755)
    made: list[Terminal] = []

    def make(*arguments: str) -> Terminal:
        made.append(Terminal(demo, *arguments, browser=str(browser)))
        return made[-1]

    yield make
    for one in made:
        one.close()


def opened(folder: Path, timeout: float = 20.0) -> str:
    """Where the browser was led: what it was to open is good for one browser, and has nothing of the login in it."""
    deadline = time.monotonic() + timeout
    while not (folder / "opened").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    address = (folder / "opened").read_text()
    assert "state=" not in address
    return httpx2.get(address, verify=False).headers["location"]


def test_without_a_terminal_the_sample_human_answers_in_either_flow(demo: Command) -> None:
    for flow in ("browser", "device"):
        finished = demo("--json", "login", f"--{flow}")
        assert finished.returncode == 0, finished.stderr
        said = json.loads(finished.stdout)
        assert said["flow"] == flow and said["granted"] is True
        assert "shop:buy" in said["scopes"]
        assert json.loads(demo("--json", "whoami").stdout)["verified"] is True


def test_the_flow_that_was_picked_is_told_with_the_reason(demo: Command) -> None:
    said = json.loads(demo("--json", "login").stdout)
    assert said["flow"] == "device" and "RFC 8628" in said["why"]


def test_the_account_that_is_asked_for_decides_and_another_ones_yes_is_refused(demo: Command) -> None:
    said = json.loads(demo("--json", "login", "--as", "grace@example.com").stdout)
    assert said["human"] == ["grace@example.com", "user_grace"]
    refused = demo("login", "--as", "user_grace")
    assert refused.returncode == 4 and "alice@example.com" in refused.stderr
    assert json.loads(demo("--json", "whoami").stdout)["claims"]["sub"] == "user_grace"


def test_a_no_in_the_browser_is_a_refusal(demo: Command) -> None:
    finished = demo("login", "--browser", "--deny")
    assert finished.returncode == 4
    assert "the human said no" in finished.stderr
    assert demo("whoami").returncode == 4


def test_two_flows_at_once_are_a_slip(demo: Command) -> None:
    finished = demo("login", "--browser", "--device")
    assert finished.returncode == 2 and "exclude each other" in finished.stderr


def test_a_person_decides_in_the_browser_that_opens(terminal: Any, tmp_path: Path) -> None:
    screen = terminal("login", "--browser")
    screen.until("waiting for the browser")
    _, redirect = SampleHuman(ALICE).authorize(opened(tmp_path), True)
    status, page = come_back(redirect)
    assert status == 200 and "may act for you" in page
    screen.until("Genuine")
    assert screen.wait() == 0


def test_a_person_whose_browser_is_elsewhere_pastes_where_it_ended(terminal: Any, tmp_path: Path) -> None:
    screen = terminal("login", "--browser")
    screen.until("waiting for the browser")
    _, redirect = SampleHuman(ALICE).authorize(opened(tmp_path), True)
    screen.type("https://example.com/not-this-one\n")
    screen.until("that was another address")
    screen.type(redirect + "\n")
    screen.until("Genuine")
    assert screen.wait() == 0


def test_enter_and_d_let_the_sample_human_answer(terminal: Any) -> None:
    screen = terminal("login", "--browser")
    screen.until("waiting for the browser")
    screen.type("\n")
    screen.until("Genuine")
    assert screen.wait() == 0
    screen = terminal("login", "--browser")
    screen.until("waiting for the browser")
    screen.type("d")
    screen.until("the human said no")
    assert screen.wait() == 4


def test_control_c_ends_the_wait_and_leaves_the_terminal_as_it_was(terminal: Any) -> None:
    screen = terminal("login", "--browser")
    screen.until("waiting for the browser")
    screen.type("\x03")
    assert screen.wait(HANGS) == 130
    assert "Traceback" not in screen.screen


@pytest.fixture
def other_server() -> Iterator[AuthServer]:
    """Somebody else's server: a browser flow only, opaque tokens."""
    with faking() as fake:
        auth_server = AuthServer(_shop(fake))
        auth_server.shop.metadata.pop("device_authorization_endpoint")
        auth_server.shop.resource["scopes_supported"] = ["files:read"]
        auth_server.shop.polls(granted(scope="files:read"))
        yield auth_server


def _shop(fake: Fake) -> Shop:
    return Shop(fake)


def test_at_another_server_without_a_terminal_the_address_is_read_from_stdin(
    demo: Command, other_server: AuthServer
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "demo", "--server", f"{other_server.base}/mcp", "--json", "login"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=demo.environment() | {"PYTHONIOENCODING": "utf-8:strict"},
        cwd=ROOT,
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stderr.readline().decode()
        assert line.startswith("Open http")
        process.stdin.write(b"\xff\xfe no text\n\n" + answered(line.split()[1]).encode() + b"\n")
        process.stdin.flush()  # and it stays open, which no end of the command waits for
        process.wait(HANGS)
        out, err = process.stdout.read(), process.stderr.read().decode()
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert "Exception" not in err
    said = json.loads(out)
    assert said["flow"] == "browser" and "no device flow" in said["why"]
    assert said["scopes"] == ["files:read"], "what the server's own metadata names is asked for"
    assert other_server.registered[0]["application_type"] == "native"


def test_an_opaque_token_is_shown_for_what_it_is(demo: Command, other_server: AuthServer) -> None:
    def finish(url: str) -> None:
        threading.Thread(target=come_back, args=(answered(url),), daemon=True).start()

    process = subprocess.Popen(
        [sys.executable, "-m", "demo", "--server", f"{other_server.base}/mcp", "login"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=demo.environment(),
        cwd=ROOT,
    )
    try:
        assert process.stderr is not None
        finish(process.stderr.readline().split()[1])
        out, err = process.communicate(timeout=HANGS)
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert "Opaque" in out and "not to be known here" in out
    assert "access-0123456789" not in out
    logout = demo("--server", f"{other_server.base}/mcp", "logout")
    assert logout.returncode == 0
    assert "no revocation endpoint" in " ".join(logout.stdout.split())
    other_server.shop.polls(Reply(500))


def test_one_thing_more_is_asked_for_from_the_command_line(demo: Command) -> None:
    assert demo("login", "--scope", "openid", "--scope", "shop:read").returncode == 0
    refused = demo("call", "getUserInfo")
    assert refused.returncode == 4 and "scope" in refused.stdout
    finished = demo("call", "getUserInfo", "--step-up")
    assert finished.returncode == 0, finished.stderr
    assert "The server asks for more: user:read" in finished.stdout
    assert "Shirt Agent asks for one thing more" in finished.stdout, "what it holds already stands apart"
    scopes = json.loads(demo("--json", "whoami").stdout)["scopes"]
    assert set(scopes) == {"openid", "shop:read", "user:read"}


def test_a_busy_other_server_is_waited_for_with_a_countdown(terminal: Any, other_server: AuthServer) -> None:
    other_server.shop.fake.on["/mcp"] = [
        Reply(429, headers=(("retry-after", "1"),)),
        Reply(404),  # somebody looks whether it is ours: the talk's own look, not the call
        Reply(429, headers=(("retry-after", "2"),)),
    ]
    screen = terminal("--server", f"{other_server.base}/mcp", "call", "x", "--patience", "5")
    screen.until(r"waiting for the server to be free .*\(\d s at most\)")
    assert screen.wait(HANGS) in (1, 4, 5)
