"""How soon a beat is on the screen after the presenter's key: in a session of `demo stage`, and by `demo next`, side by
side in terminals of 80x24. Beats in words alone, so that nothing goes over the network.

Prints times and ratios, never judges: the first panel of a session's beat should be there within 150 ms. Run it with
`make bench`.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from talk.script import PlannedBeat

ROOT = Path(__file__).parent.parent
SETTLED = 3.0
"""Seconds that a presenter speaks at least before the next key: in them a session makes ready what comes."""
_ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07")


class Screen:
    """`demo ARGUMENTS` in a terminal of its own."""

    def __init__(self, state: Path, *arguments: str) -> None:
        self.started = time.perf_counter()
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        environment = os.environ | {"DEMO_KEYRING": "0", "DEMO_PORT": "0", "TERM": "xterm-256color", "DEMO_EDGE": "off"}
        environment.pop("COLUMNS", None)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "demo", f"--state={state}", *arguments],
            stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=ROOT, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(slave)
        self._written = b""

    def type(self, keys: bytes) -> float:
        """Press keys; gives when."""
        self._written = b""
        at = time.perf_counter()
        os.write(self._master, keys)
        return at

    def until(self, *texts: str, seconds: float = 60.0) -> float:
        """Read on until one of the texts is on the screen; gives when."""
        deadline = time.perf_counter() + seconds
        while not any(text.encode() in _ESCAPES.sub(b"", self._written) for text in texts):
            if time.perf_counter() > deadline or not select.select([self._master], [], [], seconds)[0]:
                raise SystemExit(f"{texts} never came: {self._written[-2000:]!r}")
            self._written += os.read(self._master, 65536)
        return time.perf_counter()

    def read(self, seconds: float) -> None:
        """Read what comes meanwhile."""
        deadline = time.perf_counter() + seconds
        while (left := deadline - time.perf_counter()) > 0:
            if select.select([self._master], [], [], left)[0]:
                os.read(self._master, 65536)

    def end(self) -> None:
        """End the process, if it has not ended."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        while self.process.poll() is None and select.select([self._master], [], [], 5.0)[0]:
            try:
                os.read(self._master, 65536)
            except OSError:
                break
        self.process.wait(10)
        os.close(self._master)


def main() -> None:
    """Measure and print."""
    from talk.script import load_talk

    plan = load_talk(None).plan("problem-first")
    words = [one for one in plan.beats if not one.beat.needs and all(step.do == "say" for step in one.beat.steps)]
    in_session: list[float] = []
    by_next: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        state, other = Path(folder) / "session", Path(folder) / "next"
        session = Screen(state, "stage")
        try:
            ready = session.until("space begins") - session.started
            session.read(SETTLED)
            for planned in words:
                # One beside the other, so that a busy moment of the machine hits both.
                for letter in f"g{planned.id}":  # one by one: many at once are a paste
                    session.type(letter.encode())
                    session.read(0.1)
                pressed = session.type(b"\r")
                in_session.append(_panel_of(session, planned, pressed))
                session.read(SETTLED)
                alone = Screen(other, "goto", planned.id)
                by_next.append(_panel_of(alone, planned, alone.started))
                alone.end()
        finally:
            session.end()
            for folder_of in (state, other):
                stop = [sys.executable, "-m", "demo", f"--state={folder_of}", "--quiet", "stop"]
                subprocess.run(stop, cwd=ROOT, check=False, timeout=30)
    ours, base = statistics.median(in_session), statistics.median(by_next)
    print(f"beats in words: {', '.join(planned.id for planned in words)}")
    print(f"demo goto, key to first panel   {1000 * base:6.0f} ms   1.00")
    worst = f"slowest {1000 * max(in_session):.0f} ms  (bar 150)"
    print(f"demo stage, key to first panel  {1000 * ours:6.0f} ms   {ours / base:.2f}   {worst}")
    print(f"demo stage, start to first key  {1000 * ready:6.0f} ms   {ready / base:.2f}")


def _panel_of(screen: Screen, planned: PlannedBeat, since: float) -> float:
    """Seconds until the beat's title and the first rows of a panel are there: words in block letters (which half blocks
    draw), or as they are."""
    screen.until(planned.beat.title)
    return screen.until("▀", str(planned.beat.steps[0].options["text"]).strip().splitlines()[0]) - since


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
