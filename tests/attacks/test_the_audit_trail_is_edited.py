"""Whoever can write the shop's file edits, removes, moves or adds entries of the audit trail: the reader notices.

Row T6 of the attacks; NIST SP 800-92 section 2.3 (integrity of log data); Schneier and Kelsey, "Secure Audit Logs to
Support Computer Forensics" (1999): what was written before a break-in cannot be changed unnoticed. Against the file's
owner the triggers help nothing, so each attack drops them first. Each is also played against a shop that signs whatever
it finds, for a reader who remembers nothing: there the attack works.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from demo.client import Agent, SampleHuman
from demo.client.audit import chain, export, reading, remembered
from demo.client.human.console import Console
from demo.evidence.audit import LogCheck
from demo.shop import checkpoints
from deputize import MemoryStore
from deputize.errors import ServerUnreachable, UsageError
from tests.conftest import console_at, serving

File = sqlite3.Connection
CALLS = 8
"""By nobody: entries of the one log that everybody reads."""
SIZE = CALLS + 1
"""With the console's own question where to sign in, which bears no token."""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shop") / "server.sqlite3"


@pytest.fixture(scope="module")
def signed_in(file: Path) -> Iterator[Console]:
    with serving(file) as url:
        call(url)
        found = console_at(url, MemoryStore())
        found.sign_in(SampleHuman("alice@example.com"))
        yield found


@pytest.fixture
def console(signed_in: Console, file: Path) -> Iterator[Console]:
    """At a shop whose file is as it was, when the test is over."""
    with closing(sqlite3.connect(file)) as there, closing(sqlite3.connect(":memory:")) as kept:
        there.backup(kept)
        yield signed_in
        kept.backup(there)


def call(url: str, times: int = CALLS) -> None:
    agent = Agent(url, store=MemoryStore())
    for _ in range(times):
        agent.call("listMcpShopInventory", {}, door="open", token="none")


def look(console: Console, state: Path) -> LogCheck:
    """What the reader of the trail is told of nobody's log."""
    checks = reading.check(reading.read(console), state)
    (found,) = [one for one in checks if one.user is None]
    return found


def edit(file: File) -> None:
    file.execute("UPDATE shop_audit SET decision = replace(decision, '\"allow\"', '\"deny\"') WHERE place = 3")


def remove(file: File) -> None:
    file.execute("DELETE FROM shop_audit WHERE place = 3")


def swap(file: File) -> None:
    file.execute("UPDATE shop_audit SET place = -1 WHERE place = 3")
    file.execute("UPDATE shop_audit SET place = 3 WHERE place = 5")
    file.execute("UPDATE shop_audit SET place = 5 WHERE place = -1")


def insert(file: File) -> None:
    """Between two others, each of which moves on by one."""
    rows = file.execute("SELECT audit_id, owner, place, link, decision FROM shop_audit WHERE place >= 3").fetchall()
    file.execute("DELETE FROM shop_audit WHERE place >= 3")
    made_up = ("audit_made_up", rows[0][1], 3, rows[0][3], rows[0][4].replace(rows[0][0], "audit_made_up"))
    for row in (made_up, *((one[0], one[1], one[2] + 1, one[3], one[4]) for one in rows)):
        text = json.dumps(
            {**json.loads(row[4]), "seq": row[2]}, ensure_ascii=False, sort_keys=True, separators=(",", ":")
        )
        values = (*row[:4], text)
        file.execute("INSERT INTO shop_audit (audit_id, owner, place, link, decision) VALUES (?, ?, ?, ?, ?)", values)


def cut(file: File) -> None:
    file.execute("DELETE FROM shop_audit WHERE place > 5")
    file.execute("DELETE FROM shop_audit_checkpoints")


def prune_without_a_trace(file: File) -> None:
    """As if it were old: but what is kept of it is not its link."""
    file.execute("UPDATE shop_audit_logs SET pruned = 3, pruned_link = zeroblob(32)")
    file.execute("DELETE FROM shop_audit WHERE place <= 3")


def rewrite(file: File) -> None:
    """Edit an entry and compute every link after it again: the chain is whole, and is another."""
    edit(file)
    owner, log = file.execute("SELECT owner, id FROM shop_audit_logs WHERE owner = ''").fetchone()
    link = sha256(log.encode()).digest()
    query = "SELECT place, decision FROM shop_audit WHERE owner = ? ORDER BY place"
    for place, decision in file.execute(query, (owner,)).fetchall():
        link = sha256(link + decision.encode()).digest()
        file.execute("UPDATE shop_audit SET link = ? WHERE owner = ? AND place = ?", (link, owner, place))


