"""The state folder is this user's alone, whichever command makes it, and what only looks makes nothing."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from demo.settings import default_state, settle
from deputize import private
from deputize.errors import EnvironmentNotReady, Remedy
from tests.conftest import HANGS, ROOT, Command

NOBODY = 12345
"""A user without an entry in the list of users, and so without a home."""
as_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be another user")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def as_nobody(code: str, *arguments: str, cwd: Path = Path("/")) -> subprocess.CompletedProcess[str]:
    """Run Python as another user who has no home. What it imports was imported before, since that user may not look
    into the folder where this Python is."""
    script = (
        "import contextlib, io, os, sys\nfrom demo.cli import main\n"
        "for line in (['status'], ['reset'], ['goto', 'x'], ['trust']):\n"
        "    with contextlib.suppress(SystemExit), contextlib.redirect_stderr(io.StringIO()):\n"
        "        with contextlib.redirect_stdout(io.StringIO()):\n"
        "            main.main([*line, '--plain', '--state', os.devnull + '/x'])\n"
        "import platformdirs, platformdirs.unix, pwd\n"
        f"os.chdir({str(cwd)!r}); os.setgroups([]); os.setuid({NOBODY})\n{code}"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DEMO_", "XDG_", "HOME"))}
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment | {"PYTHONPATH": str(ROOT)},
        cwd="/",
    )


@pytest.mark.parametrize(
    "line", [("login", "--device"), ("serve", "--port", "0"), ("reset",), ("next",), ("trust",), ("doctor",)]
)
def test_whichever_command_comes_first_the_folder_is_0700_and_the_files_0600(
    demo: Command, line: tuple[str, ...]
) -> None:
    (demo.state.parent / "demo.toml").write_text("width = 80\n")
    environment = demo.environment() | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", "import os, runpy; os.umask(0o022); runpy.run_module('demo', run_name='__main__')"]
    with subprocess.Popen(
        [*command, *line],
        env=environment,
        cwd=demo.state.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    ) as process:
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
            if line[0] == "serve" and (demo.state / "server.json").exists():
                time.sleep(1.0)  # it waits for somebody now
                process.terminate()
                process.wait(timeout=HANGS)
    assert mode(demo.state) == 0o700
    files = [path for path in demo.state.rglob("*") if path.is_file()]
    assert files, "it wrote nothing: the test would prove nothing"
    assert {path.name: oct(mode(path)) for path in files if mode(path) != 0o600} == {}


@pytest.mark.parametrize("line", [("status",), ("list",), ("notes",), ("stop",), ("connect", "claude")])
def test_a_command_that_only_asks_makes_nothing(demo: Command, line: tuple[str, ...]) -> None:
    asked = demo(*line, "--port", "7327")
    assert asked.returncode == 0, asked.stderr
    assert not demo.state.exists()


def test_a_folder_of_ours_that_is_open_is_tightened(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    for name in ("run.sqlite3", "server.lock", "trusted.json"):
        (state / name).touch()
    state.chmod(0o755)
    assert mode(private.folder(state)) == 0o700


def test_a_folder_that_holds_other_things_is_refused_not_tightened(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "run.sqlite3").touch()
    (home / "thesis.txt").touch()
    home.chmod(0o755)
    with pytest.raises(EnvironmentNotReady) as refused:
        private.folder(home)
    assert mode(home) == 0o755
    assert "thesis.txt" in refused.value.why and refused.value.remedy == Remedy("choose_folder")


@as_root
def test_another_users_folder_is_refused_and_nothing_in_it_is_believed(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    os.chown(state, NOBODY, NOBODY)
    assert not private.is_ours(state)
    with pytest.raises(EnvironmentNotReady, match="not this user's alone") as refused:
        private.folder(state)
    assert "another user" in refused.value.why


def test_a_database_and_its_log_are_0600_from_the_first_byte(tmp_path: Path) -> None:
    file = tmp_path / "a.sqlite3"
    before = os.umask(0)
    try:
        private.database(file)
        with sqlite3.connect(file) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("CREATE TABLE t (x)")
            names = ("a.sqlite3", "a.sqlite3-wal", "a.sqlite3-shm")
            assert [mode(tmp_path / name) for name in names] == [0o600] * 3
    finally:
        os.umask(before)
        connection.close()


def test_databases_that_were_open_are_closed(tmp_path: Path) -> None:
    for name in ("a.sqlite3", "a.sqlite3-wal"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o644)
    private.database(tmp_path / "a.sqlite3")
    assert [mode(tmp_path / name) for name in ("a.sqlite3", "a.sqlite3-wal")] == [0o600] * 2


def test_several_writers_of_one_file_each_write_it_whole(tmp_path: Path) -> None:
    file, texts = tmp_path / "server.json", [f"{number}" * 20_000 for number in range(8)]
    private.write(file, texts[0])
    seen: set[str] = set()

    def again_and_again(text: str) -> None:
        for _ in range(50):
            private.write(file, text)
            seen.add(file.read_text("utf-8"))

    with ThreadPoolExecutor(len(texts)) as writers:
        for done in [writers.submit(again_and_again, text) for text in texts]:
            done.result()
    assert seen <= set(texts)
    assert (list(tmp_path.iterdir()), mode(file)) == ([file], 0o600)


def test_a_file_that_cannot_be_written_stays_as_it_was_and_leaves_nothing(tmp_path: Path) -> None:
    file = tmp_path / "server.json"
    private.write(file, "old")
    with pytest.raises(UnicodeEncodeError):
        private.write(file, "new \ud800")
    assert (list(tmp_path.iterdir()), file.read_text("utf-8")) == ([file], "old")


@as_root
def test_where_no_home_is_known_the_state_is_asked_for_only_when_needed() -> None:
    asked = as_nobody("main.main(['status', '--plain'])")
    assert (asked.returncode, asked.stderr) == (0, "")
    needed = as_nobody("main.main(['trust', '--plain'])", cwd=ROOT)
    assert needed.returncode == 2, "there is no demo.toml here"
    made = as_nobody("main.main(['next', '--plain'])")
    assert (made.returncode, "Traceback" in made.stderr) == (3, False)
    assert "no home folder is known" in made.stderr and "--state" in made.stderr


@as_root
def test_what_may_not_be_looked_at_is_not_there(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "demo.toml").write_text('server = "http://x"\n')
    (closed / "run.sqlite3").touch()
    asked = as_nobody("main.main(['status', '--plain'])", cwd=closed)
    assert (asked.returncode, asked.stderr) == (0, "")
    elsewhere = as_nobody("main.main(['status', '--plain', '--state', sys.argv[1]])", str(closed))
    assert (elsewhere.returncode, elsewhere.stderr) == (0, "")


def test_a_home_that_is_nowhere_is_no_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import platformdirs

    for broken in (RuntimeError("no home"), KeyError("uid"), "~/.local/state/x"):

        def told(*_: object, answer: object = broken, **__: object) -> object:
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(platformdirs, "user_state_dir", told)
        assert default_state() == private.NO_HOME
    with pytest.raises(EnvironmentNotReady, match="no home folder"):
        private.folder(settle({}, {}, tmp_path / "demo.toml").state)


def test_a_database_in_use_keeps_its_log_when_another_program_looks_into_it(tmp_path: Path) -> None:
    file = private.database(tmp_path / "server.sqlite3")
    with sqlite3.connect(file, isolation_level=None) as ours:
        ours.execute("PRAGMA journal_mode = WAL")
        ours.execute("CREATE TABLE sessions (id TEXT)")
        private.database(file)  # as a second room of the same process does
        ours.execute("INSERT INTO sessions VALUES ('before')")
        look = (
            "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]);"
            "print(db.execute('SELECT count(*) FROM sessions').fetchone()[0]); db.close()"
        )
        for written in (1, 2):
            seen = subprocess.run([sys.executable, "-c", look, file], capture_output=True, text=True, check=True)
            assert seen.stdout.strip() == str(written)
            ours.execute("INSERT INTO sessions VALUES ('after')")
    ours.close()
