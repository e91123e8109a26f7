"""Panels cost nothing until they are drawn, and the header almost nothing then."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HEAVY = (
    "rich.markdown",
    "rich.syntax",
    "rich.json",
    "rich.table",
    "segno",
    "pygments",
    "markdown_it",
    "asyncio",
    "httpx2",
)

SCRIPT = """
import sys
from demo import panels
from demo.panels import header
{work}
print([name for name in {heavy!r} if name in sys.modules])
"""

DRAW = """
import io
from rich.console import Console
from demo.evidence.screen import BeatHeader
Console(file=io.StringIO(), force_terminal=True, width=80).print(header(BeatHeader("a", "b", 1, 2, "c", 1.0)))
"""


def loaded(work: str) -> str:
    script = SCRIPT.format(work=work, heavy=HEAVY)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True).stdout


def test_importing_the_panels_and_the_header_loads_nothing_heavy() -> None:
    assert loaded("").strip() == "[]"


def test_drawing_the_header_loads_nothing_heavy() -> None:
    assert loaded(DRAW).strip() == "[]"


def test_every_panel_that_is_promised_is_there_and_stays_a_function() -> None:
    import demo.panels

    folder = Path(demo.panels.__file__).parent
    promised = re.findall(
        r"from demo\.panels\._(\w+) import \1 as \1$", (folder / "__init__.py").read_text("utf-8"), re.M
    )
    assert promised == sorted(path.stem[1:] for path in folder.glob("_[a-z]*.py"))
    for name in promised:
        assert callable(getattr(demo.panels, name)), name
    assert not hasattr(demo.panels, "pie")
    import demo.panels._header

    assert callable(demo.panels.header)
