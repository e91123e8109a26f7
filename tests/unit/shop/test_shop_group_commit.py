"""Many write together: each all or nothing, told only when it is on the disk, and none waits for a loop that ended."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.shop import group_commit
from demo.shop.group_commit import MOST_TOGETHER, GroupCommit

SECONDS = 10


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(
        sqlite3.connect(tmp_path / "one.db", isolation_level=None, check_same_thread=False, timeout=0)
    ) as made:
        made.execute("PRAGMA journal_mode = WAL")
        made.execute("CREATE TABLE t (a TEXT UNIQUE)")
        yield made


@pytest.fixture
def group(connection: sqlite3.Connection) -> Iterator[GroupCommit]:
    made = GroupCommit(connection, patience=SECONDS)
    yield made
    made.close()


def insert(value: str, *, then: Exception | None = None):  # type: ignore[no-untyped-def]  # a function of a connection
    def run(connection: sqlite3.Connection) -> str:
        connection.execute("INSERT INTO t VALUES (?)", (value,))
        if then is not None:
            raise then
        return value

    return run


async def written(group: GroupCommit, value: str, **more: Exception) -> str:
    result, committed = await group.begin(insert(value, **more))
    await committed
    return str(result)


def there(tmp_path: Path) -> set[str]:
    with contextlib.closing(sqlite3.connect(tmp_path / "one.db")) as other:
        return {row[0] for row in other.execute("SELECT a FROM t")}


def test_many_at_once_are_few_transactions_and_one_that_fails_takes_nobody_with_it(
    group: GroupCommit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits: list[int] = []
    honest = group_commit._commit
    monkeypatch.setattr(group_commit, "_commit", lambda one: commits.append(1) or honest(one))

    async def main() -> list[object]:
        each = [written(group, f"v{number}") for number in range(3 * MOST_TOGETHER)]
        bad = written(group, "bad", then=KeyError("bad"))
        return await asyncio.wait_for(asyncio.gather(*each, bad, return_exceptions=True), SECONDS)

    *good, bad = asyncio.run(main())
    assert good == [f"v{number}" for number in range(3 * MOST_TOGETHER)] and isinstance(bad, KeyError)
    assert there(tmp_path) == set(map(str, good))
    assert len(commits) in (3, 4), "the last group holds nothing but what failed: nobody waits for its commit"


def test_nobody_is_told_before_it_is_on_the_disk_and_nobody_is_told_what_never_will_be(
    group: GroupCommit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, honest = threading.Event(), group_commit._commit

    def slow(connection: sqlite3.Connection) -> None:
        assert go.wait(SECONDS)
        honest(connection)

    def full(_: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    async def main() -> None:
        monkeypatch.setattr(group_commit, "_commit", slow)
        result, committed = await group.begin(insert("one"))
        assert (result, there(tmp_path)) == ("one", set())  # made ready, and held back
        go.set()
        await asyncio.wait_for(asyncio.ensure_future(committed), SECONDS)
        assert there(tmp_path) == {"one"}
        monkeypatch.setattr(group_commit, "_commit", full)
        with pytest.raises(sqlite3.OperationalError):
            await asyncio.wait_for(written(group, "two"), SECONDS)
        monkeypatch.setattr(group_commit, "_commit", honest)
        assert await asyncio.wait_for(written(group, "three"), SECONDS) == "three"

    asyncio.run(main())
    assert there(tmp_path) == {"one", "three"}


def test_another_writer_is_waited_for_beside_the_loop(group: GroupCommit, tmp_path: Path) -> None:
    async def main() -> str:
        with contextlib.closing(sqlite3.connect(tmp_path / "one.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = asyncio.ensure_future(written(group, "mine"))
            for _ in range(20):
                await asyncio.sleep(0.005)  # the loop goes on
            assert not waiting.done()
            other.execute("COMMIT")
            return await asyncio.wait_for(waiting, SECONDS)

    assert asyncio.run(main()) == "mine"


def test_a_loop_that_ends_in_the_middle_leaves_nothing_behind(group: GroupCommit, tmp_path: Path) -> None:
    async def hasty() -> None:
        with pytest.raises(KeyError):
            await group.begin(insert("lost", then=KeyError("lost")))

    for _ in range(20):
        asyncio.run(hasty())  # which ends before its group does

    async def main() -> str:
        return await asyncio.wait_for(written(group, "next"), SECONDS)

    assert asyncio.run(main()) == "next"
    assert there(tmp_path) == {"next"}


def test_a_file_that_is_no_database_any_more_fails_who_writes_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    file = tmp_path / "two.db"
    with contextlib.closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as connection:
        connection.execute("CREATE TABLE t (a TEXT)")
        file.write_bytes(b"\xff" * 8192)
        made = GroupCommit(connection, patience=1)

        async def run() -> None:
            for _ in range(2):
                with pytest.raises(sqlite3.DatabaseError):
                    await asyncio.wait_for(written(made, "a"), SECONDS)

        asyncio.run(run())
        made.close()
