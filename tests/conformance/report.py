"""A run for people and for programs: the table, and the JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from tests.conformance.plan import LeftOut
from tests.conformance.results import Outcome, total

COUNTS = ("passed", "warnings", "failures", "skipped")


def line_of(outcome: Outcome) -> str:
    """One scenario in one line of the table."""
    job = outcome.job
    counts = "".join(f"{getattr(outcome, name):>9}" for name in COUNTS)
    return f"{where(outcome):<31}{job.scenario:<45}{counts}  {'ok' if outcome.ok else 'NOT OK'}"


def where(outcome: Outcome) -> str:
    """Leg, revision and door of an outcome."""
    job = outcome.job
    return " ".join(filter(None, [job.leg, job.revision, job.door]))


def table(outcomes: Sequence[Outcome]) -> str:
    """Every scenario, the totals of each leg at each revision, and of all; then what is wrong, in words."""
    head = f"{'leg':<31}{'scenario':<45}{''.join(f'{name:>9}' for name in COUNTS)}"
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(where(outcome), []).append(outcome)
    lines = [head, *(line_of(one) for group in groups.values() for one in group), ""]
    lines += [_sum(name, group) for name, group in groups.items()]
    lines.append(_sum("all", outcomes))
    wrong = [(one, fault) for one in outcomes for fault in one.faults]
    if wrong:
        lines += ["", "What is wrong:"]
        lines += [f"  {where(one)} {one.job.scenario}: {fault}" for one, fault in wrong]
    return "\n".join(lines)


def _sum(name: str, outcomes: Iterable[Outcome]) -> str:
    counts = total(outcomes)
    told = "".join(f"{counts[count]:>9}" for count in COUNTS)
    held = f"{counts['ok']} of {counts['scenarios']} scenarios ok"
    return f"{name:<31}{held:<45}{told}"


def left_out(entries: Sequence[LeftOut]) -> str:
    """What is not run, by reason."""
    by_reason: dict[tuple[str, str], list[LeftOut]] = {}
    for entry in entries:
        by_reason.setdefault((entry.leg, entry.reason), []).append(entry)
    lines = ["Left out:"]
    for (leg, reason), found in by_reason.items():
        at = f" at {', '.join(found[0].revisions)}" if found[0].revisions else ""
        lines.append(f"  {leg}{at}: {reason}")
        lines += [f"    {entry.scenario}" for entry in found]
    return "\n".join(lines)


def document(
    outcomes: Sequence[Outcome],
    entries: Sequence[LeftOut],
    problems: Sequence[str],
    *,
    suite: str,
    seconds: float,
    ok: bool,
) -> str:
    """The run as one JSON object."""
    found: dict[str, Any] = {
        "schema": 1,
        "suite": suite,
        "ok": ok,
        "seconds": round(seconds, 1),
        "totals": total(outcomes),
        "scenarios": [
            {
                "leg": one.job.leg,
                "scenario": one.job.scenario,
                "revision": one.job.revision,
                "door": one.job.door or None,
                "ok": one.ok,
                **{name: getattr(one, name) for name in COUNTS},
                "faults": list(one.faults),
                "seconds": round(one.seconds, 1),
            }
            for one in outcomes
        ],
        "left_out": [
            {"leg": entry.leg, "scenario": entry.scenario, "revisions": list(entry.revisions), "reason": entry.reason}
            for entry in entries
        ],
        "problems": list(problems),
    }
    return json.dumps(found, indent=2) + "\n"
