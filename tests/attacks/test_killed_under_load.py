"""A server that is killed (SIGKILL) while agents call and buy without pause: what it had answered is there afterwards.

Durability is what an answer promises; NIST SP 800-92 section 2.3 wants it of a log. A power cut is not tried here.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest

from bench import agents
from demo.shop import audit_chain
from demo.shop.catalog import LIMITS
from tests.attacks.at_once import BUY, READ, WISH, Agent, Server, Told
from tests.conftest import HANGS

QUOTA = 2
"""Purchases of one consent."""
CLIENTS, EACH = 12, 20
"""Connections at once, and the agents that each calls for in turn: none comes to its rate."""


def until_killed(server: Server, tokens: list[str], answers: int) -> list[Told]:
    """What clients were told that call and buy without pause, until the server is killed after so many answers."""
    told: list[Told] = []
    over = threading.Event()

    def work(mine: list[str]) -> None:
        calls = [Agent(server, token) for token in mine]
        with contextlib.suppress(OSError, http.client.HTTPException):
            while not over.is_set():
                for number, agent in enumerate(calls):
                    told.append(agent.call(BUY, **WISH) if number % 3 else agent.call(READ))

    threads = [threading.Thread(target=work, args=(tokens[at::CLIENTS],), daemon=True) for at in range(CLIENTS)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 60
    while len(told) < answers and time.monotonic() < deadline:
        time.sleep(0.001)
    os.kill(server.pid, signal.SIGKILL)
    over.set()
    for thread in threads:
        thread.join(HANGS)
    assert not any(thread.is_alive() for thread in threads)
    assert len(told) >= answers
    return told


def missing(server: Server, told: list[Told]) -> set[str]:
    """Of what was answered, the entries and orders that are not on the disk."""
    kept = {row[0] for row in server.rows("SELECT audit_id FROM shop_audit")}
    kept |= {row[0] for row in server.rows("SELECT id FROM shop_orders")}
    return {one for each in told for one in (each.audit_id, each.order) if one} - kept


def consistent(server: Server) -> None:
    """What is there fits together, whatever was under way."""
    orders = {row[0]: row[1] for row in server.rows("SELECT id, audit_id FROM shop_orders")}
    entries = {one["audit_id"]: one for one in server.decisions()}
    assert all(entries[entry]["order_id"] == order for order, entry in orders.items())
    bought = {key: one for key, one in entries.items() if one["tool"] == BUY and one["verdict"] == "allow"}
    assert all(one["order_id"] in orders for one in bought.values() if one["order_id"])
    assert server.rows("SELECT left FROM shop_stock WHERE item = 'conference-t-shirt'") == [
        (LIMITS.stock - len(orders),)
    ]
    most = server.rows("SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM shop_orders GROUP BY account)")
    assert most[0][0] <= QUOTA
    links = {owner: audit_chain.first_link(log) for owner, log in server.rows("SELECT owner, id FROM shop_audit_logs")}
    for owner, link, entry in server.rows("SELECT owner, link, decision FROM shop_audit ORDER BY owner, place"):
        links[owner] = audit_chain.link(links[owner], entry)
        assert link == links[owner]
    assert server.rows("PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize("kills", [2, pytest.param(15, marks=pytest.mark.long)])
def test_whatever_was_answered_is_there(tmp_path: Path, kills: int) -> None:
    server, told = Server(tmp_path / "state"), list[Told]()
    moments = random.Random(kills)
    for _ in range(kills):
        with server.running():
            tokens = agents.tokens(server.base, server.state, CLIENTS * EACH)
            told += until_killed(server, tokens, moments.randrange(30, 120))
    with server.running():  # which looks through its file, and goes on
        assert missing(server, told) == set()
        consistent(server)
        (token,) = agents.tokens(server.base, server.state, 1)
        assert Agent(server, token).call(READ).status == 200
    assert sum(one.status == 200 for one in told) > 20 * kills


def test_a_server_that_answers_before_it_is_on_the_disk_loses_what_it_answered(tmp_path: Path) -> None:
    """What the test above would see there."""
    server, lost = Server(tmp_path / "state", "answers-before"), set[str]()
    for _ in range(8):
        with server.running():
            lost |= missing(server, until_killed(server, agents.tokens(server.base, server.state, CLIENTS * EACH), 30))
        if lost:
            return
    raise AssertionError("nothing was lost")
