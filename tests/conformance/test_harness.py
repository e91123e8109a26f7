"""The harness itself, on canned lists and results, without Node: what must turn a run red does, and counts fit."""

from __future__ import annotations

import json
import stat
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from deputize.errors import EnvironmentNotReady
from tests.conformance import npm, plan, report, running, under_test
from tests.conformance import run as harness
from tests.conformance.results import Job, Outcome, judge, total
from tests.conftest import HANGS

JOB = Job("client", "auth/basic-cimd", "2026-07-28")

ALL = """\
Server scenarios (test against a server):
  - ping [2025-06-18,2025-11-25]
  - caching [2026-07-28]
  - tasks-lifecycle [extension]

Client scenarios (test against a client):
  - initialize [2025-06-18,2025-11-25]
  - auth/basic-cimd [2025-11-25,2026-07-28]
  - auth/old-fallback [2025-03-26]
  - auth/dpop [extension]

Authorization server scenarios (test against an authorization server):
  - authorization-code-grant [2025-11-25,2026-07-28]
"""
EARLIER = """\
Required for 2025-11-25 (3 scenarios, frozen; run at the 2025-11-25 wire):

Server scenarios (test against a server):
  - ping

Client scenarios (test against a client):
  - initialize
  - auth/basic-cimd

Run and reported, but never scored:
  extension (1):
    - auth/dpop [client]
"""
LATER = """\
Required for 2026-07-28 (2 scenarios, frozen; run at the 2026-07-28 wire):

Server scenarios (test against a server):
  - caching

Client scenarios (test against a client):
  - auth/basic-cimd

Run and reported, but never scored:
  extension (2):
    - auth/dpop [client]
    - tasks-lifecycle [server]
"""
SERVER = {"2025-11-25": ("ping",), "2026-07-28": ("caching",)}
LEFT_OUT = (plan.LeftOut("server", "tasks-lifecycle", (), "not declared"),)


def check(status: str, **more: Any) -> dict[str, Any]:
    return {"id": f"check-{status.lower()}", "name": "Check", "description": "It holds.", "status": status, **more}


def canned(folder: Path, *checks: dict[str, Any]) -> list[Path]:
    """A results folder as the suite leaves it: below one with the scenario's name and the time."""
    place = folder / "auth" / "basic-cimd-2026-01-01T00-00-00-000Z"
    place.mkdir(parents=True)
    (place / "checks.json").write_text(json.dumps(checks), "utf-8")
    return list(npm.output_of(folder))


def listing(all_: str = ALL, earlier: str = EARLIER, later: str = LATER) -> plan.Listing:
    named = {"2025-11-25": plan.read_named(earlier), "2026-07-28": plan.read_named(later)}
    return plan.Listing(plan.read_all(all_), named)


def problems(scope: plan.Scope, **changes: str) -> tuple[str, ...]:
    return plan.make(listing(**changes), scope).problems


def test_every_verdict_is_counted(tmp_path: Path) -> None:
    checks = [check("SUCCESS"), check("SUCCESS"), check("SKIPPED"), check("INFO")]
    outcome = judge(JOB, canned(tmp_path, *checks))
    assert (outcome.passed, outcome.warnings, outcome.failures, outcome.skipped) == (2, 0, 0, 1)
    assert outcome.ok


@pytest.mark.parametrize("status", ["FAILURE", "WARNING", "SOMETHING NEW"])
def test_one_check_that_does_not_hold_makes_a_scenario_red(tmp_path: Path, status: str) -> None:
    outcome = judge(JOB, canned(tmp_path, check("SUCCESS"), check(status, errorMessage="\x1b[2Jno state")))
    assert not outcome.ok
    assert len(outcome.faults) == 1
    assert "\x1b" not in outcome.faults[0]


@pytest.mark.parametrize("checks", [[], [check("SKIPPED"), check("INFO")]])
def test_a_scenario_that_checked_nothing_is_red(tmp_path: Path, checks: list[dict[str, Any]]) -> None:
    assert judge(JOB, canned(tmp_path, *checks)).faults == ("no check was made",)


def test_a_scenario_that_left_nothing_or_nonsense_is_red(tmp_path: Path) -> None:
    assert judge(JOB, []).faults == ("no check was made",)
    [file] = canned(tmp_path, check("SUCCESS"))
    file.write_text("[{", "utf-8")
    assert not judge(JOB, [file]).ok


def test_a_suite_that_says_no_is_believed_although_every_check_holds(tmp_path: Path) -> None:
    assert judge(JOB, canned(tmp_path, check("SUCCESS")), ended_badly="the client exited").faults == (
        "the client exited",
    )


def test_totals_are_the_sums() -> None:
    outcomes = [Outcome(JOB, passed=3, skipped=1), Outcome(JOB, passed=4, failures=1, warnings=2, faults=("no",))]
    assert total(outcomes) == {"scenarios": 2, "ok": 1, "passed": 7, "warnings": 2, "failures": 1, "skipped": 1}