def rewrite_and_forge(file: File) -> None:
    """... and no checkpoint is left that says otherwise."""
    rewrite(file)
    file.execute("DELETE FROM shop_audit_checkpoints")


def another_key(file: File) -> None:
    """A checkpoint that somebody else signs."""
    rewrite(file)
    signed = file.execute("SELECT jws FROM shop_audit_checkpoints LIMIT 1").fetchone()[0]
    head, body, signature = signed.split(".")
    forged = f"{head}.{body}.{signature[::-1]}"
    file.execute("UPDATE shop_audit_checkpoints SET jws = ?", (forged,))


def replace_the_log(file: File) -> None:
    file.execute("UPDATE shop_audit_logs SET id = 'log_another' WHERE owner = ''")
    rewrite_and_forge(file)


ATTACKS: list[tuple[Callable[[File], None], set[tuple[str, int | None]]]] = [
    (edit, {("edited", 3)}),
    (remove, {("missing", 3)}),
    (swap, {("moved", 3), ("moved", 4)}),
    (insert, {("edited", 3), ("edited", 4), ("edited", 5), ("edited", 6), ("edited", 7), ("edited", 8), ("edited", 9)}),
    (cut, {("cut", SIZE)}),
    (prune_without_a_trace, {("edited", 4), ("missing", 1)}),
    (rewrite, {("rewritten", SIZE)}),
    (rewrite_and_forge, {("rewritten", SIZE)}),
    (another_key, {("unsigned", None), ("rewritten", SIZE)}),
    (replace_the_log, {("replaced", None)}),
]


