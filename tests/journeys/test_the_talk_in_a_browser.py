"""A person at the terminal plays the login beat at another server that knows a login in the browser only."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.conftest import Command
from tests.journeys.terminal import Terminal
from tests.unit.talk.foreign_servers import AuthServer, corner_shop, listening

BROWSER = """#!{python}
import sys, urllib.request
urllib.request.urlopen(sys.argv[1], timeout=20).read()
"""


def test_the_login_beat_goes_through_the_browser_and_back(demo: Command, tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(BROWSER.format(python=sys.executable))
    browser.chmod(0o700)
    with listening(corner_shop(), AuthServer(device=False, code=True)) as url:
        terminal = Terminal(demo, "goto", "login", "--server", url, browser=str(browser))
        try:
            terminal.until(r"asks to act for you, in the browser")
            terminal.until(r"Enter goes on")  # the answer, which came by the browser, is looked at
            terminal.type("\r")
            assert terminal.wait() == 0, terminal.screen
        finally:
            terminal.close()
        finished = demo("tools", "--server", url, "--json")
    assert "the code is asked for this agent only: PKCE S256" in terminal.screen
    assert "Opaque" in terminal.screen
    assert '"buy"' in finished.stdout, "the token was kept, and opens the door"
