"""What the presenter's shell holds for other tools (CWE-526) reaches no process that the demo starts: each would keep
it readable in `/proc/PID/environ`, the background server for hours.

What workerd is started with is looked at in `tests/contract/test_contract_ports.py`, beside its ports.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psutil
import pytest

from demo import processes
from demo.audience import life
from demo.deploy.tools import Tools
from demo.local_server import local
from deputize import net

pytestmark = pytest.mark.skipif(not hasattr(psutil.Process, "environ"), reason="no system call for an environment")
SECRET = "canary-7a1f"
NAMES = ("AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "WORKOS_API_KEY", "DEMO_CLIENT_SECRET", "LC", "PATH_SECRET")
"""Of other tools, and of this one: no background process needs those."""


@pytest.fixture(autouse=True)
def canaries(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, SECRET)


@pytest.fixture(params=["as it is", "weakened"])
def leaked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What must be found: nothing, and everything where a process is started as `subprocess` does by itself."""
    if request.param == "as it is":
        return []
    monkeypatch.setattr(processes, "environment", lambda *_, **more: {**os.environ, **more})
    return sorted(NAMES)


def secrets_in(environment: dict[str, str]) -> list[str]:
    return sorted(name for name, value in environment.items() if value == SECRET)


def test_the_background_server(tmp_path: Path, leaked: list[str]) -> None:
    server, _ = local.ensure(tmp_path / "state", port=net.free_port())
    try:
        assert secrets_in(psutil.Process(server.pid).environ()) == leaked
    finally:
        local.stop(tmp_path / "state")


def test_the_room_of_the_audience(tmp_path: Path, leaked: list[str]) -> None:
    room = life.start(tmp_path / "state", "")
    try:
        assert secrets_in(psutil.Process(room._process.pid).environ()) == leaked
    finally:
        room.stop()


def test_the_browser_which_gets_what_a_desktop_needs(
    tmp_path: Path, leaked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, browser = tmp_path / "seen", tmp_path / "browser"
    browser.write_text(
        f"#!{sys.executable}\nimport os, sys\nopen({str(seen)!r}, 'w').write(chr(10).join("
        "[*sys.argv[1:], *(f'{a}={b}' for a, b in os.environ.items())]))\n"
    )
    browser.chmod(0o700)
    monkeypatch.setenv("BROWSER", str(browser))
    monkeypatch.setenv("DISPLAY", ":77")
    assert processes.open_page("http://127.0.0.1:1/once")
    url, *lines = seen.read_text().splitlines()
    environment = dict(line.split("=", 1) for line in lines if "=" in line)
    assert url == "http://127.0.0.1:1/once" and environment["DISPLAY"] == ":77"
    assert secrets_in(environment) == leaked


def test_wrangler_has_cloudflares_variables_and_workerd_none(
    tmp_path: Path, leaked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", SECRET)
    tools = Tools(tmp_path, Path("/usr/bin/node"), tmp_path / "wrangler.js")
    assert secrets_in(tools.environment()) == sorted({*leaked, "CLOUDFLARE_API_TOKEN"})
    assert secrets_in(tools.offline()) == sorted({*leaked, "CLOUDFLARE_API_TOKEN"} if leaked else ())
