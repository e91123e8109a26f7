"""What a call costs when there is much already: 10^2 to 10^6 audit entries, agents, consents and sessions; what memory
an agent takes; and how long a revocation takes to be answered.

A server for each size, as `demo serve` runs it, with its files filled before; their calls take turns, block by block.
Prints ratios to the smallest, never judges. Run it with `make bench`, or `python -m bench.growth --help`.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from bench import agents, hammer
from bench.figures import Side, quantile, side
from bench.gates import calls, started
from bench.load import Refused, Round
from bench.memory import held, processor
from demo.local_server.world import DATABASE
from deputize.net import free_port

SIZES: Final = (100, 1_000, 10_000, 100_000, 1_000_000)
CLIENTS: Final = 4
CALLING: Final = 500
"""Agents that call, however many there are: none comes to its rate."""
BLOCK: Final = 25
HUMANS: Final = 1_000
"""Whose entries, agents and sessions they are."""
NEWCOMERS: Final = 2_000
"""Agents whose first calls are held against as many calls of agents that are known."""
REVOKED: Final = 40


@dataclass
class Size:
    """A server with so many of everything."""

    number: int
    port: int
    pid: int
    calls: Iterator[bytes]
    rounds: list[Round] = field(default_factory=list)
    taken: float = 0.0


@dataclass(frozen=True)
class Growth:
    """What came of it. `processor` is seconds of each call; `per_agent` bytes; `revoked` seconds of each revocation."""

    sizes: dict[int, Side]
    processor: dict[int, float]
    per_agent: float
    revoked: list[float]


def fill(file: Path, number: int) -> None:
    """Put so many entries, agents, consents and sessions into a server's file."""
    details = json.dumps([{"type": "shop_spending", "limit": {"amount": 6000, "currency": "USD"}}])
    decision = json.dumps({"reason": "x" * 500, "verdict": "allow", "at": time.time(), "order_id": None})
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        tables = {
            "oauth_agents (id, sub, client_id, created_at)": lambda n: (f"a{n}", f"user_{n % HUMANS}", f"c{n}", 1.0),
            "oauth_consents VALUES": lambda n: (f"k{n}", f"user_{n % HUMANS}", f"c{n}", "openid", "[]", details, 1.0),
            "oauth_sessions (id, consent_id, agent_id, auth_time, created_at)": lambda n: (
                f"s{n}",
                f"k{n}",
                f"a{n}",
                1.0,
                1.0,
            ),
            "shop_audit (audit_id, owner, place, link, decision)": lambda n: (
                f"e{n}",
                f"user_{n % HUMANS}",
                n // HUMANS + 1,
                bytes(32),
                decision,
            ),
        }
        for table, row in tables.items():
            width = len(row(0))
            into = table.removesuffix(" VALUES")
            connection.executemany(
                f"INSERT INTO {into} VALUES ({', '.join('?' * width)})", (row(n) for n in range(number))
            )
        connection.execute("COMMIT")


@contextlib.contextmanager
def running(folder: Path, sizes: tuple[int, ...]) -> Iterator[list[Size]]:
    """A server of each size."""
    with contextlib.ExitStack() as stack:
        found = []
        for number in sizes:
            state, port = folder / str(number), free_port()
            state.mkdir()
            command = [sys.executable, "-m", "bench.gates_servers", "ours", str(port), str(state)]
            with started(command, port, folder):
                pass  # it makes its file
            fill(state / DATABASE, number)
            pid = stack.enter_context(started(command, port, folder))
            tokens = agents.tokens(f"http://127.0.0.1:{port}", state, CALLING)
            found.append(Size(number, port, pid, calls(port, "/mcp", tokens)))
        yield found


def measure(sizes: list[Size], folder: Path, seconds: float) -> Growth:
    """Block by block for about so many seconds."""
    for size in sizes:
        hammer.block(size.port, size.calls, clients=CLIENTS, calls=CALLING)
    until = time.monotonic() + seconds
    for turn in itertools.count():
        first = turn % len(sizes)
        for size in sizes[first:] + sizes[:first]:
            before = processor(size.pid)
            size.rounds.append(hammer.block(size.port, size.calls, clients=CLIENTS, calls=BLOCK * CLIENTS))
            size.taken += processor(size.pid) - before
        if time.monotonic() > until:
            break
    smallest = sizes[0]
    per_call = {size.number: size.taken / (len(size.rounds) * CLIENTS * (BLOCK + 1)) for size in sizes}
    return Growth(
        {size.number: side(size.rounds) for size in sizes},
        per_call,
        memory(smallest, folder),
        revocations(smallest, folder),
    )


