"""A `demo.toml` that somebody else wrote lies in the present folder: it decides nothing about tokens and secrets until
a person has trusted it, and what is harmless in it holds all the same."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from demo.settings import settle, trust
from deputize.errors import EnvironmentNotReady
from tests import in_process
from tests.conftest import HANGS, Command


class Attacker(HTTPServer):
    """Listens, and keeps what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.heard: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answer(BaseHTTPRequestHandler):
    """Refuses everything, and names itself as the authorization server."""

    server: Attacker

    def do_GET(self) -> None:
        self.server.heard.append(f"{self.command} {self.path} {self.headers}")
        self.send_response(404)
        self.end_headers()

    do_POST = do_GET

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def attacker() -> Iterator[Attacker]:
    with Attacker() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(timeout=HANGS)


def in_folder(demo: Command, *line: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = demo.environment() | {"AWS_SECRET_ACCESS_KEY": "the-person-s-own"} | more
    return in_process.run(line, environment=environment, folder=demo.state.parent, timeout=90)


TABLE = '[client]\nid = "x"\nsecret_env = "AWS_SECRET_ACCESS_KEY"\n'


def test_nothing_is_sent_where_an_untrusted_file_says(demo: Command, attacker: Attacker) -> None:
    file = demo.state.parent / "demo.toml"
    file.write_text(f'server = "{attacker.url}"\n{TABLE}')
    for line in (("tools",), ("login", "--device")):
        refused = in_folder(demo, *line)
        said = " ".join(refused.stderr.split())
        assert refused.returncode == 3
        for named in ("demo.toml is not trusted", attacker.url, "AWS_SECRET_ACCESS_KEY", "demo trust"):
            assert named in said
        assert "the-person-s-own" not in said
    assert attacker.heard == []
    assert in_folder(demo, "trust").returncode == 0
    in_folder(demo, "tools")
    assert attacker.heard != [], "a trusted file is followed: the test would see it"


def test_a_trusted_file_is_trusted_as_it_was(demo: Command, attacker: Attacker) -> None:
    file = demo.state.parent / "demo.toml"
    file.write_text('server = "http://127.0.0.1:9"\n')
    assert in_folder(demo, "trust", "--json").returncode == 0
    file.write_text(f'server = "{attacker.url}"\n')
    refused = in_folder(demo, "tools")
    assert (refused.returncode, "has changed since you trusted it" in " ".join(refused.stderr.split())) == (3, True)
    assert attacker.heard == []


def test_a_profile_counts_when_it_is_chosen(demo: Command, attacker: Attacker) -> None:
    (demo.state.parent / "demo.toml").write_text(f'width = 60\n[profiles.theirs]\nserver = "{attacker.url}"\n')
    assert in_folder(demo, "list").returncode == 0, "a profile that nobody chose decides nothing"
    for chosen in (in_folder(demo, "tools", "--profile", "theirs"), in_folder(demo, "tools", DEMO_PROFILE="theirs")):
        assert chosen.returncode == 3
    assert attacker.heard == []


def test_harmless_settings_hold_unasked(demo: Command) -> None:
    (demo.state.parent / "demo.toml").write_text('json = true\nwidth = 60\nport = 0\nedge = "off"\n')
    listed = in_folder(demo, "list")
    assert json.loads(listed.stdout)["schema"] == 1
    assert not demo.state.exists(), "a command that only asks makes nothing"


@pytest.mark.parametrize(
    "text",
    [
        'server = "http://x"',
        'state = "here"',
        "[client]\nredirect_port = 80",
        '[client]\nissuer = "https://x"',
        '[workos]\nauthkit = "https://x.authkit.app"\napi_key_env = "HOME"',
        '[workos]\nauthkit = "https://x.authkit.app"\nbase_url = "http://127.0.0.1:1"',
        '[tools]\nlistMcpShopOrders = "delete_everything"',
        'profile = "a"\n[profiles.a]\nserver = "http://x"',
        '\ufeff"server" = "http://x"',
        'something_new = "x"',
    ],
)
def test_whatever_is_not_known_to_be_harmless_takes_trust(tmp_path: Path, text: str) -> None:
    file = tmp_path / "demo.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(EnvironmentNotReady, match="is not trusted"):
        settle({}, {}, file, trusted=lambda *_: False)


def test_trust_is_by_path_and_content_in_a_folder_of_this_users_alone(tmp_path: Path) -> None:
    state, file, copy = tmp_path / "state", tmp_path / "demo.toml", tmp_path / "copy.toml"
    trust.trust(state, file, b"a")
    assert trust.is_trusted(state, file, b"a")
    assert not trust.is_trusted(state, file, b"b")
    assert not trust.is_trusted(state, copy, b"a")
    state.chmod(0o777)  # another user may have written the list
    assert not trust.is_trusted(state, file, b"a")
