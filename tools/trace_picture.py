"""Draw docs/trace.svg: a purchase as one trace, of spans that the agent, the shop and the authorization server sent.

Run it with `make picture`. It plays in a folder of its own, and asks nothing of the network.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI

from demo import panels
from demo.evidence.audit import TracedSpan
from demo.tracing import reading

ROOT = Path(__file__).parent.parent
BUY = ("call", "buyMcpShopItem", "company=Analytical Engines", "mailingAddress=1 Main Street", "tshirtSize=M")


def bought(folder: Path) -> tuple[TracedSpan, ...]:
    """The spans of a purchase that is made for it."""
    file, state = folder / "spans.jsonl", folder / "state"
    environment = os.environ | {"DEMO_KEYRING": "0", "DEMO_PORT": "0"}

    def demo(*arguments: str) -> None:
        command = [sys.executable, "-m", "demo", "--state", str(state), *arguments]
        subprocess.run(command, env=environment, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, timeout=60)

    try:
        demo("--trace", str(file), "login", "--as", "alice@example.com")
        demo("--trace", str(file), *BUY)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:  # the server sends its own a moment later
            found = reading.one_trace(reading.read(file), None)
            if {"gates", "POST /oauth2/introspect"} <= {span.name for span in found}:
                return found
            time.sleep(0.1)
    finally:
        demo("stop")
    raise SystemExit("the server's spans did not come")


def main() -> None:
    """Make the picture."""
    with tempfile.TemporaryDirectory() as folder:
        spans = bought(Path(folder))
    console = Console(
        width=90, height=40, record=True, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(panels.spans(spans).within(100))
    picture = console.export_svg(title="demo audit spans spans.jsonl", theme=MONOKAI, unique_id="trace")
    (ROOT / "docs" / "trace.svg").write_text(picture, "utf-8")


if __name__ == "__main__":
    main()