def attack_with(attack: Callable[[File], None], path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("BEGIN IMMEDIATE")
        for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            file.execute(f"DROP TRIGGER {name}")
        attack(file)
        file.execute("COMMIT")


@pytest.mark.parametrize(("attack", "named"), ATTACKS, ids=[attack.__name__ for attack, _ in ATTACKS])
def test_the_entry_is_named(
    console: Console, file: Path, tmp_path: Path, attack: Callable[[File], None], named: set[tuple[str, int | None]]
) -> None:
    assert look(console, tmp_path).findings == ()
    attack_with(attack, file)
    for _ in range(2):  # what is wrong does not become right by being looked at
        found = look(console, tmp_path)
        assert named <= {(one.kind, one.seq) for one in found.findings}, found.findings
    assert {one.kind for one in found.findings} <= {kind for kind, _ in named} | {"unsigned", "edited", "rewritten"}


def test_an_entry_is_named_by_its_audit_id(console: Console, file: Path, tmp_path: Path) -> None:
    third = console.audit()[2].audit_id
    attack_with(edit, file)
    assert [(one.seq, one.audit_id) for one in look(console, tmp_path).findings if one.kind == "edited"] == [(3, third)]


@pytest.mark.parametrize("attack", [cut, rewrite_and_forge, replace_the_log], ids=lambda attack: attack.__name__)
def test_against_a_shop_that_signs_what_it_finds_and_a_reader_without_memory_it_works(
    console: Console, file: Path, tmp_path: Path, attack: Callable[[File], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the tests above are seen to bite."""
    honest = checkpoints._state

    def signs_anything(*given: Any) -> Any:
        found = honest(*given)
        return None if found is None else (found[0], None, True)

    monkeypatch.setattr(checkpoints, "_state", signs_anything)
    monkeypatch.setattr(remembered, "recall", lambda *_: {})
    look(console, tmp_path)
    attack_with(attack, file)
    assert look(console, tmp_path).findings == ()


def test_a_log_that_only_grows_stays_good_and_what_was_verified_is_remembered(console: Console, tmp_path: Path) -> None:
    first = look(console, tmp_path)
    call(console.shop, 3)
    second = look(console, tmp_path)
    assert (first.size, first.remembered, second.size, second.remembered) == (SIZE, None, SIZE + 3, SIZE)
    assert (first.findings, second.findings) == ((), ())
    assert first.key == second.key is not None


@pytest.mark.parametrize("weakened", [False, True])
def test_entries_that_are_left_out_and_said_to_be_pruned_are_named(
    console: Console, tmp_path: Path, weakened: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a copy, or on the way: with the right link behind them, so that the chain is whole."""
    if weakened:
        monkeypatch.setattr(chain, "_pruned", lambda *_: None)
    trail = reading.read(console)
    logs = tuple(
        replace(one, pruned=3, pruned_link=one.entries[2]["link"], entries=one.entries[3:], checkpoints=())
        for one in trail.logs
        if one.user is None
    )
    assert logs and len(logs[0].entries) == logs[0].size - 3
    (found,) = reading.check_copy(replace(trail, logs=logs), tmp_path)
    assert [(one.kind, one.seq) for one in found.findings] == ([] if weakened else [("missing", 1)])


def test_a_line_of_a_copy_that_names_its_log_by_no_text_is_refused() -> None:
    about = json.dumps({"kind": "audit trail", "schema": 1, "server": "https://shop.example"})
    for of in ([], {}, 5, None):
        with pytest.raises(UsageError):
            export.read([about, json.dumps({"of": of})], "a copy")


@pytest.mark.parametrize("endless", ["logs", "one log", "entries"])
def test_a_trail_without_end_is_read_to_an_end(endless: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """CWE-400, CWE-835: a hostile shop always has one more log, one more page, or a million entries more."""

    class Shop:
        shop = "https://shop.example"
        asked = 0

        def read_trail(self, path: str, query: dict[str, Any]) -> dict[str, Any]:
            self.asked += 1
            if path == "/audit/checkpoint":
                log = {"log": "a", "user": None, "size": 10**12, "pruned": 0, "pruned_link": ""}
                return {"logs": [] if endless == "logs" else [log], "next": "b" if endless == "logs" else None}
            many = 1 if endless == "one log" else 1000
            return {"entries": [{"entry": {"seq": query["after"] + one}} for one in range(1, many + 1)]}

    monkeypatch.setattr(reading, "_keys", lambda _: (None, None))
    monkeypatch.setattr(reading, "MOST_ENTRIES", 30_000)
    shop = Shop()
    with pytest.raises(ServerUnreachable):
        reading.read(cast(Console, shop))
    assert shop.asked <= reading.MOST_PAGES + 1


def re_signed(trail: reading.Trail) -> reading.Trail:
    """The last entry is taken away from each log, and a key of the forger's own signs what is left."""
    forger = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)

    def forged(log: reading.Reading) -> reading.Reading:
        size = log.size - 1
        told = {"iss": trail.server, "iat": int(time.time()), "log": log.log, "size": size}
        told["link"] = log.entries[size - 1]["link"] if size else ""
        signed = jwt.encode({"alg": "ES256", "typ": chain.CHECKPOINT, "kid": forger.kid}, told, forger)
        return replace(log, size=size, entries=log.entries[:size], checkpoint=signed, checkpoints=())

    logs = tuple(forged(log) for log in trail.logs if log.size > 1)
    return replace(trail, logs=logs, jwks={"keys": [forger.as_dict(private=False)]})


def test_an_export_with_a_key_of_its_own_deceives_only_who_never_looked(console: Console, tmp_path: Path) -> None:
    trail = reading.read(console)
    forged = re_signed(trail)
    assert not any(one.findings for one in reading.check_copy(forged, tmp_path)), "the attack works: nothing is known"
    assert not any(one.findings for one in reading.check(trail, tmp_path))
    assert {one.kind for log in reading.check_copy(forged, tmp_path) for one in log.findings} == {"key"}


def test_an_export_without_a_whole_log_is_found_by_who_looked_before_it_was_made(
    console: Console, tmp_path: Path
) -> None:
    trail = reading.read(console)
    alone = replace(trail, logs=tuple(log for log in trail.logs if log.user is not None), at=time.time())
    assert not any(one.findings for one in reading.check_copy(alone, tmp_path)), "the attack works: nothing is known"
    reading.check(trail, tmp_path)
    found = [one for one in reading.check_copy(alone, tmp_path) if one.findings]
    assert [(one.user, [finding.kind for finding in one.findings]) for one in found] == [(None, ["cut"])]


def test_an_export_may_be_older_than_what_was_verified_since(console: Console, tmp_path: Path) -> None:
    old = reading.read(console)
    call(console.shop, 1)
    reading.check(reading.read(console), tmp_path)
    assert not any(one.findings for one in reading.check_copy(old, tmp_path))
