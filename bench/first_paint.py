"""How fast the command answers, against a two-command Typer app run side by side; and what a dry run costs.

Prints ratios, never judges: `--help` should stay within 1.5 times the small app's, the beat's title of `demo next`
within twice that. Run it with `make bench`.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROUNDS = 15
SMALL_APP = """
import typer
app = typer.Typer()
@app.command()
def one(name: str = "x") -> None:
    "Say one."
@app.command()
def two(count: int = 2) -> None:
    "Say two."
app()
"""


def until_exit(command: list[str], environment: dict[str, str]) -> float:
    """Seconds from start to exit."""
    started = time.perf_counter()
    subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, check=True, timeout=60)
    return time.perf_counter() - started


def until_title(command: list[str], environment: dict[str, str], title: bytes) -> float:
    """Seconds from start until the beat's title is on stdout; the rest of the beat is then waited for."""
    started = time.perf_counter()
    with subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        seen = b""
        while title not in seen:
            chunk = os.read(process.stdout.fileno(), 65536)
            if not chunk:
                raise SystemExit(f"the title never came: {seen!r}")
            seen += chunk
        painted = time.perf_counter() - started
        process.communicate(timeout=120)
    return painted


def main() -> None:
    """Measure and print."""
    environment = os.environ | {"DEMO_KEYRING": "0", "DEMO_PORT": "0", "COLUMNS": "80", "PYTHONUNBUFFERED": "1"}
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small.py"
        small.write_text(SMALL_APP)
        environment["DEMO_STATE"] = str(Path(folder) / "nothing yet")
        commands = {"small": [str(small), "--help"]}
        commands |= {line: ["-m", "demo", line] for line in ("--version", "--help", "list", "status")}
        taken: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(ROUNDS):  # interleaved, so that a busy moment of the machine hits all
            for name, line in commands.items():
                taken[name].append(until_exit([sys.executable, *line], environment))
        base = statistics.median(taken["small"])
        environment["DEMO_STATE"] = str(Path(folder) / "state")
        first = first_title()
        titles = []
        try:
            for _ in range(5):
                subprocess.run(
                    [sys.executable, "-m", "demo", "reset", "--quiet"], env=environment, cwd=ROOT, check=True
                )
                titles.append(until_title([sys.executable, "-m", "demo", "next"], environment, first))
        finally:
            subprocess.run([sys.executable, "-m", "demo", "stop", "--quiet"], env=environment, cwd=ROOT, check=False)
        title = statistics.median(titles)
        print(f"two-command Typer app --help  {1000 * base:6.0f} ms   1.00")
        for line in ("--version", "--help", "list", "status"):
            ours = statistics.median(taken[line])
            bar = "  (bar 1.50)" if line == "--help" else ""
            print(f"demo {line:<24} {1000 * ours:6.0f} ms   {ours / base:.2f}{bar}")
        print(f"demo next, beat's title       {1000 * title:6.0f} ms   {title / base:.2f}  (bar 3.00)")
        for plan in ("problem-first", "context-first"):
            started = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "demo", "run", "--ci", "--plan", plan, "--quiet"],
                env=environment,
                cwd=ROOT,
                stdout=subprocess.DEVNULL,
                check=True,
                timeout=300,
            )
            took = time.perf_counter() - started
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            print(f"dry run of {plan:<14}     {took:6.1f} s    peak memory of any process so far {peak:.0f} MiB")


def first_title() -> bytes:
    """The title of the first beat of the default plan."""
    from talk.script import DEFAULT_PLAN, load_talk

    return load_talk(None).plan(DEFAULT_PLAN).beats[0].beat.title.encode()


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
