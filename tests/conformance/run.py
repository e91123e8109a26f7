"""`make conformance`: the MCP conformance suite against our agent, our shop and our authority, with the counts printed.

Exit codes: 0 when every scenario ran and held; 1 on any failure, any warning, a scenario that checked nothing, or one
that is neither run nor left out with a reason; 3 where npm or Node is missing; 130 when interrupted. There is no
list of failures that are expected.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import shutil
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Final

from demo.errors import EXPECTATION, INTERRUPTED, OK
from deputize.errors import ExplainedError
from tests.conformance import authorization, npm, plan, report, running, under_test
from tests.conformance.results import Job, Outcome, judge

OUTPUT: Final = under_test.ROOT / "artifacts" / "conformance"
AT_ONCE: Final = 2
"""Scenarios at a time: each has a Node and a Python at work, and some of them count seconds."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for. Gives the exit code."""
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__)
    parser.add_argument(
        "--leg", choices=("client", "server", "authorization"), action="append", help="only this leg; may be repeated"
    )
    parser.add_argument("--revision", choices=plan.REVISIONS, action="append", help="only this revision")
    parser.add_argument("--only", metavar="PATTERN", action="append", help="only scenarios like this, as auth/iss-*")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the counts there, too")
    parser.add_argument("--output", metavar="DIR", type=Path, default=OUTPUT, help="where every run leaves its words")
    parser.add_argument("--at-once", metavar="N", type=int, choices=range(1, 17), default=AT_ONCE)
    given = parser.parse_args(arguments)
    try:
        return _run(given)
    except ExplainedError as error:
        sys.stderr.write("\n".join(filter(None, [error.what, error.why, error.do])) + "\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return INTERRUPTED


def _run(given: argparse.Namespace) -> int:
    started = time.monotonic()
    suite = npm.install()
    listing = plan.Listing(
        plan.read_all(suite.listing()),
        {revision: plan.read_named(suite.listing("--requirements", revision)) for revision in plan.REVISIONS},
    )
    planned = plan.make(listing, plan.read_scope())
    chosen = [job for job in planned.jobs if _is_asked_for(job, given)]
    _say(f"MCP conformance suite {suite.version}: {len(chosen)} of {len(planned.jobs)} scenarios.")
    shutil.rmtree(given.output, ignore_errors=True)
    outcomes = _run_all(suite, chosen, given.output, given.at_once)
    problems = list(planned.problems)
    problems += [f"{job.leg} {job.scenario} at {job.revision} did not run" for job in missing(chosen, outcomes)]
    ok = bool(outcomes) and not problems and all(outcome.ok for outcome in outcomes)
    _say("", report.left_out(planned.left_out), "", report.table(outcomes), *[f"  {problem}" for problem in problems])
    if len(chosen) < len(planned.jobs):
        _say(f"\nThis was a part: {len(planned.jobs) - len(chosen)} scenarios were not asked for.")
    seconds = time.monotonic() - started
    if given.json is not None:
        document = report.document(outcomes, planned.left_out, problems, suite=suite.version, seconds=seconds, ok=ok)
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(document, "utf-8")
    return OK if ok else EXPECTATION


def missing(wanted: Sequence[Job], outcomes: Sequence[Outcome]) -> list[Job]:
    """Jobs that nothing is known of."""
    known = {outcome.job for outcome in outcomes}
    return [job for job in wanted if job not in known]


def _is_asked_for(job: Job, given: argparse.Namespace) -> bool:
    return (
        (not given.leg or job.leg in given.leg)
        and (not given.revision or job.revision in given.revision)
        and (not given.only or any(fnmatch.fnmatch(job.scenario, pattern) for pattern in given.only))
    )


def _run_all(suite: npm.Suite, jobs: Sequence[Job], output: Path, at_once: int) -> list[Outcome]:
    """Run the jobs, a few at a time, and tell of each as it ends. Gives them in the order of `jobs`."""
    outcomes: dict[Job, Outcome] = {}
    runs = running.Runs()
    with contextlib.ExitStack() as stack:
        shop = stack.enter_context(under_test.shop()) if any(job.leg != "client" for job in jobs) else None
        pool = stack.enter_context(ThreadPoolExecutor(at_once))
        asked = [
            pool.submit(_run_together, runs, suite, together, output.resolve(), shop) for together in _together(jobs)
        ]
        try:
            for done in as_completed(asked):
                for outcome in done.result():
                    outcomes[outcome.job] = outcome
                    _say(f"[{len(outcomes):>3}/{len(jobs)}] {report.line_of(outcome)}")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            runs.end()
            raise
    return [outcomes[job] for job in jobs if job in outcomes]


def _together(jobs: Sequence[Job]) -> list[list[Job]]:
    """Jobs by process of the suite: one each, except those of the authorization leg (see `authorization`)."""
    found: dict[object, list[Job]] = {}
    for job in jobs:
        found.setdefault(job.revision if job.leg == "authorization" else job, []).append(job)
    return list(found.values())


def _run_together(
    runs: running.Runs, suite: npm.Suite, jobs: list[Job], output: Path, shop: under_test.Shop | None
) -> list[Outcome]:
    job = jobs[0]
    name = job.leg if job.leg == "authorization" else job.scenario.replace("/", "--")
    folder = output / job.leg / job.revision / job.door / name
    environment = under_test.environment(folder / "state")
    if shop is None or job.leg == "client":
        return [running.run(runs, suite, job, under_test.client_command(), folder, environment)]
    if job.leg == "authorization":
        return authorization.run(runs, suite, jobs, shop.base_url, folder, environment)
    try:
        door = shop.door(job.door)
    except ExplainedError as error:
        return [judge(job, [], ended_badly=f"{error.what}: {error.why}")]
    return [running.run(runs, suite, job, door, folder, environment)]


def _say(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
