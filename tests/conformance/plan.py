"""Which scenarios are run at which revision, held against what the suite itself says that there is."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from deputize.errors import EnvironmentNotReady
from tests.conformance.results import Job, Leg

REVISIONS: Final = ("2025-11-25", "2026-07-28")
DOORS: Final = ("open", "protected")
SCOPE_FILE: Final = Path(__file__).with_name("scope.toml")

_HEADINGS: Final[dict[str, Leg]] = {"Server": "server", "Client": "client", "Authorization": "authorization"}


@dataclass(frozen=True)
class LeftOut:
    """A scenario that is not run, at these revisions (all, where it names none), and why."""

    leg: Leg
    scenario: str
    revisions: tuple[str, ...]
    reason: str

    def covers(self, leg: Leg, scenario: str, revision: str) -> bool:
        """Whether it is about this one."""
        return (leg, scenario) == (self.leg, self.scenario) and (not self.revisions or revision in self.revisions)


@dataclass(frozen=True)
class Scope:
    """What `scope.toml` says: server scenarios by revision, and what is left out."""

    server: Mapping[str, tuple[str, ...]]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True)
class Listing:
    """What the suite has: every scenario with its revisions, and what each revision's requirements name."""

    all: Mapping[tuple[Leg, str], tuple[str, ...]]
    named: Mapping[str, frozenset[tuple[Leg, str]]]
    """By revision: required, and those that are run and reported without being scored."""


@dataclass(frozen=True)
class Plan:
    """What is to be run. A problem is what would otherwise be skipped in silence; any makes the run red."""

    jobs: tuple[Job, ...]
    left_out: tuple[LeftOut, ...]
    problems: tuple[str, ...]


def read_scope(file: Path = SCOPE_FILE) -> Scope:
    """Read `scope.toml`."""
    given = tomllib.loads(file.read_text("utf-8"))
    left_out = [
        LeftOut(entry["leg"], scenario, tuple(entry.get("revisions", ())), entry["reason"])
        for entry in given["left_out"]
        for scenario in entry["scenarios"]
    ]
    return Scope({revision: tuple(names) for revision, names in given["server"].items()}, tuple(left_out))


def read_all(listing: str) -> dict[tuple[Leg, str], tuple[str, ...]]:
    """What `conformance list` says, as scenario to revisions; an extension has none."""
    found: dict[tuple[Leg, str], tuple[str, ...]] = {}
    leg: Leg | None = None
    for line in listing.splitlines():
        if heading := re.match(r"(Server|Client|Authorization)\b.* scenarios ", line):
            leg = _HEADINGS[heading[1]]
        elif leg is not None and (entry := re.match(r"  - (\S+) \[([^\]]*)\]", line)):
            found[leg, entry[1]] = tuple(one for one in entry[2].split(",") if one != "extension")
    if not found:
        raise EnvironmentNotReady("the conformance suite's list of scenarios is not readable")
    return found


def read_named(listing: str) -> frozenset[tuple[Leg, str]]:
    """What `conformance list --requirements REVISION` names, scored or not.

    Raises:
        EnvironmentNotReady: it names another number of required scenarios than it says it does.
    """
    required: set[tuple[Leg, str]] = set()
    reported: set[tuple[Leg, str]] = set()
    leg: Leg | None = None
    for line in listing.splitlines():
        if heading := re.match(r"(Server|Client) scenarios ", line):
            leg = _HEADINGS[heading[1]]
        elif line.startswith("Run and reported"):
            leg = None
        elif unscored := re.match(r"    - (\S+) \[(client|server)\]", line):
            reported.add((cast(Leg, unscored[2]), unscored[1]))
        elif leg is not None and (entry := re.match(r"  - (\S+)", line)):
            required.add((leg, entry[1]))
    said = re.search(r"\((\d+) scenarios", listing)
    if said is None or int(said[1]) != len(required):
        raise EnvironmentNotReady(
            "the conformance suite's list of required scenarios is not readable",
            why=f"it says that there are {said[1] if said else 'none'}, and {len(required)} were read",
        )
    return frozenset(required | reported)


def make(listing: Listing, scope: Scope) -> Plan:
    """The plan: all client scenarios that the revisions name, older ones at their last revision, the server scenarios
    that apply at each door, the authorization server's at both revisions; and what fell through."""
    jobs = [
        Job("client", name, revision)
        for revision in REVISIONS
        for leg, name in sorted(listing.named[revision])
        if leg == "client" and not _is_left_out(scope, leg, name, revision)
    ]
    planned = {job.scenario for job in jobs}
    for (leg, name), revisions in listing.all.items():
        if leg == "client" and name not in planned and revisions:
            jobs.append(Job(leg, name, revisions[-1]))
    jobs += [
        Job("server", name, revision, door)
        for revision in REVISIONS
        for name in scope.server.get(revision, ())
        for door in DOORS
    ]
    jobs += [
        Job(leg, name, revision)
        for revision in REVISIONS
        for (leg, name), revisions in listing.all.items()
        if leg == "authorization" and revision in revisions
    ]
    return Plan(tuple(jobs), scope.left_out, tuple(_problems(jobs, listing, scope)))


def _problems(jobs: Iterable[Job], listing: Listing, scope: Scope) -> Iterable[str]:
    run = {(job.leg, job.scenario, job.revision) for job in jobs}
    for revision in REVISIONS:
        for leg, name in sorted(listing.named[revision]):
            if (leg, name, revision) not in run and not _is_left_out(scope, leg, name, revision):
                yield f"{leg} scenario {name} at {revision} is neither run nor left out with a reason"
    everywhere = {(leg, name) for leg, name, _ in run} | {(entry.leg, entry.scenario) for entry in scope.left_out}
    for leg, name in sorted(listing.all):
        if (leg, name) not in everywhere:
            yield f"{leg} scenario {name} is neither run nor left out with a reason"
    for leg, name in sorted(everywhere - set(listing.all)):
        yield f"{leg} scenario {name} is not one of the suite's"
    for entry in scope.left_out:
        if any(entry.covers(leg, name, revision) for leg, name, revision in run):
            yield f"{entry.leg} scenario {entry.scenario} is run and left out at once"


def _is_left_out(scope: Scope, leg: Leg, name: str, revision: str) -> bool:
    return any(entry.covers(leg, name, revision) for entry in scope.left_out)
