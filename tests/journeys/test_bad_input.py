"""Bad input and a bad world: one clear message with a fix, the right exit code, no traceback, nothing lost."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import HANGS
from tests.journeys.terminal import Terminal

if TYPE_CHECKING:
    import subprocess

    from tests.conftest import Command


def complains(finished: subprocess.CompletedProcess[str], code: int, *says: str) -> None:
    said = re.sub(r"\s+", " ", finished.stderr)
    assert finished.returncode == code, f"{finished.stdout}\n{finished.stderr}"
    assert "Traceback" not in finished.stdout + finished.stderr
    assert "something broke" not in said
    assert "do this" in said, "there is no fix"
    for words in says:
        assert words in said, said


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        (["goto", "by"], 2, "did you mean buy?"),
        (["notes", "by"], 2, "did you mean buy?"),
        (["next", "--plan", "nope"], 2, "there is no plan 'nope'"),
        (["run", "--ci", "--to", "opening", "--from", "wrap"], 2, "comes before"),
        (["run", "--pace", "fast"], 2, "'stage', 'brisk', 'none'"),
        (["run", "--ci", "--talk", "nowhere"], 2, "there is no folder"),
        (["again"], 2, "no beat was played yet"),
        (["back"], 2, "no beat was played yet"),
        (["call", "listMcpShopInventory", "nonsense"], 2, "name=value"),
        (["call", "buyMcpShopItem", "a=1", "a=2"], 2, "given twice"),
        (["call", "x", "a:=nojson"], 2, "not JSON"),
        (["login", "--spend", "lots"], 2, "60.00"),
        (["revoke", "--agent", "--user"], 2, "choose one"),
        (["nonsense"], 2, "No such command"),
        (["next", "--width", "wide"], 2, "--width"),
        (["whoami"], 4, "demo login"),
        (["token"], 4, "demo login"),
        (["revoke"], 4, "--id"),
        (["goto", "BUY"], 2, "did you mean buy?"),
        (["run", "--to", "mpc"], 2, "did you mean mcp?"),
        (["next", "--server", "http://the shop"], 2, "no server's URL"),
        (["next", "--server", "https://shop.example/#mcp"], 2, "no server's URL"),
        (["next", "--server", "https://me:secret@shop.example"], 2, "holds a user name or a password"),
        (["next", "--width", "x"], 2, "it must be a valid integer"),
        (["run", "--from", ""], 2, "--from is empty"),
        (["revoke", "--id", ""], 2, "--id is empty"),
        (["next", "--profile", ""], 2, "--profile is empty"),
        (["next", "--state", ""], 2, "--state is empty"),
        (["login", "--scope", "shop:read", "--scope", ""], 2, "--scope is empty"),
        (["call", ""], 2, "TOOL is empty"),
        (["notes", ""], 2, "BEAT is empty"),
        (["audit", "trace", ""], 2, "ORDER is empty"),
    ],
)
def test_a_wrong_word_is_named_with_its_fix(demo: Command, line: list[str], code: int, says: str) -> None:
    complains(demo(*line), code, says)


def test_a_tool_that_does_not_exist_is_said_by_the_server(demo: Command) -> None:
    assert demo("login").returncode == 0
    finished = demo("call", "byMcpShopItem")
    assert finished.returncode in (1, 4)
    assert "byMcpShopItem" in finished.stdout
    assert "Traceback" not in finished.stdout + finished.stderr


def test_an_argument_of_the_wrong_kind_costs_nothing(demo: Command) -> None:
    assert demo("login").returncode == 0
    refused = demo("call", "buyMcpShopItem", "company=A", "mailingAddress=1 Main St", "tshirtSize=HUGE")
    assert refused.returncode == 1
    assert "tshirtSize" in refused.stdout
    told = json.loads(demo("orders", "--json").stdout)
    assert told["result"]["orders"] == []


def test_an_unwritable_state_folder_is_named(demo: Command, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    complains(demo("next", "--state", str(file / "state")), 3, "--state")


@contextlib.contextmanager
def answering(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """A server that answers every request in its own way."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            answer(self)

        do_GET = do_POST

        def log_message(self, *words: object) -> None:
            return None

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def say(kind: str, body: bytes, status: int = 200) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("content-type", kind)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def test_a_captive_portal_is_named_as_such(demo: Command) -> None:
    with answering(say("text/html", b"<html><title>Welcome to HotelNet</title></html>")) as url:
        complains(demo("tools", "--server", url), 5, "captive portal")


def test_a_server_that_is_no_mcp_server_is_named_as_such(demo: Command) -> None:
    with answering(say("application/json", b'{"hello": "world"}')) as url:
        complains(demo("tools", "--server", url), 5, "MCP")


def test_nobody_listening_is_named_as_such(demo: Command) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        complains(demo("tools", "--server", f"http://127.0.0.1:{port}"), 5, "cannot be reached")
        # Not "this server has no such thing, skipped": nobody knows what it has.
        complains(demo("goto", "mcp", "--server", f"http://127.0.0.1:{port}"), 5, "cannot be reached")


