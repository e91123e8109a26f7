"""What processes take: memory of a program's descendants, read from Linux's `/proc`, and processor time."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil


def resident(root: int, name: str) -> int | None:
    """Bytes resident in all processes called `name` among the descendants of process `root`; None where unknown."""
    parents: dict[int, int] = {}
    named: dict[int, int] = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        fields: dict[str, str] = {}
        with contextlib.suppress(OSError):  # It ended meanwhile.
            fields = dict(line.split(":", 1) for line in status.read_text("utf-8").splitlines() if ":" in line)
        if "PPid" not in fields:
            continue
        pid = int(status.parent.name)
        parents[pid] = int(fields["PPid"])
        if fields["Name"].strip() == name and "VmRSS" in fields:
            named[pid] = int(fields["VmRSS"].split()[0]) * 1024
    held = [size for pid, size in named.items() if _descends(pid, root, parents)]
    return sum(held) if held else None


def _descends(pid: int, root: int, parents: dict[int, int]) -> bool:
    while pid in parents:
        pid = parents[pid]
        if pid == root:
            return True
    return False


def processor(pid: int) -> float:
    """Seconds of processor time that a process has taken so far, in all its threads."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def held(pid: int) -> int:
    """Bytes that are resident in one process."""
    return int(psutil.Process(pid).memory_info().rss)
