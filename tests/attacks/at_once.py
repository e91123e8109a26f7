"""Many agents at once at a local server in a process of its own: what each was answered, and what was written down.

`python -m tests.attacks.at_once WEAKNESS ARGUMENTS` is that server with a weakness:

- `looks-before`: what was used so far is read from what is committed, and not in the transaction that uses it up;
- `answers-before`: a call is answered when its transaction is done, and before that is on the disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import sqlite3
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.gates import started
from bench.load import tool_call
from demo.local_server.world import DATABASE
from deputize.net import free_port

READ, BUY = "listMcpShopInventory", "buyMcpShopItem"
WISH = {"company": "ACME", "mailingAddress": "1 Main St", "tshirtSize": "M"}


@dataclass(frozen=True)
class Told:
    """What a client knows of one call: it was answered so."""

    status: int
    audit_id: str
    rule: str
    order: str | None
    error: str


class Server:
    """A local server in a process, which can be killed and started again under its name."""

    def __init__(self, state: Path, weakness: str = "none") -> None:
        self.state, self.port, self.weakness, self.pid = state, free_port(), weakness, 0

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        command = [sys.executable, "-m", "tests.attacks.at_once", self.weakness]
        command += ["--port", str(self.port), "--state", str(self.state)]
        with started(command, self.port, self.state.parent) as self.pid:
            asked = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            asked.request("GET", "/health")  # it listens before it serves
            assert asked.getresponse().status == 200
            yield

    def rows(self, query: str, *values: Any) -> list[Any]:
        """What is on the disk, as anybody sees who opens the file now."""
        with contextlib.closing(sqlite3.connect(self.state / DATABASE, timeout=20)) as connection:
            return connection.execute(query, values).fetchall()

    def decisions(self) -> list[dict[str, Any]]:
        return [json.loads(row[0]) for row in self.rows("SELECT decision FROM shop_audit ORDER BY seq")]


class Agent:
    """One connection of an agent's."""

    def __init__(self, server: Server, token: str) -> None:
        self._token = token
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)

    def call(self, tool: str, **arguments: Any) -> Told:
        """Call, and read the answer whole.

        Raises:
            OSError, http.client.HTTPException: there was none.
        """
        call = tool_call("", self._token, tool, arguments)
        self._connection.request("POST", "/mcp", call.body, call.headers)
        answer = self._connection.getresponse()
        body = json.loads(answer.read())
        result = body.get("result", {})
        decision = result.get("_meta", {}).get("demo/decision") or body.get("error", {}).get("data", {}).get(
            "decision", {}
        )
        order = (result.get("structuredContent") or {}).get("order")
        error = result["content"][0]["text"] if result.get("isError") else ""
        audit_id = answer.headers.get("Demo-Audit-Id", "")
        return Told(answer.status, audit_id, decision.get("rule", ""), order["id"] if order else None, error)


def at_once(server: Server, tokens: Iterable[str], calls: list[tuple[str, dict[str, Any]]]) -> list[Told]:
    """Each of these calls by each of these agents; all begin at the same moment. An agent that is named twice calls
    from two places."""
    agents = [Agent(server, token) for token in tokens]
    told: list[Told] = []
    begin = threading.Barrier(len(agents))

    def work(agent: Agent) -> None:
        begin.wait(30)
        for tool, arguments in calls:
            told.append(agent.call(tool, **arguments))

    threads = [threading.Thread(target=work, args=(agent,), daemon=True) for agent in agents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    assert len(told) == len(agents) * len(calls)
    return told


def weaken(name: str) -> None:
    """Put a weakness into this process."""
    from demo.shop import database, group_commit, ledger, rates

    committed: dict[str, sqlite3.Connection] = {}

    def elsewhere(connection: sqlite3.Connection) -> sqlite3.Connection:
        file = connection.execute("PRAGMA database_list").fetchone()[2]
        if file not in committed:
            committed[file] = sqlite3.connect(file, isolation_level=None)
            committed[file].row_factory = sqlite3.Row
        return committed[file]

    if name == "none":
        return
    commit = group_commit._commit

    def slowly(connection: sqlite3.Connection) -> None:
        time.sleep(0.05)  # a disk that takes its time, and so a weakness that shows
        commit(connection)

    group_commit._commit = slowly
    match name:
        case "looks-before":
            spent, left = ledger.spent, ledger.stock_left
            ledger.spent = lambda connection, *rest: spent(elsewhere(connection), *rest)
            ledger.stock_left = lambda connection, *rest: left(elsewhere(connection), *rest)

            def acquire(self: Any, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
                query = "SELECT count(*) FROM shop_calls WHERE key = ? AND at > ?"
                used = elsewhere(self.connection).execute(query, (key, self._now - expiry)).fetchone()[0]
                if used + amount > limit:
                    return False
                self.connection.execute("INSERT INTO shop_calls (key, at) VALUES (?, ?)", (key, self._now))
                return True

            rates.LedgerStorage.acquire_entry = acquire  # type: ignore[method-assign]
        case "answers-before":
            honest = database.Database.begin

            async def hasty(self: Any, *rest: Any, **more: Any) -> Any:
                result, _ = await honest(self, *rest, **more)
                committed = asyncio.get_running_loop().create_future()
                committed.set_result(None)
                return result, committed

            database.Database.begin = hasty  # type: ignore[method-assign]
        case _:
            raise ValueError(name)


if __name__ == "__main__":
    weaken(sys.argv.pop(1))
    from demo.local_server.server import main

    main()
