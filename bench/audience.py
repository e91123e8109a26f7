"""A room of hundreds, simulated: how late the page hears of the stage, and whether the stage notices.

Watchers hold event streams; attendees join, approve and buy; meanwhile events are appended to a recording as a stage
does it, and every watcher says when it heard. The stage's own work (drawing panels) is timed alone and beside the room,
as a ratio. Run by `python -m bench.audience`; a short form of it is a test.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import httpx2
import psutil
from rich.console import Console

from demo import panels
from demo.audience import life

EVENTS = 20
"""Panels that are appended while everybody watches."""
GAP_SECONDS = 0.5


@dataclass(frozen=True)
class Measured:
    """What was seen. Latencies are seconds from the appended line to the watcher's socket."""

    watchers: int
    heard: int
    expected: int
    median: float
    slowest_of_100: float
    worst: float
    joined: int
    bought: int
    joining_seconds: float
    revoked: int
    revoke_seconds: float
    refused: int
    refused_seconds: float
    megabytes: int
    """Resident memory of the room's process, at its end."""
    stage_ratio: float
    """The stage's drawing beside the room, over the same alone."""

    def lines(self) -> list[str]:
        """For a person."""
        return [
            f"{self.watchers} watchers heard {self.heard} of {self.expected} events:"
            f" median {1000 * self.median:.0f} ms, 99 % within {1000 * self.slowest_of_100:.0f} ms,"
            f" worst {1000 * self.worst:.0f} ms",
            f"{self.joined} attendees approved an agent in {self.joining_seconds:.0f} s; {self.bought} agents bought",
            f"all {self.revoked} revoked in {self.revoke_seconds:.2f} s; the next call of {self.refused} was refused"
            f" within {self.refused_seconds:.0f} s",
            f"the room's process took {self.megabytes} MB",
            f"the stage drew at {self.stage_ratio:.2f} times its time alone",
        ]


def _append(file: Path, **event: Any) -> None:
    with file.open("a") as opened:
        opened.write(json.dumps({"at": time.time(), **event}) + "\n")


async def _watch(http: httpx2.AsyncClient, heard: dict[int, list[float]], ready: asyncio.Event) -> None:
    """One watcher: says when it heard of each event."""
    async with http.stream("GET", "/feed", timeout=None) as stream:
        seen, mine = "", set[int]()
        async for chunk in stream.aiter_text():
            now = time.monotonic()
            ready.set()
            seen = seen[-64:] + chunk
            # A panel is there for two widths, and again where the list of panels is sent whole: the first time counts.
            for number in {int(one) for one in re.findall(r"mark-(\d+)-", seen)} - mine:
                mine.add(number)
                heard.setdefault(number, []).append(now)


def _form(page: str, action: str) -> dict[str, str]:
    found = re.search(rf'<form[^>]*action="{re.escape(action)}"[^>]*>(.*?)</form>', page, re.DOTALL)
    if found is None:
        raise AssertionError(f"no form {action} in {page[:2000]}")
    return {
        name[1]: unescape(value[1]) if (value := re.search(r'value="([^"]*)"', one)) else ""
        for one in re.findall(r"<input[^>]*>", found[1])
        if (name := re.search(r'name="([^"]*)"', one))
    }


async def _attend(url: str, shared: httpx2.AsyncHTTPTransport) -> httpx2.AsyncClient:
    """One attendee, from the first page to their yes."""
    http = httpx2.AsyncClient(base_url=url, follow_redirects=True, timeout=60, transport=shared)
    page = (await http.post("/you", data={"name": ""})).text
    while (link := re.search(r'href="(/device\?[^"]+)"', page)) is None:
        await asyncio.sleep(0.2)
        page = (await http.get("/you")).text
    page = (await http.get(unescape(link[1]))).text
    page = (await http.post("/device", data=_form(page, "/device"))).text
    account = re.search(r'name="account" value="([^"]*)"', page)
    assert account is not None
    fields = _form(page, "/device/sign-in") | {"account": account[1]}
    page = (await http.post("/device/sign-in", data=fields)).text
    answer = await http.post("/device/consent", data=_form(page, "/device/consent") | {"decision": "approve"})
    answer.raise_for_status()
    await http.get("/you?decided")
    return http


def _draw() -> float:
    """Seconds of processor and waiting for a screen of panels, as the stage draws them."""
    console = Console(width=120, height=40, file=io.StringIO(), force_terminal=True)
    started = time.perf_counter()
    for _ in range(20):
        console.print(panels.statement("A sentence that stands large on the stage.", title="The stage"))
    return time.perf_counter() - started


