"""The run file: what was written is there after any crash, and only one command plays at a time."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from pathlib import Path

import pytest

from demo.errors import advice
from deputize.errors import EnvironmentNotReady
from talk.results import StepResult
from talk.run import Cursor, Run, glance
from talk.run_file import VERSION


def begun(run: Run) -> Run:
    run.begin(plan="problem-first", talk=None, server="http://127.0.0.1:1", world="w")
    return run


def test_a_run_is_read_while_another_command_writes_it(tmp_path: Path) -> None:
    with Run.open(tmp_path) as run:
        begun(run)
    with contextlib.closing(sqlite3.connect(tmp_path / "run.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with Run.open(tmp_path) as run:
            assert run.cursor == Cursor(None, False)


def test_the_cursor_is_on_a_beat_and_knows_whether_it_was_finished(tmp_path: Path) -> None:
    with Run.open(tmp_path) as run:
        begun(run)
        assert run.cursor == Cursor(None, False)
        play = run.start_beat("opening")
        assert run.cursor == Cursor("opening", False)
        run.end_beat("opening", play, ok=True)
        assert run.cursor == Cursor("opening", True)


def test_a_play_that_a_crash_cut_short_is_found_again_with_its_results(tmp_path: Path) -> None:
    with Run.open(tmp_path) as run:
        play = begun(run).start_beat("buy")
        assert run.attempt("buy", "first") == 0
        run.record("buy", play, StepResult("first", "call", True, 0.1, {"status": 200}, {"status": 200}))
        assert run.attempt("buy", "second") == 0
    with Run.open(tmp_path) as run:
        assert run.open_play("buy") == play
        assert set(run.results("buy", play)) == {"first"}
        assert run.results("buy", play)["first"].observed == {"status": 200}
        assert run.attempt("buy", "second") == 1


def test_a_run_has_asked_a_server_from_the_first_step_that_may_have_reached_it(tmp_path: Path) -> None:
    def speaks(kind: str) -> bool:
        return kind != "say"

    with Run.open(tmp_path) as run:
        play = begun(run).start_beat("opening")
        run.attempt("opening", "premise")
        run.record("opening", play, StepResult("premise", "say", True, 0.1))
        assert not run.has_asked(speaks)
        run.attempt("buy", "first")  # and here a crash: nobody knows how far it came
        assert run.has_asked(speaks)
        run.record("buy", run.start_beat("buy"), StepResult("first", "call", True, 0.1))
        assert run.has_asked(speaks)


def test_a_fresh_run_remembers_nothing_of_the_one_before(tmp_path: Path) -> None:
    with Run.open(tmp_path) as run:
        first = begun(run).id
        run.end_beat("opening", run.start_beat("opening"), ok=True)
        assert begun(run).id != first
        assert run.cursor == Cursor(None, False)
        assert run.beats_played() == {}


def test_two_commands_do_not_play_the_same_run_at_once(tmp_path: Path) -> None:
    refused = pytest.raises(EnvironmentNotReady, match="another demo command")
    with Run.open(tmp_path) as one, Run.open(tmp_path) as two, one.performing(), refused, two.performing():
        pass


def test_an_unwritable_folder_is_named_with_what_helps(tmp_path: Path) -> None:
    file = tmp_path / "not-a-folder"
    file.write_text("")
    with pytest.raises(EnvironmentNotReady) as refused, Run.open(file / "state"):
        pass
    assert "--state" in advice(refused.value)


def test_a_run_of_another_version_is_set_aside_and_a_fresh_one_begun(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "run.sqlite3")) as other:
        other.execute("CREATE TABLE played (beat TEXT, play INTEGER)")
        other.execute("INSERT INTO played VALUES ('buy', 1)")
        other.commit()
    with Run.open(tmp_path) as run:
        assert run.open_play("buy") is None
    with contextlib.closing(sqlite3.connect(tmp_path / "run.before.sqlite3")) as kept:
        assert kept.execute("SELECT * FROM played").fetchall() == [("buy", 1)]


@pytest.mark.parametrize("version", [0, VERSION, VERSION + 1])
def test_a_run_with_the_same_columns_is_carried_on_unless_a_later_version_wrote_it(
    tmp_path: Path, version: int
) -> None:
    with Run.open(tmp_path):
        pass
    with contextlib.closing(sqlite3.connect(tmp_path / "run.sqlite3")) as other:
        assert other.execute("PRAGMA user_version").fetchone() == (VERSION,)
        other.execute(f"PRAGMA user_version = {version}")
    with Run.open(tmp_path):
        pass
    assert (tmp_path / "run.before.sqlite3").exists() is (version > VERSION)


def test_a_run_of_this_version_stays_where_it_is(tmp_path: Path) -> None:
    for _ in range(2):
        with Run.open(tmp_path):
            pass
    assert not (tmp_path / "run.before.sqlite3").exists()


def test_a_run_whose_disk_is_full_goes_on_in_memory_and_is_in_its_file_again_when_there_is_room(tmp_path: Path) -> None:
    with Run.open(tmp_path) as run:
        begun(run)
        # SQLite's own limit of a file: what it says then is what it says of a full disk (SQLITE_FULL).
        pages = run._db.execute("PRAGMA page_count").fetchone()[0]
        disk = run._db
        disk.execute(f"PRAGMA max_page_count = {pages}")
        play = run.start_beat("buy")
        for number in range(200):
            run.record("buy", play, StepResult(f"step-{number}", "call", True, 0.1, {}, {"text": "x" * 200}))
        assert run.unkept is not None
        assert len(run.results("buy", play)) == 200
        disk.execute("PRAGMA max_page_count = 1000000")
        run.end_beat("buy", play, ok=True)
        assert run.unkept is None
    with Run.open(tmp_path) as run:
        assert len(run.results("buy", play)) == 200
        assert run.cursor == Cursor("buy", True)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit there")
def test_a_run_is_read_where_there_is_no_room_beside_its_file(tmp_path: Path) -> None:
    import resource

    with Run.open(tmp_path) as run:
        begun(run).place("buy", done=True)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limit[1]))  # the kernel lets no file grow
    try:
        with Run.open(tmp_path) as run:
            assert run.unkept is not None
            run.place("limits", done=False)
            assert run.cursor == Cursor("limits", False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    with Run.open(tmp_path) as run:
        assert run.cursor == Cursor("buy", True)


def test_a_glance_sees_each_write_and_makes_nothing(tmp_path: Path) -> None:
    assert glance(tmp_path) is None and list(tmp_path.iterdir()) == []
    with Run.open(tmp_path) as run:
        assert glance(tmp_path) is None
        begun(run)
        for done in (False, True):
            run.place("opening", done=done)
            found = glance(tmp_path)
            assert found is not None and (found.id, found.cursor) == (run.id, Cursor("opening", done))


def test_a_glance_at_a_run_of_another_version_sees_none_and_at_a_damaged_one_says_so(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "run.sqlite3")) as newer:
        newer.execute(f"PRAGMA user_version = {VERSION + 1}")
        newer.execute("CREATE TABLE run (id TEXT)")
    assert glance(tmp_path) is None
    (tmp_path / "run.sqlite3").write_bytes(b"no database at all" * 100)
    with pytest.raises(EnvironmentNotReady, match="damaged"):
        glance(tmp_path)
