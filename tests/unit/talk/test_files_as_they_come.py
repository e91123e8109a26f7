"""Files as editors, other systems and bad disks leave them: marks in front, strange companions, damage, no locks."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from pathlib import Path

import filelock
import pytest

from demo.deploy import blueprint
from demo.errors import advice
from demo.local_server import local
from demo.settings import settle
from deputize.errors import EnvironmentNotReady, UsageError
from talk import run_file
from talk.run import Run
from talk.run_file import repair
from talk.script import load_talk
from tests.conftest import ROOT, Command

MARK = b"\xef\xbb\xbf"


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """A copy of the bundled talk."""
    for name in ("beats", "plans"):
        shutil.copytree(ROOT / "talk" / name, tmp_path / "talk" / name, ignore=shutil.ignore_patterns("*.py", "__*"))
    return tmp_path / "talk"


def test_a_byte_order_mark_is_read_over_wherever_a_person_writes_a_file(talk: Path, tmp_path: Path) -> None:
    for file in (*talk.glob("beats/*.md"), *talk.glob("plans/*.toml")):
        file.write_bytes(MARK + file.read_bytes())
    assert load_talk(talk).plans.keys() == load_talk(None).plans.keys()
    (tmp_path / "demo.toml").write_bytes(MARK + b"width = 70\n")
    assert settle({}, {}, tmp_path / "demo.toml").width == 70
    worker = tmp_path / "worker"
    worker.mkdir()
    for name in ("wrangler.jsonc", ".dev.vars.example"):
        if (ROOT / "worker" / name).exists():
            (worker / name).write_bytes(MARK + (ROOT / "worker" / name).read_bytes())
    assert blueprint.read(worker) == blueprint.read(ROOT / "worker")


def test_another_encoding_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "demo.toml").write_text("width = 70\n", "utf-16")
    with pytest.raises(UsageError, match="not UTF-8"):
        settle({}, {}, tmp_path / "demo.toml")


def test_names_that_begin_with_a_dot_are_no_beats_and_no_plans(talk: Path) -> None:
    for name in ("beats/._opening.md", "beats/.draft.md", "plans/._problem-first.toml", "beats/.#opening.md"):
        (talk / name).write_bytes(b"\x00\x05\x16\x07")
    assert load_talk(talk).beats.keys() == load_talk(None).beats.keys()


def test_a_damaged_run_is_named_and_reset_begins_a_fresh_one(demo: Command) -> None:
    with Run.open(demo.state) as run:
        run.begin(plan="problem-first", talk=None, server="", world="")
    file = demo.state / "run.sqlite3"
    for damage in (b"not a database, and as long as one " * 300, file.read_bytes()[:4096] + b"\xff" * 20000):
        for rest in ("-wal", "-shm"):
            file.with_name(f"{file.name}{rest}").unlink(missing_ok=True)
        file.write_bytes(damage)
        status = demo("status")
        said = " ".join(status.stderr.split())
        assert status.returncode == 3, said
        assert "run.sqlite3 is damaged" in said.replace("run. sqlite3", "run.sqlite3") and "demo reset" in said
        assert demo("reset").returncode == 0
        assert demo("status").returncode == 0
    assert (demo.state / "run.damaged.sqlite3").exists()


def test_a_held_run_is_not_taken_for_a_damaged_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_file, "BUSY_SECONDS", 0.2)
    with Run.open(tmp_path / "state"):
        pass
    file = tmp_path / "state" / "run.sqlite3"
    other = sqlite3.connect(file, isolation_level=None)
    try:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(EnvironmentNotReady, match="another program holds") as refused, Run.open(tmp_path / "state"):
            pass
        assert "reset" not in refused.value.do
        assert repair(tmp_path / "state") is False
    finally:
        other.close()


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, "No locks available")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    with Run.open(tmp_path / "state") as run, pytest.raises(EnvironmentNotReady) as refused, run.performing():
        pass
    assert "can be locked" in refused.value.what and "--state" in advice(refused.value)
    with pytest.raises(EnvironmentNotReady, match="can be locked"):
        local.forget(tmp_path / "state")