class Stage:
    """A process that draws as the stage does, again and again with pauses, and says how long each time took."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "bench.audience", "--draw"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._times: list[float] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._times.append(float(line))

    def median(self) -> float:
        """Of the times since the last asking; at least ten of them, without the first, which imports."""
        while len(self._times) < 11:
            time.sleep(0.1)
        found, self._times[:] = self._times[1:], []
        return statistics.median(found)

    def end(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(10)


def draw_on() -> None:
    """What that process does."""
    while True:
        print(_draw(), flush=True)
        time.sleep(0.1)


async def measure(url: str, state: Path, *, watchers: int, attendees: int, at_once: int, file: Path) -> Measured:
    """Fill a room that is served at `url`, and measure."""
    stage = Stage()
    alone = await asyncio.to_thread(stage.median)
    limits = httpx2.Limits(max_connections=watchers + 50, max_keepalive_connections=50)
    heard: dict[int, list[float]] = {}
    header = {"id": "b", "title": "A beat", "number": 1, "of": 1, "speaker": "", "minutes": 1.0, "topics": []}
    _append(file, event="beat", header=header, recorded=False)
    async with httpx2.AsyncClient(base_url=url, timeout=60, limits=limits) as http:
        ready = [asyncio.Event() for _ in range(watchers)]
        streams = [asyncio.create_task(_watch(http, heard, one)) for one in ready]
        async with asyncio.timeout(120):
            await asyncio.gather(*(one.wait() for one in ready))
        await asyncio.to_thread(stage.median)
        turns = asyncio.Semaphore(at_once)
        # No connection is used twice: a browser asks again where one was closed meanwhile, and this client does not.
        fresh = httpx2.Limits(max_connections=200, max_keepalive_connections=0)
        shared = httpx2.AsyncHTTPTransport(limits=fresh)

        async def attend() -> httpx2.AsyncClient:
            async with turns:
                return await _attend(url, shared)

        started = time.monotonic()
        coming = [asyncio.create_task(attend()) for _ in range(attendees)]
        told = {}
        for number in range(EVENTS):
            told[number] = time.monotonic()
            # In a panel's text, as a stage would say it.
            _append(
                file, event="panel", name="statement", step="s", **{"with": {"text": "x", "title": f"mark-{number}-"}}
            )
            await asyncio.sleep(GAP_SECONDS)
        people = await asyncio.gather(*coming)
        joining = time.monotonic() - started
        bought = await _until(people, "Bought a shirt", 120)
        started = time.monotonic()
        revoked = await asyncio.to_thread(life.revoke, state, None)
        revoke_seconds = time.monotonic() - started
        refused = await _until(people, "rule standing.agent", 120)
        refused_seconds = time.monotonic() - started
        beside = await asyncio.to_thread(stage.median)
        stage.end()
        serving = life.find(state)
        memory = 0 if serving is None else psutil.Process(serving.pid).memory_info().rss // 2**20
        for one in streams:
            one.cancel()
        await asyncio.gather(*streams, return_exceptions=True)
        await shared.aclose()
    late = sorted(at - told[number] for number, when in heard.items() for at in when)
    return Measured(
        watchers=watchers,
        heard=len(late),
        expected=EVENTS * watchers,
        median=statistics.median(late),
        slowest_of_100=late[int(0.99 * (len(late) - 1))],
        worst=late[-1],
        joined=len(people),
        bought=bought,
        joining_seconds=joining,
        revoked=len(revoked),
        revoke_seconds=revoke_seconds,
        refused=refused,
        refused_seconds=refused_seconds,
        megabytes=memory,
        stage_ratio=beside / alone,
    )


async def _until(people: list[httpx2.AsyncClient], text: str, seconds: float) -> int:
    """How many of the attendees see this text on their page, within so long."""
    left, deadline = list(people), time.monotonic() + seconds
    while left and time.monotonic() < deadline:
        left = [one for one in left if text not in (await one.get("/you")).text]
        await asyncio.sleep(0.2)
    return len(people) - len(left)


def run(watchers: int, attendees: int, at_once: int = 8) -> Measured:
    """A room of its own, filled and measured.

    Args:
        at_once: how many are in the middle of joining at the same time.
    """
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        room = life.start(state, "")
        try:
            file = state / "recordings" / "run_bench.jsonl"
            file.parent.mkdir()
            return asyncio.run(
                measure(room.url, state, watchers=watchers, attendees=attendees, at_once=at_once, file=file)
            )
        finally:
            room.stop()


def main() -> None:
    """Print what a room of so many is like on this machine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--watchers", type=int, default=500)
    parser.add_argument("--attendees", type=int, default=500)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--draw", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.draw:
        draw_on()
    for line in run(given.watchers, given.attendees, given.at_once).lines():
        print(line)


if __name__ == "__main__":
    main()
