"""What the suite is pointed at: our agent as a command, and the local server with a token of the sample human's."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from demo.local_server import local
from deputize.errors import EnvironmentNotReady

ROOT: Final = Path(__file__).parents[2]
START_SECONDS: Final = 30.0
LOGIN_SECONDS: Final = 60.0
TOKEN_SECONDS: Final = 120.0
"""How long one token is used; it lives for 300 s, and a scenario must not see it expire."""


def client_command() -> str:
    """The command to which the suite appends its URL, for a shell."""
    return f"{shlex.quote(sys.executable)} {shlex.quote(str(Path(__file__).with_name('client.py')))}"


def environment(state: Path) -> dict[str, str]:
    """Ours without the person's settings: a state folder of its own, no keyring, any port."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DEMO_")}
    own = {"DEMO_STATE": str(state), "DEMO_KEYRING": "0", "DEMO_PORT": "0"}
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return {**kept, **own, "PYTHONPATH": paths, "NO_COLOR": "1", "FORCE_COLOR": "0"}


@dataclass
class Shop:
    """A running local server, and the way in through each of its doors."""

    base_url: str
    state: Path
    _token: str = field(default="", repr=False)
    _since: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def door(self, name: str) -> str:
        """The URL at which the suite finds a door; the protected one with a token in its path
        (see `shop_under_test`)."""
        return f"{self.base_url}/open/mcp" if name == "open" else f"{self.base_url}/with-token/{self.token()}/mcp"

    def token(self) -> str:
        """An access token for the protected door, given by the sample human.

        Raises:
            EnvironmentNotReady: the login failed; with what it said.
        """
        with self._lock:
            if not self._token or time.monotonic() - self._since > TOKEN_SECONDS:
                self._demo("--plain", "login", "--bearer")  # the suite proves no key
                self._token = str(json.loads(self._demo("--json", "token", "--show"))["access_token"])
                self._since = time.monotonic()
            return self._token

    def _demo(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "demo", *arguments]
        try:
            done = subprocess.run(
                command,
                cwd=ROOT,
                env=environment(self.state),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=LOGIN_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise EnvironmentNotReady("the agent's login at the local server does not end", why=str(error)) from error
        if done.returncode != 0:
            raise EnvironmentNotReady(
                "the agent could not log in at the local server", why=done.stderr.strip()[-300:] or done.stdout[-300:]
            )
        return done.stdout


@contextlib.contextmanager
def shop() -> Iterator[Shop]:
    """A local server for the suite, on a free port, with data of its own; stopped and forgotten in the end.

    Raises:
        EnvironmentNotReady: it did not start.
    """
    with tempfile.TemporaryDirectory(prefix="demo-conformance-") as folder:
        state = Path(folder) / "state"
        state.mkdir()
        log = Path(folder) / "server.log"
        command = [sys.executable, "-m", "tests.conformance.shop_under_test", "--state", str(state), "--port", "0"]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment(state),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            deadline = time.monotonic() + START_SECONDS
            while (server := local.find(state)) is None:
                if process.poll() is not None or time.monotonic() > deadline:
                    said = log.read_text("utf-8", "replace").strip().splitlines()
                    raise EnvironmentNotReady("the local server did not start", why=said[-1] if said else "no word")
                time.sleep(0.1)
            yield Shop(server.base_url, state)
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=10)
