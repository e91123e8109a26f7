"""The recordings that ship with the talk: made again, or held against what a dry run has just shown.

`python -m tools.recordings PLAN...` plays each plan as CI does and keeps its recording; `make recordings` does so for
both. `python -m tools.recordings --against FILE...` compares: what differs is named, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from talk.export.story import story
from talk.recording.finding import SHIPPED, shipped
from talk.recording.reader import Take, read

LARGEST = 400_000
"""Bytes of one of them: it travels with every installation."""


def outline(take: Take) -> dict[str, list[str]]:
    """What of a recording must be the same each time, by beat: no ids, no times, no numbers that grow."""
    found = {}
    for beat in story(take, [*take.beats()]):
        lines = [f"beat {beat.title!r}, {beat.number} of {beat.of}, {beat.speaker}, {beat.minutes:g} min"]
        for step in beat.steps:
            decided = f"{step.decision.verdict} by {step.decision.rule}" if step.decision else "nothing decided"
            shown = ", ".join(panel.name for panel in step.panels) or "nothing shown"
            how = "skipped" if step.skipped else "as expected" if step.ok else "not as expected"
            lines.append(f"step {step.id} ({step.do}): {how}, {decided}, status {step.status}; {shown}")
        found[beat.id] = [*lines, f"said: {beat.said}"]
    return found


def differences(one: Take, other: Take) -> list[str]:
    """What the second recording shows otherwise than the first."""
    before, after = outline(one), outline(other)
    found = [f"{beat}: only in one of the two" for beat in [*before, *after] if (beat in before) != (beat in after)]
    for beat in before.keys() & after.keys():
        lines = before[beat], after[beat]
        found += [f"{beat}: was: {line}" for line in lines[0] if line not in lines[1]]
        found += [f"{beat}: now: {line}" for line in lines[1] if line not in lines[0]]
    return found or ([] if [*before] == [*after] else ["the beats come in another order"])


def main() -> int:
    """Make the recordings of plans, or compare others with them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("given", nargs="+", metavar="PLAN or FILE")
    parser.add_argument("--against", action="store_true", help="compare recordings of dry runs with those that ship")
    arguments = parser.parse_args()
    return (_compare if arguments.against else _make)(arguments.given)


def _make(plans: list[str]) -> int:
    SHIPPED.mkdir(exist_ok=True)
    for plan in plans:
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder, "made.jsonl")
            command = [sys.executable, "-m", "demo", "--quiet", "run", "--ci", "--plan", plan, "--record", str(made)]
            if (code := subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode) != 0:
                sys.stderr.write(f"{plan}: not recorded, its dry run ended with {code}\n")
                return code
            take = read(made)
            take.check()
            if (size := made.stat().st_size) > LARGEST:
                sys.stderr.write(f"{plan}: not kept, {size} bytes are more than {LARGEST}\n")
                return 1
            (SHIPPED / f"{plan}.jsonl").write_bytes(made.read_bytes())
            sys.stdout.write(f"{SHIPPED / plan}.jsonl: {len(take.beats())} beats, {size} bytes\n")
    return 0


def _compare(files: list[str]) -> int:
    found = []
    for file in files:
        take = read(Path(file))
        kept = shipped(take.plan)
        found += differences(read(kept), take) if kept is not None else [f"no recording of {take.plan} ships"]
    for line in found:
        sys.stderr.write(f"{line}\n")
    if found:
        sys.stderr.write("The recordings that ship are not what the talk shows now: make recordings\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