def memory(size: Size, folder: Path) -> float:
    """Bytes by which a server grows for an agent that it has not seen, beyond what its call alone would take."""
    new = agents.tokens(f"http://127.0.0.1:{size.port}", folder / str(size.number), NEWCOMERS)
    before = held(size.pid)
    hammer.block(size.port, size.calls, clients=1, calls=2 * CALLING)
    between = held(size.pid)
    hammer.block(size.port, calls(size.port, "/mcp", new), clients=1, calls=NEWCOMERS - 1)
    return ((held(size.pid) - between) - (between - before) * NEWCOMERS / (2 * CALLING)) / NEWCOMERS


def revocations(size: Size, folder: Path) -> list[float]:
    """Seconds until each of some revocations was answered: the shop has acknowledged it by then."""
    found = []
    base, client = f"http://127.0.0.1:{size.port}", "demo-agent"
    for token in agents.tokens(base, folder / str(size.number), REVOKED, client=client):
        body = urlencode({"token": token, "client_id": client}).encode()
        headers = {"content-type": "application/x-www-form-urlencoded"}
        sent = hammer.request("/oauth2/revoke", f"127.0.0.1:{size.port}", headers, body)
        began = time.perf_counter()
        hammer.once(size.port, sent)
        found.append(time.perf_counter() - began)
    return found


def lines(found: Growth) -> list[str]:
    """The report."""
    least = min(found.sizes)
    base = found.sizes[least]
    said = [
        "one call of one of some hundred agents, with so many entries, agents, consents and sessions there",
        "        of each    calls/s        p50        p99  processor  | to the least: p50    p99  processor",
    ]
    said += [
        f"{number:15} {of.per_second:10.0f} {1000 * of.p50:7.2f} ms {1000 * of.p99:7.2f} ms"
        f" {1000 * found.processor[number]:7.2f} ms  | {of.p50 / base.p50:17.2f} {of.p99 / base.p99:6.2f}"
        f" {found.processor[number] / found.processor[least]:10.2f}"
        for number, of in found.sizes.items()
    ]
    said += [
        f"an agent that comes takes {found.per_agent / 1024:.1f} KiB of memory",
        f"a revocation is answered after {1000 * quantile(found.revoked, 0.5):.1f} ms (p50),"
        f" {1000 * max(found.revoked):.1f} ms at most of {len(found.revoked)}",
    ]
    return said


def picture(found: Growth) -> str:
    """The processor time of a call against how much there is, as an SVG; both axes by powers of ten."""
    width, height, left, low = 640, 300, 70, 240
    least = min(found.sizes)
    shown = {number: one / found.processor[least] for number, one in found.processor.items()}

    def at(index: int, ratio: float) -> tuple[float, float]:
        return left + index * (width - left - 40) / (len(shown) - 1), low - 60 * ratio

    points = [at(index, ratio) for index, ratio in enumerate(shown.values())]
    marks = "".join(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="4"/>' for x, y in points)
    line = f'<polyline fill="none" stroke="currentColor" points="{" ".join(f"{x:.0f},{y:.0f}" for x, y in points)}"/>'
    names = "".join(
        f'<text x="{x:.0f}" y="{low + 22}" text-anchor="middle">{number:,}</text>'
        f'<text x="{x:.0f}" y="{y - 12:.0f}" text-anchor="middle">{shown[number]:.2f}</text>'
        for (x, y), number in zip(points, shown, strict=True)
    )
    grid = "".join(
        f'<line x1="{left}" x2="{width - 40}" y1="{low - 60 * ratio}" y2="{low - 60 * ratio}" stroke="currentColor"'
        f' opacity="0.2"/><text x="{left - 10}" y="{low - 60 * ratio + 5}" text-anchor="end">{ratio}</text>'
        for ratio in (0, 1, 2, 3)
    )
    title = "Processor time of one call, as a ratio to where there are a hundred of each"
    under = "audit entries, agents, consents and sessions there already, of each"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{title}"'
        f' font-family="sans-serif" font-size="13" color="#888" fill="currentColor"><title>{title}</title>'
        f'<text x="{left}" y="24">{title}</text>{grid}{line}{marks}{names}'
        f'<text x="{width / 2}" y="{height - 10}" text-anchor="middle">{under}</text></svg>\n'
    )


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--most", type=int, default=max(SIZES), help="the largest size, 100 to a million")
    arguments.add_argument("--seconds", type=float, default=30.0, help="how long the load lasts, 1 to 600")
    arguments.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    arguments.add_argument("--picture", type=Path, help="write the plot to this SVG file")
    given = arguments.parse_args()
    if not (1 <= given.seconds <= 600 and 100 <= given.most <= max(SIZES)):
        arguments.error("out of bounds; see --help")
    sizes = tuple(size for size in SIZES if size <= given.most)
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder, running(Path(folder), sizes) as servers:
            found = measure(servers, Path(folder), given.seconds)
    except Refused as error:
        sys.exit(f"Nothing was measured: {error}")
    if given.picture is not None:
        given.picture.write_text(picture(found), "utf-8")
    print(json.dumps({"schema": 1, **asdict(found)}) if given.json else "\n".join(lines(found)))


if __name__ == "__main__":
    main()
