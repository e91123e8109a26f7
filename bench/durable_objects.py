"""Many Durable Objects under workerd: what a user notices of all the others, and of the one object that all share.

Prints ratios, never judges. Each is against something run side by side, a block of the one, then a block of the other,
at the same number of calls in flight, so that a busy moment of the machine hits both:

- calls spread over N users, each with an object of their own, against as many to one user's one object;
- a first call to an object that is not there yet, against a call to one that is; and the memory that both take;
- a call to an object that was put away because it was idle, against a call to one that is awake;
- what asks the one stock room (an inventory), and what writes in it (a purchase), against what stays in its own object.

Run it with `make bench`, or `python -m bench.durable_objects --help`.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

from bench import issuer, report
from bench.figures import Growth, Kind, Made, Outcome, Size, Woken, side
from bench.load import MOST_LOST, Call, Loop, Refused, Round, tool_call
from bench.memory import resident
from demo.deploy import tools, workerd
from deputize.errors import ExplainedError
from deputize.net import free_port

SIZES: Final = (1, 10, 100, 1000)
MOST_USERS: Final = 10_000
"""Each has a database file of its own on this machine."""
SHOPPERS: Final = 100
"""Users among whom the kinds of calls are compared: purchases of one consent would wait for each other."""
BLOCK: Final = 4
"""Calls of a block, for each that is in flight: long enough to fill the loop, short enough to share a busy moment."""
LEAST: Final = 6
"""Rounds of each comparison, whatever the hour."""
FOR_KINDS: Final = 0.15
"""Of the time: kept for the kinds of calls, however long the users take."""
FIRST_CALL: Final = 5
"""Calls that a first one and the one beside it are taken for, when time is reckoned."""
OVERTIME: Final = 0.4
"""Of the time: what the largest size may take beyond it."""
IDLE: Final = 13.0
"""Seconds: an object that is idle for ten is put away (*Lifecycle of a Durable Object*)."""
WARM: Final = 10.0
"""Seconds."""
PLENTY: Final = 1_000_000_000
"""Of stock, calls and cents: no limit may be what is measured."""
OWN: Final = "getUserInfo"
INVENTORY: Final = "listMcpShopInventory"
PURCHASE: Final = "buyMcpShopItem"
WISH: Final = {"company": "ACME", "mailingAddress": "1 Main St", "tshirtSize": "M"}


class Bench:
    """The shop under workerd, its users' tokens, and a loop of calls to it."""

    def __init__(self, loop: Loop, issued_by: issuer.Issuer, worker: workerd.Worker) -> None:
        self.loop = loop
        self.worker = worker
        self.outcome = Outcome(loop.in_flight)
        self._issuer = issued_by
        self._tokens: dict[str, str] = {}
        self._answered, self._took = 0, 0.0

    def call(self, user: str, tool: str = OWN) -> Call:
        """A call of this user's, whose token is made the first time."""
        if user not in self._tokens:
            self._tokens[user] = self._issuer.token(user, f"{self.worker.base_url}/mcp", cents=PLENTY)
        return tool_call(user, self._tokens[user], tool, WISH if tool == PURCHASE else None)

    def run(self, calls: list[Call]) -> Round:
        """One block."""
        done = self.loop.run(calls)
        self.outcome.lost += done.lost
        self._answered += len(done.samples)
        self._took += done.seconds
        return done

    def warm(self) -> None:
        """One call alone, so that the keys are read before the crowd comes. A Worker that has just been started may be
        loaded once more, and loses what it was asking then: so this call, and no other, is tried for `WARM` seconds.

        Raises:
            Refused: none was answered in that time.
        """
        until = time.monotonic() + WARM
        while True:
            try:
                self.run([self.call("control")])
                return
            except Refused:
                if time.monotonic() > until:
                    raise
                time.sleep(0.5)

    @property
    def calls(self) -> int:
        """How many calls were answered so far."""
        return self._answered

    def seconds_for(self, calls: int) -> float:
        """How long so many calls will take, as far as those before say."""
        return calls * self._took / max(1, self._answered)

    def make(self, users: list[str], total: int) -> None:
        """First calls to these users' objects, against as many calls to one object that is there."""
        known = [self.call("control")] * len(users)
        new = [self.call(user) for user in users]
        before = resident(self.worker.pid, "workerd")
        same = self.run(known)
        between = resident(self.worker.pid, "workerd")
        fresh = self.run(new)
        after = resident(self.worker.pid, "workerd")
        memory = None
        if before is not None and between is not None and after is not None:
            memory = Growth(len(users), before, between, after)
        self.outcome.made.append(Made(total, side([fresh]), side([same]), memory))

    def compare(self, users: list[str], until: float) -> None:
        """Calls spread over these users, against as many to one user, block by block until that moment."""
        block = BLOCK * self.loop.in_flight
        spread = itertools.cycle([self.call(user) for user in users])
        control = [self.call("control")] * block
        many: list[Round] = []
        one: list[Round] = []
        called = 0
        # Whatever the hour, every user is called once.
        while time.monotonic() < until or called < len(users) or len(many) < LEAST:
            blocks = [(many, list(itertools.islice(spread, block))), (one, control)]
            # The second finds the machine as the first has left it: so they take turns at that, too.
            for rounds, calls in blocks if len(many) % 2 == 0 else reversed(blocks):
                rounds.append(self.run(calls))
            called += block
        self.outcome.sizes.append(Size(len(users), side(many), side(one)))

    def wake(self, users: list[str]) -> None:
        """Calls to objects that were left alone for `IDLE` seconds, against as many to one that was not."""
        calls = [self.call(user) for user in users]
        control = [self.call("control")]
        self.run(calls)
        until = time.monotonic() + IDLE
        while time.monotonic() < until:
            self.run(control)
            time.sleep(0.5)
        awake = self.run(control * len(calls))
        self.outcome.woken = Woken(IDLE, side([self.run(calls)]), side([awake]))

    def shop(self, users: list[str], until: float) -> None:
        """The kinds of calls, block by block until that moment."""
        block = BLOCK * self.loop.in_flight
        kinds = {
            tool: itertools.cycle([self.call(user, tool) for user in users]) for tool in (OWN, INVENTORY, PURCHASE)
        }
        rounds: dict[str, list[Round]] = {tool: [] for tool in kinds}
        while time.monotonic() < until or len(rounds[OWN]) < LEAST:
            for tool in kinds if len(rounds[OWN]) % 2 == 0 else reversed(kinds):
                rounds[tool].append(self.run(list(itertools.islice(kinds[tool], block))))
        self.outcome.kinds += [Kind(tool, side(done)) for tool, done in rounds.items()]


