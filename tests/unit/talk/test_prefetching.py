"""What is made ready for the next beats leaves no trace at the server, and brings what they would import."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

from demo.settings import Settings
from talk.director import Director
from talk.prefetching import Prefetching
from talk.run import Run
from talk.script import load_talk
from talk.stage.control import Control
from talk.stage.live import LiveStage


def counts(database: Path) -> dict[str, int]:
    """The rows of each table, but for keys that the server makes for itself."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as opened:
        tables = [row[0] for row in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: opened.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in tables}


def test_nothing_is_written_down_by_server_or_run(base_url: str, tmp_path: Path) -> None:
    (database,) = tmp_path.rglob("*.sqlite3")
    before = counts(database)
    stage = LiveStage(Control(), lambda: None)
    settings = Settings(server=base_url, state=tmp_path / "state")
    with Run.open(settings.state) as run:
        prefetching = Prefetching(Director(run, load_talk(None), settings, stage))
        prefetching.start()
        prefetching.join(60)
        assert run.id is None
    assert counts(database) == before
    assert [path.name for path in settings.state.iterdir() if not path.name.startswith("run.")] == []


def test_nothing_is_imported_beside_a_step_and_everything_once_it_may() -> None:
    program = """
import sys, time
from demo.settings import Settings
from talk.prefetching import Prefetching
from talk.script import load_talk
class Director:
    plan = load_talk(None).plan("problem-first")
    settings = Settings(server="http://127.0.0.1:9")
    def upcoming(self): return self.plan.beats[3]
wanted = ("demo.panels._challenge", "demo.panels._audit_log", "mcp.client.streamable_http", "workos")
prefetching = Prefetching(Director())
prefetching.hold()
prefetching.start()
time.sleep(0.3)
print(sum(name in sys.modules for name in wanted))
prefetching.release()
prefetching.join(60)
print(sum(name in sys.modules for name in wanted))
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.split() == ["0", "4"]