def test_a_plan_has_all_that_the_revisions_name_and_what_came_before_them() -> None:
    planned = plan.make(listing(), plan.Scope(SERVER, LEFT_OUT))
    assert planned.problems == ()
    assert set(planned.jobs) == {
        Job("client", "initialize", "2025-11-25"),
        Job("client", "auth/basic-cimd", "2025-11-25"),
        Job("client", "auth/basic-cimd", "2026-07-28"),
        Job("client", "auth/dpop", "2025-11-25"),
        Job("client", "auth/dpop", "2026-07-28"),
        Job("client", "auth/old-fallback", "2025-03-26"),
        Job("server", "ping", "2025-11-25", "open"),
        Job("server", "ping", "2025-11-25", "protected"),
        Job("server", "caching", "2026-07-28", "open"),
        Job("server", "caching", "2026-07-28", "protected"),
        Job("authorization", "authorization-code-grant", "2025-11-25"),
        Job("authorization", "authorization-code-grant", "2026-07-28"),
    }


def test_a_named_scenario_that_is_neither_run_nor_left_out_is_a_problem() -> None:
    assert problems(plan.Scope({**SERVER, "2026-07-28": ()}, LEFT_OUT)) == (
        "server scenario caching at 2026-07-28 is neither run nor left out with a reason",
        "server scenario caching is neither run nor left out with a reason",
    )
    assert len(problems(plan.Scope(SERVER, ()))) == 2


def test_a_scenario_that_a_new_suite_brings_is_a_problem_until_somebody_decides() -> None:
    grown = ALL.replace("  - auth/dpop [extension]", "  - auth/dpop [extension]\n  - auth/brand-new [extension]")
    assert problems(plan.Scope(SERVER, LEFT_OUT), all_=grown) == (
        "client scenario auth/brand-new is neither run nor left out with a reason",
    )


def test_an_entry_that_the_suite_does_not_know_or_that_is_run_all_the_same_is_a_problem() -> None:
    gone = plan.LeftOut("server", "gone", (), "whatever")
    both = plan.LeftOut("server", "ping", (), "whatever")
    assert problems(plan.Scope(SERVER, (*LEFT_OUT, gone))) == ("server scenario gone is not one of the suite's",)
    assert problems(plan.Scope(SERVER, (*LEFT_OUT, both))) == ("server scenario ping is run and left out at once",)


@pytest.mark.parametrize("said", [EARLIER.replace("(3 ", "(4 "), EARLIER.replace("  - ping\n", ""), "", "nothing"])
def test_a_list_that_was_not_read_whole_is_not_taken_for_the_requirements(said: str) -> None:
    with pytest.raises(EnvironmentNotReady):
        plan.read_named(said)
    with pytest.raises(EnvironmentNotReady):
        plan.read_all("")


def test_what_is_left_out_has_a_reason_and_is_said_once() -> None:
    scope = plan.read_scope()
    assert all(len(entry.reason) > 20 for entry in scope.left_out)
    assert len({(entry.leg, entry.scenario) for entry in scope.left_out}) == len(scope.left_out)
    assert set(scope.server) == set(plan.REVISIONS)


def fake_suite(tmp_path: Path, body: str) -> npm.Suite:
    """A suite that is a Python program."""
    script = tmp_path / "suite.py"
    script.write_text(f"import json, os, pathlib, subprocess, sys, time\n{body}\n", "utf-8")
    return npm.Suite(Path(sys.executable), script, "0.0.0")


LEAVE = """
folder = pathlib.Path(sys.argv[sys.argv.index("--output-dir") + 1]) / "x"
folder.mkdir()
(folder / "checks.json").write_text(json.dumps([{"id": "a", "status": STATUS}]))
"""


def test_a_run_reads_what_the_suite_leaves_and_how_it_ends(tmp_path: Path) -> None:
    suite = fake_suite(tmp_path, LEAVE.replace("STATUS", "'SUCCESS'"))
    outcome = running.run(running.Runs(), suite, JOB, "true", tmp_path / "good", under_test.environment(tmp_path))
    assert (outcome.ok, outcome.passed) == (True, 1)
    suite = fake_suite(
        tmp_path, LEAVE.replace("STATUS", "'SUCCESS'") + "print('Client exited with code 7')\nsys.exit(1)"
    )
    outcome = running.run(running.Runs(), suite, JOB, "true", tmp_path / "bad", under_test.environment(tmp_path))
    assert outcome.faults == ("the suite ended with code 1: client exited with code 7",)


def test_a_suite_without_end_is_ended_and_so_is_the_client_that_it_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "SCENARIO_SECONDS", 1.0)
    monkeypatch.setattr(running, "GRACE_SECONDS", 1.0)
    told = tmp_path / "pid"
    suite = fake_suite(
        tmp_path,
        f"child = subprocess.Popen(['sleep', '600'])\npathlib.Path({str(told)!r}).write_text(str(child.pid))\n"
        "time.sleep(600)",
    )
    started = time.monotonic()
    outcome = running.run(running.Runs(), suite, JOB, "true", tmp_path / "endless", under_test.environment(tmp_path))
    assert time.monotonic() - started < HANGS
    assert outcome.faults == ("no check was made", "no end within 2 s")
    deadline = time.monotonic() + 60
    while _lives(int(told.read_text())) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _lives(int(told.read_text()))


