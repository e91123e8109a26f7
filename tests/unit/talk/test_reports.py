"""Where a run's result is written: looked at before the first beat, written whole, never at the verdict's cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from deputize.errors import UsageError
from talk.report import Reports
from talk.results import BeatResult, StepResult
from tests.conftest import ROOT, Command

GREEN = [BeatResult("a", "A", (), True, 0.1, (StepResult("s", "say", True, 0.1),))]


def write(reports: Reports) -> list[str]:
    return reports.write("plan", "http://127.0.0.1:1", GREEN, 0.1)


def test_missing_folders_are_made_before_the_first_beat(tmp_path: Path) -> None:
    told, junit = tmp_path / "a" / "b" / "x.json", tmp_path / "c" / "x.xml"
    reports = Reports(told, junit)
    assert told.parent.is_dir() and junit.parent.is_dir()
    assert write(reports) == []
    assert json.loads(told.read_text())["ok"] is True
    assert ElementTree.fromstring(junit.read_text()).tag == "testsuite"
    assert sorted(one.name for one in tmp_path.rglob("*") if one.is_file()) == ["x.json", "x.xml"], "no part is left"


@pytest.mark.parametrize("place", ["folder", "file/x.json", "loop"])
def test_what_cannot_be_written_is_told_before_the_first_beat(tmp_path: Path, place: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for reports in ({"json_file": tmp_path / place}, {"junit_file": tmp_path / place}):
        with pytest.raises(UsageError, match="cannot be written"):
            Reports(**{"json_file": None, "junit_file": None} | reports)


def test_one_that_fails_at_the_end_leaves_the_other_and_the_old(tmp_path: Path) -> None:
    told, junit = tmp_path / "x" / "x.json", tmp_path / "x.xml"
    reports = Reports(told, junit)
    told.parent.rmdir()
    told.parent.touch()  # not a folder any more
    assert [line.partition(":")[0] for line in write(reports)] == [str(told)]
    assert junit.exists()


def test_a_link_and_a_device_are_written_through(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "x.json")
    assert write(Reports(tmp_path / "link", Path(os.devnull))) == []
    assert (tmp_path / "link").is_symlink() and json.loads((tmp_path / "x.json").read_text())["ok"]


def test_two_reports_do_not_share_stdout() -> None:
    with pytest.raises(UsageError, match="two reports"):
        Reports(Path("-"), Path("-"))
    with pytest.raises(UsageError, match="two reports"):
        Reports(None, Path("-"), json_to_stdout=True)


def test_a_red_beat_ends_with_1_whatever_becomes_of_the_reports(demo: Command, tmp_path: Path) -> None:
    early = demo("run", "--ci", "--to", "opening", "--json", str(ROOT), "--junit", str(tmp_path / "ok.xml"))
    assert early.returncode == 2 and "cannot be written" in " ".join(early.stderr.split())
    assert "beats" not in early.stdout, "it is said before anything is played"
    junit = demo("run", "--ci", "--to", "opening", "--junit", "-")
    assert junit.returncode == 0
    assert ElementTree.fromstring(junit.stdout).tag == "testsuite", "nothing else is on stdout"
    assert "0 not as expected" in junit.stderr


@pytest.mark.parametrize("closed", ["stdout", "both"])
def test_the_dry_run_plays_on_where_its_reader_has_gone(demo: Command, tmp_path: Path, closed: str) -> None:
    junit = tmp_path / "j.xml"
    reading, writing = os.pipe()
    os.close(reading)
    try:
        finished = subprocess.run(
            [sys.executable, "-m", "demo", "run", "--ci", "--to", "authless", "--junit", str(junit)],
            stdout=writing,
            stderr=writing if closed == "both" else subprocess.PIPE,
            env=demo.environment(),
            cwd=ROOT,
            timeout=90,
            stdin=subprocess.DEVNULL,
        )
    finally:
        os.close(writing)
    assert (finished.returncode, finished.stderr or b"") == (0, b"")
    assert ElementTree.fromstring(junit.read_text()).get("failures") == "0"


@pytest.mark.parametrize("line", [("list",), ("list", "--json"), ("notes",), ("--help",)])
def test_another_command_ends_without_a_word_where_its_reader_has_gone(demo: Command, line: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        finished = subprocess.run(
            [sys.executable, "-m", "demo", *line],
            stdout=writing,
            stderr=subprocess.PIPE,
            env=demo.environment(),
            cwd=ROOT,
            timeout=60,
        )
    finally:
        os.close(writing)
    assert (finished.returncode, finished.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only there is a disk always full")
def test_a_full_disk_is_told_and_no_fault_of_ours(demo: Command) -> None:
    with Path("/dev/full").open("w") as full:
        finished = subprocess.run(
            [sys.executable, "-m", "demo", "list"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=demo.environment(),
            cwd=ROOT,
            timeout=60,
        )
    assert finished.returncode == 3
    assert "something broke" not in finished.stderr and "No space left" in finished.stderr


def test_streams_that_were_closed_are_no_fault_either(demo: Command) -> None:
    for closing in (">&-", ">&- 2>&-", "<&- >&-"):
        shell = f'"{sys.executable}" -m demo list {closing}'
        finished = subprocess.run(shell, shell=True, env=demo.environment(), cwd=ROOT, timeout=60, capture_output=True)
        assert (finished.returncode, finished.stderr) == (0, b"")
