"""What deciding costs: one tool call through all gates and the audit log, against servers that decide less.

Side by side in one run, a block of the one, then a block of the next, so that a busy moment of the machine hits all:

- ours with every gate and the audit log, as `demo serve` runs it, its authorization server in the same process;
- the MCP SDK's server alone, with the same tool and no authorization;
- FastMCP with its JWT verifier, which takes the same tokens (`requirements/peers.txt`, in an environment of its own);
- our own door without authorization.

The same calls (MCP 2026-07-28, stateless, answers in JSON) from the same load. Prints ratios, never judges. Run it with
`make bench`, or `python -m bench.gates --help`.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from bench import agents, hammer
from bench.figures import Side, side
from bench.gates_servers import TOOL, inventory
from bench.load import Refused, Round, tool_call
from bench.memory import processor
from deputize.net import free_port

ROOT: Final = Path(__file__).parent.parent
CLIENTS: Final = (1, 16)
BLOCK: Final = 25
"""Calls of a block for each client: short enough that all share a busy moment."""
AGENTS: Final = 500
"""So many that none comes to its limit of calls, which stays as it is."""
OURS, BARE, FASTMCP, OPEN, FLOOR = "ours, every gate", "bare SDK", "FastMCP with JWT", "ours, open door", "floor"
START_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Server:
    """One of those that are compared: where it listens, and its calls, without end."""

    name: str
    port: int
    pid: int
    calls: Iterator[bytes]


@dataclass(frozen=True)
class Compared:
    """What each came to with so many clients."""

    clients: int
    sides: dict[str, Side]
    processor: dict[str, float]
    """Seconds of processor time for each call."""


@contextlib.contextmanager
def started(command: list[str], port: int, folder: Path) -> Iterator[int]:
    """A server's process, which listens, for as long as the block; its id.

    Raises:
        Refused: it does not start.
    """
    log = folder / f"{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            deadline = time.monotonic() + START_SECONDS
            while True:
                with socket.socket() as one:
                    if one.connect_ex(("127.0.0.1", port)) == 0:
                        break
                if process.poll() is not None or time.monotonic() > deadline:
                    raise Refused(f"{command[1:4]} did not start: {log.read_text('utf-8', 'replace')[-400:]}")
                time.sleep(0.05)
            yield process.pid
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def calls(port: int, path: str, tokens: list[str]) -> Iterator[bytes]:
    """The tool called by one agent after the other; by nobody where there is no token."""
    made = []
    for token in tokens or [""]:
        call = tool_call("", token, TOOL)
        headers = {name: value for name, value in call.headers.items() if token or name != "authorization"}
        made.append(hammer.request(path, f"127.0.0.1:{port}", headers, call.body))
    return itertools.cycle(made)


@contextlib.contextmanager
def running(folder: Path, python_of_peers: str | None, number: int) -> Iterator[list[Server]]:
    """All of them, each a process; without FastMCP where its environment is not there."""
    ports = {role: free_port() for role in ("ours", "bare", "fastmcp", "floor")}
    with contextlib.ExitStack() as stack:

        def start(role: str, command: list[str]) -> int:
            return stack.enter_context(started(command, ports[role], folder))

        def own(role: str) -> int:
            return start(role, [sys.executable, "-m", "bench.gates_servers", role, str(ports[role]), str(folder)])

        base = f"http://127.0.0.1:{ports['ours']}"
        pid = own("ours")
        tokens = agents.tokens(base, folder, number)
        found = [
            Server(OURS, ports["ours"], pid, calls(ports["ours"], "/mcp", tokens)),
            Server(BARE, ports["bare"], own("bare"), calls(ports["bare"], "/mcp", [])),
        ]
        if python_of_peers is not None:
            command = [python_of_peers, str(ROOT / "bench" / "gates_fastmcp.py"), str(ports["fastmcp"])]
            command += [base, f"{base}/mcp", json.dumps(inventory())]
            found.append(
                Server(FASTMCP, ports["fastmcp"], start("fastmcp", command), calls(ports["fastmcp"], "/mcp", tokens))
            )
        found.append(Server(OPEN, ports["ours"], pid, calls(ports["ours"], "/open/mcp", [])))
        found.append(Server(FLOOR, ports["floor"], own("floor"), calls(ports["floor"], "/mcp", tokens)))
        yield found


def check(server: Server) -> None:
    """See that a server does the work before it is timed.

    Raises:
        Refused: it answered something else than the tool's result.
    """
    _, _, body = hammer.once(server.port, next(server.calls)).partition(b"\r\n\r\n")
    result = json.loads(body).get("result", {})
    if server.name != FLOOR and len(result.get("structuredContent", {}).get("items", [])) != 1:
        raise Refused(f"{server.name} answered {body[:300]!r}")


def compare(servers: list[Server], clients: int, seconds: float) -> Compared:
    """Block by block for about so many seconds, each server in turn."""
    rounds: dict[str, list[Round]] = {server.name: [] for server in servers}
    taken = dict.fromkeys(rounds, 0.0)
    until = time.monotonic() + seconds
    for turn in itertools.count(1):
        first = turn % len(servers)
        for server in servers[first:] + servers[:first]:
            before = processor(server.pid)
            rounds[server.name].append(hammer.block(server.port, server.calls, clients=clients, calls=BLOCK * clients))
            taken[server.name] += processor(server.pid) - before
        if time.monotonic() > until:
            sent = turn * clients * (BLOCK + 1)
            per_call = {name: seconds / sent for name, seconds in taken.items()}
            return Compared(clients, {name: side(done) for name, done in rounds.items()}, per_call)
    raise AssertionError("unreachable")


def lines(found: list[Compared]) -> list[str]:
    """The report."""
    said = [
        "one call of a tool that reads: calls a second, p50, p99 and processor time, and each as a ratio to ours",
        "(above 1.00 in calls: faster than ours; above 1.00 in the others: slower than ours)",
    ]
    for one in found:
        ours = one.sides[OURS]
        said += [
            "",
            f"{one.clients:2} at a time         calls/s        p50        p99  processor  |  calls   p50   p99  proc.",
        ]
        said += [
            f"{name:18} {of.per_second:9.0f} {_ms(of.p50)} {_ms(of.p99)} {_ms(one.processor[name])}  |"
            f" {of.per_second / ours.per_second:6.2f} {of.p50 / ours.p50:6.2f} {of.p99 / ours.p99:6.2f}"
            f" {one.processor[name] / one.processor[OURS]:6.2f}"
            for name, of in one.sides.items()
        ]
    return [*said, "", "floor: a server that reads nothing and decides nothing, so what the load itself can do"]


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:7.2f} ms"


def peers() -> str | None:
    """The interpreter of the peers' environment, installed if need be; None, and why on stderr, where it cannot be."""
    import pytest

    from tests.peers.installed import install_python

    try:
        return str(Path(install_python(ROOT / ".pytest_cache" / "d" / "peers-python").python).absolute())
    except (pytest.skip.Exception, pytest.fail.Exception) as error:
        print(f"without FastMCP: {error}", file=sys.stderr)
        return None


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--seconds", type=float, default=20.0, help="for each number of clients, 1 to 600")
    arguments.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    given = arguments.parse_args()
    if not 1 <= given.seconds <= 600:
        arguments.error("out of bounds; see --help")
    os.environ.pop("PYTHONPATH", None)
    python = peers()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="bench-") as folder,
            running(Path(folder), python, AGENTS) as servers,
        ):
            for server in servers:
                check(server)
                hammer.block(server.port, server.calls, clients=16, calls=AGENTS)  # every grant was seen once
            found = [compare(servers, clients, given.seconds) for clients in CLIENTS]
    except Refused as error:
        sys.exit(f"Nothing was measured: {error}")
    if given.json:
        print(json.dumps({"schema": 1, "compared": [asdict(one) for one in found]}))
    else:
        print("\n".join(lines(found)))


if __name__ == "__main__":
    main()