def test_a_mistyped_server_does_not_keep_the_run(demo: Command, base_url: str) -> None:
    """A run belongs to a server from its first step there, and to none that did not answer, or not as an MCP server."""
    with answering(say("application/json", b"{}", status=404)) as url:
        for wrong in ("http://127.0.0.1:1", url):
            assert demo("next", "--server", wrong).returncode in (0, 5)  # the first beat speaks to the room alone
            complains(demo("goto", "mcp", "--server", wrong), 5)
    run = json.loads(demo("status", "--json").stdout)["run"]
    assert demo("next", "--server", base_url).returncode == 0
    complains(demo("next", "--server", "http://127.0.0.1:1"), 2, base_url)
    complains(demo("next"), 2, base_url)
    seen = json.loads(demo("status", "--json").stdout)
    assert (seen["run"], seen["server"], seen["beat"], seen["server_running"]) == (run, base_url, "mcp", None)


def test_a_server_that_hangs_is_given_up(demo: Command) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        started = time.monotonic()
        complains(demo("tools", "--server", f"http://127.0.0.1:{silent.getsockname()[1]}"), 5, "did not answer")
        assert time.monotonic() - started < 60


def test_a_beat_that_fails_for_want_of_a_server_goes_on_later(demo_with_server_apart: Command) -> None:
    """What is played of a beat stays played; the rest is played when the server is back."""
    demo = demo_with_server_apart
    for _ in range(6):
        assert demo("next").returncode == 0
    server = json.loads((demo.state / "server.json").read_text())
    os.kill(server["pid"], 9)
    finished = demo("next")  # a new server takes the place of the killed one, with all that it knew
    assert finished.returncode == 0, finished.stdout + finished.stderr
    told = json.loads(demo("status", "--json").stdout)
    assert (told["beat"], told["done"]) == ("whoami", True)


@pytest.mark.parametrize("width", ["20", "40", "200"])
def test_any_width_is_drawn_in(demo: Command, width: str) -> None:
    finished = demo("run", "--ci", "--to", "challenge", "--width", width)
    assert finished.returncode == 0, finished.stderr
    assert max(map(len, finished.stdout.splitlines())) <= int(width)


def test_without_a_terminal_there_is_neither_colour_nor_question(demo: Command) -> None:
    finished = demo("login")
    assert finished.returncode == 0
    assert "\x1b" not in finished.stdout + finished.stderr


def test_plain_means_no_colour_even_in_a_terminal(demo: Command) -> None:
    terminal = Terminal(demo, "list", "--plain", served=False)
    try:
        assert terminal.wait() == 0
        assert b"\x1b[" not in terminal.written
    finally:
        terminal.close()


def test_control_c_in_the_middle_exits_130_and_loses_nothing(demo: Command) -> None:
    for _ in range(5):
        assert demo("next").returncode == 0
    terminal = Terminal(demo, "next")
    try:
        terminal.until(r"Enter goes on")  # somebody else's no is on the screen
        terminal.type("\r")
        terminal.until(r"b browser")
        terminal.type("\x03")
        assert terminal.wait() == 130
        assert "demo next goes on from here" in terminal.screen
        assert "Traceback" not in terminal.screen
    finally:
        terminal.close()
    told = json.loads(demo("status", "--json").stdout)
    assert (told["beat"], told["done"]) == ("login", False)
    finished = demo("next")
    assert finished.returncode == 0
    assert "going on after an interruption" in finished.stdout


def test_json_stands_alone_on_stdout(demo: Command) -> None:
    for line in (["next"], ["list"], ["status"], ["doctor"], ["tools", "--open"], ["audit"]):
        finished = demo(*line, "--json")
        assert finished.returncode == 0, finished.stderr
        assert json.loads(finished.stdout)["schema"] == 1


def test_the_presenter_can_deny_at_the_terminal(demo: Command) -> None:
    terminal = Terminal(demo, "login")
    try:
        terminal.until(r"human's decision")
        terminal.type("d")
        assert terminal.wait() == 4
        assert "said no" in terminal.screen
    finally:
        terminal.close()


def test_the_presenter_lets_the_sample_human_approve_with_enter(demo: Command) -> None:
    terminal = Terminal(demo, "login")
    try:
        terminal.until(r"human's decision")
        terminal.type("\r")
        assert terminal.wait() == 0
    finally:
        terminal.close()
    assert demo("whoami").returncode == 0


def test_a_host_beyond_this_machine_is_refused_with_the_reason(demo: Command) -> None:
    complains(demo("serve", "--host", "0.0.0.0"), 3, "loopback", "RFC 8414")