def test_an_interrupt_waits_for_no_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    canned_harness(monkeypatch, tmp_path, LISTS + LEAVE.replace("STATUS", "'SUCCESS'") + NEXT_SLEEPS)

    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(report, "line_of", interrupted)
    started = time.monotonic()
    assert harness.main(["--leg", "client", "--output", str(tmp_path / "out")]) == 130
    assert time.monotonic() - started < HANGS


def _lives(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for is dead all the same."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


def canned_harness(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, body: str) -> None:
    suite = fake_suite(tmp_path, body)
    monkeypatch.setattr(npm, "install", lambda: suite)
    monkeypatch.setattr(plan, "read_scope", lambda: plan.Scope(SERVER, LEFT_OUT))


LISTS = f"""
if sys.argv[1] == "list":
    asked = sys.argv[-1]
    print({{"list": {ALL!r}, "2025-11-25": {EARLIER!r}, "2026-07-28": {LATER!r}}}[asked])
    sys.exit()
"""


NEXT_SLEEPS = """
first = pathlib.Path(__file__).with_name("first")
if first.exists():
    time.sleep(600)
first.touch()
"""


@pytest.mark.parametrize(("status", "code"), [("SUCCESS", 0), ("FAILURE", 1), ("WARNING", 1), ("SKIPPED", 1)])
def test_the_exit_code_and_the_json_say_how_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], status: str, code: int
) -> None:
    canned_harness(monkeypatch, tmp_path, LISTS + LEAVE.replace("STATUS", repr(status)))
    counts = tmp_path / "counts.json"
    given = ["--leg", "client", "--revision", "2026-07-28", "--json", str(counts), "--output", str(tmp_path / "out")]
    assert harness.main(given) == code
    written = json.loads(counts.read_text("utf-8"))
    assert written["ok"] is (code == 0)
    assert written["totals"]["scenarios"] == 2
    assert {(one["scenario"], one["revision"]) for one in written["scenarios"]} == {
        ("auth/basic-cimd", "2026-07-28"),
        ("auth/dpop", "2026-07-28"),
    }
    assert written["left_out"] == [
        {"leg": "server", "scenario": "tasks-lifecycle", "revisions": [], "reason": "not declared"}
    ]
    said = capsys.readouterr().out
    assert "not declared" in said
    assert f"{2 if code == 0 else 0} of 2 scenarios ok" in said


def test_a_missing_scenario_makes_the_whole_run_red(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    canned_harness(monkeypatch, tmp_path, LISTS + LEAVE.replace("STATUS", "'SUCCESS'"))
    monkeypatch.setattr(plan, "read_scope", lambda: plan.Scope(SERVER, ()))
    assert harness.main(["--leg", "client", "--output", str(tmp_path / "out")]) == 1
    assert "tasks-lifecycle is neither run nor left out" in capsys.readouterr().out


def test_a_run_of_nothing_is_red(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    canned_harness(monkeypatch, tmp_path, LISTS)
    assert harness.main(["--only", "no-such-*", "--output", str(tmp_path / "out")]) == 1
    assert harness.missing([JOB], []) == [JOB]


def test_without_npm_the_run_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "package-lock.json").write_text("{}", "utf-8")
    monkeypatch.setenv("PATH", str(tmp_path))
    honest = npm.install
    monkeypatch.setattr(npm, "install", lambda: honest(tmp_path))
    assert harness.main([]) == 3
    said = capsys.readouterr().err
    assert "npm was not found" in said
    assert "Node 22" in said


def test_an_old_node_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = tmp_path / "node"
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    for version, taken in (("v20.1.0", None), ("v22.0.0", node), ("v24.1.0", node), ("nonsense", None)):
        node.write_text(f"#!/bin/sh\necho {version}\n", "utf-8")
        node.chmod(node.stat().st_mode | stat.S_IXUSR)
        assert npm.system_node() == taken


def test_the_lock_file_pins_by_hash_and_names_no_address() -> None:
    text = (npm.HERE / "package-lock.json").read_text("utf-8")
    assert "://" not in text
    packages = {name: entry for name, entry in json.loads(text)["packages"].items() if name}
    assert all(entry["integrity"].startswith("sha512-") for entry in packages.values())
    wanted = json.loads((npm.HERE / "package.json").read_text("utf-8"))
    for name, version in {**wanted["dependencies"], **wanted["optionalDependencies"]}.items():
        assert packages[f"node_modules/{name}"]["version"] == version


def test_a_table_names_each_fault_in_words() -> None:
    shown = report.table([Outcome(JOB, failures=1, faults=("no-state: failure: it sent none",))])
    assert "NOT OK" in shown
    assert "client 2026-07-28 auth/basic-cimd: no-state: failure: it sent none" in shown
    assert "0 of 1 scenarios ok" in shown