@contextlib.contextmanager
def opened(in_flight: int) -> Iterator[Bench]:
    """The Worker under workerd with an authorization server of the bench's own, on loopback, for as long as the block.

    Raises:
        EnvironmentNotReady: no Node, nothing installed, or it does not start.
    """
    built = tools.find(tools.default_worker())
    variables = {
        "ALLOWLIST": issuer.EMAIL,
        # As many as a window can hold, and a short one: it keeps the time of each of its calls.
        "RATE_CALLS": "100000",
        "RATE_SECONDS": "1",
        "PURCHASES_PER_CONSENT": str(PLENTY),
        "STOCK_AT_FIRST": str(PLENTY),
    }
    with issuer.serving() as issued_by, tempfile.TemporaryDirectory(prefix="bench-") as folder:
        # A free port, not wrangler's own: another Worker of this machine may be listening there.
        port = free_port()
        settings = {"ISSUER": issued_by.url, **variables}
        with workerd.running(built, port=port, state=Path(folder), variables=settings) as worker:
            loop = Loop("127.0.0.1", port, in_flight)
            try:
                yield Bench(loop, issued_by, worker)
            finally:
                loop.close()


def measure(bench: Bench, sizes: tuple[int, ...], seconds: float) -> Outcome:
    """Everything, within about so many seconds: what time does not allow is named, and not measured.

    Raises:
        Refused: a call was refused, or too many were lost.
    """
    end = time.monotonic() + seconds
    sizes_end = end - FOR_KINDS * seconds - min(IDLE, FOR_KINDS * seconds)
    users = [f"u{index}" for index in range(max(sizes))]
    bench.warm()
    bench.run([bench.call("control")] * BLOCK * bench.loop.in_flight)
    made = 0
    # The more users, the more time: each must be called several times for quantiles of its own.
    shares = [2**step for step in range(len(sizes))]
    for step, size in enumerate(sizes):
        left = sizes_end - time.monotonic()
        # A first call takes as long as several later ones; and a size is left out rather than cut short.
        if left + OVERTIME * seconds < bench.seconds_for(FIRST_CALL * (size - made) + 2 * size):
            bench.outcome.missing.append(f"{size} users")
            continue
        bench.make(users[made:size], size)
        made = size
        left = max(0.0, sizes_end - time.monotonic())
        bench.compare(users[:size], time.monotonic() + left * shares[step] / sum(shares[step:]))
    bench.wake(users[: min(SHOPPERS, made)])
    bench.shop(users[: min(SHOPPERS, made)], end)
    if bench.outcome.lost > MOST_LOST * bench.calls:
        raise Refused(f"{bench.outcome.lost} calls were lost and {bench.calls} answered; this machine is too busy")
    return bench.outcome


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--users", type=int, default=max(SIZES), help=f"the most users, up to {MOST_USERS}")
    arguments.add_argument("--in-flight", type=int, default=16, help="calls in flight, 1 to 64")
    arguments.add_argument(
        "--seconds", type=float, default=150.0, help="how long the load lasts, 10 to 1800; at most half as long again"
    )
    arguments.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    given = arguments.parse_args()
    if not (1 <= given.users <= MOST_USERS and 1 <= given.in_flight <= 64 and 10 <= given.seconds <= 1800):
        arguments.error("out of bounds; see --help")
    sizes = (*(size for size in SIZES if size < given.users), given.users)
    try:
        with opened(given.in_flight) as bench:
            outcome = measure(bench, sizes, given.seconds)
    except ExplainedError as error:
        print(
            f"{error.what} ({error.why or 'no reason was given'}). Do this: {error.do or 'try again'}", file=sys.stderr
        )
        sys.exit(error.exit_code)
    except Refused as error:
        sys.exit(f"Nothing was measured: {error}")
    if given.json:
        print(json.dumps({"schema": 1, **asdict(outcome)}))
    else:
        print("\n".join(report.lines(outcome)))


if __name__ == "__main__":
    main()