def test_an_ascii_terminal_gets_the_words(demo: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    for line in (["list"], ["next"], ["notes", "buy"], ["run", "--ci", "--to", "challenge"]):
        finished = demo(*line)
        assert finished.returncode == 0, finished.stderr
        assert finished.stdout.isascii()


def test_an_emptied_state_folder_ends_its_server(demo_apart: Command) -> None:
    demo = demo_apart
    assert demo("tools", "--open").returncode == 0
    pid = json.loads((demo.state / "server.json").read_text())["pid"]
    for file in demo.state.iterdir():
        if file.is_file():
            file.unlink()
    deadline = time.monotonic() + HANGS
    with pytest.raises(ProcessLookupError):
        while time.monotonic() < deadline:
            os.kill(pid, 0)
            time.sleep(0.2)
    assert demo("tools", "--open").returncode == 0


def test_reinstating_what_was_never_revoked_says_so(demo: Command) -> None:
    assert demo("login").returncode == 0
    assert "was not revoked" in " ".join(demo("reinstate").stdout.split())
    assert demo("revoke", "--user").returncode == 0
    assert demo("call", "listMcpShopInventory").returncode == 4
    assert "reinstate --user" in " ".join(demo("reinstate").stdout.split())
    assert "reinstated" in demo("reinstate", "--user").stdout
    assert demo("call", "listMcpShopInventory").returncode == 0


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (["--to", "nosuch"], 2),
        (["--plan", "nosuch"], 2),
        (["--talk", "nowhere"], 2),
        (["--from", ""], 2),
        (["--server", "http://127.0.0.1:1"], 5),
    ],
)
def test_a_slip_of_the_pen_does_not_cost_the_run_under_way(demo: Command, line: list[str], code: int) -> None:
    assert demo("next").returncode == 0
    before = json.loads(demo("status", "--json").stdout)["run"]
    complains(demo("run", *line), code)
    assert json.loads(demo("status", "--json").stdout)["run"] == before


def test_a_dry_run_at_another_server_leaves_the_own_run_alone(demo: Command, base_url: str) -> None:
    assert demo("next").returncode == 0
    before = json.loads(demo("status", "--json").stdout)["run"]
    assert demo("run", "--ci", "--to", "mcp", "--server", base_url).returncode == 0
    assert json.loads(demo("status", "--json").stdout)["run"] == before


def test_a_run_is_not_carried_on_at_another_server_unasked(demo: Command, base_url: str) -> None:
    for _ in range(2):
        assert demo("next", "--server", base_url).returncode == 0
    complains(demo("next"), 2, base_url)
    assert demo("next", "--server", base_url).returncode == 0


def test_keys_that_mean_nothing_end_nothing(demo: Command) -> None:
    terminal = Terminal(demo, "login")
    try:
        terminal.until(r"human's decision")
        terminal.type("é€x\x1b[A")
        time.sleep(0.6)
        terminal.type("\r")
        assert terminal.wait() == 0
    finally:
        terminal.close()


def test_quiet_still_says_what_to_compare(demo: Command) -> None:
    for _ in range(5):
        assert demo("next").returncode == 0
    terminal = Terminal(demo, "next", "--quiet")
    try:
        terminal.until(r"code [A-Z]{4}-[A-Z]{4} at http://127\.0\.0\.1:\d+/device")
        terminal.type("\r")
        assert terminal.wait() == 0
    finally:
        terminal.close()


def test_a_terminated_dry_run_takes_its_server_and_its_folder_along(demo: Command, tmp_path: Path) -> None:
    monkey = tmp_path / "tmp"
    monkey.mkdir()
    process = demo.start("run", "--ci", TMPDIR=str(monkey))
    deadline = time.monotonic() + HANGS
    while not list(monkey.glob("demo-dry-*/server.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    (ready,) = monkey.glob("demo-dry-*/server.json")
    pid = json.loads(ready.read_text())["pid"]
    process.terminate()
    process.communicate(timeout=HANGS)
    assert process.returncode == 143
    assert not list(monkey.glob("demo-dry-*"))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_terminal_is_left_as_it_was_found(demo: Command) -> None:
    import termios

    for ending in ("\x03", None):
        terminal = Terminal(demo, "login")
        try:
            before = termios.tcgetattr(terminal.line)[3]
            terminal.until(r"human's decision")
            assert not termios.tcgetattr(terminal.line)[3] & termios.ECHO
            if ending:
                terminal.type(ending)
            else:
                terminal.process.terminate()
            assert terminal.wait() in (130, 143)
            assert termios.tcgetattr(terminal.line)[3] == before
        finally:
            terminal.close()


def test_what_a_killed_server_left_behind_confuses_nobody(demo: Command) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()

        def greet() -> None:
            with contextlib.suppress(OSError):
                while True:
                    with other.accept()[0] as caller:
                        caller.sendall(b"SSH-2.0-somebody-else\r\n")

        threading.Thread(target=greet, daemon=True).start()
        demo.state.mkdir(parents=True)
        stale = {"base_url": f"http://127.0.0.1:{other.getsockname()[1]}", "pid": 1, "instance": "x", "world": "w"}
        (demo.state / "server.json").write_text(json.dumps(stale))
        assert demo("status").returncode == 0
        assert demo("tools", "--open").returncode == 0
