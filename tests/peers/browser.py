"""A browser that writes down what it is to open, in place of the one of whoever runs the tests."""

from __future__ import annotations

import os
import stat
import sys
import time
from pathlib import Path

SECONDS = 60.0
"""The bound on one login and what follows."""

OPENED = "opened"


def opened(folder: Path) -> str:
    """The URL that the browser of this world was to open, waited for."""
    deadline = time.monotonic() + SECONDS
    while not (folder / OPENED).exists():
        assert time.monotonic() < deadline, "no browser was opened"
        time.sleep(0.05)
    return (folder / OPENED).read_text("utf-8").strip()


def stand_in(folder: Path) -> Path:
    """A program that writes down, in this folder, what it is to open."""
    program, opens = folder / "browser", folder / OPENED
    program.write_text(f"#!{sys.executable}\nimport os, sys\nnew = {str(opens)!r} + '.new'\n")
    with program.open("a", encoding="utf-8") as script:
        script.write(f"open(new, 'w').write(sys.argv[1])\nos.replace(new, {str(opens)!r})\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def world(folder: Path) -> dict[str, str]:
    """An environment in which a browser writes down what it is to open, and nothing of the person's own is used."""
    program = stand_in(folder)
    for name in ("open", "xdg-open"):
        (folder / name).symlink_to(program)
    desktop = ("DISPLAY", "WAYLAND_DISPLAY", "XDG_CURRENT_DESKTOP", "DESKTOP_SESSION")
    kept = {name: value for name, value in os.environ.items() if name not in desktop}
    own = {"HOME": str(folder), "MCP_REMOTE_CONFIG_DIR": str(folder / "remote"), "BROWSER": str(program)}
    return kept | own | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
