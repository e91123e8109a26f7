"""What the command line says: every help text, and how each kind of slip is refused. No other test holds a sentence.

Changed one on purpose? Write them down again, and read the difference:
`.venv/bin/python -m tests.unit.cli.test_sentences`.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from demo.cli.app import app
from demo.cli.main import hoist, run
from demo.errors import advice
from deputize.errors import ExplainedError

FILE = Path(__file__).with_name("sentences.txt")
SLIPS = (
    "nonsense",
    "nexd",
    "next --nonsense",
    "goto",
    "goto nowhere",
    "list --plan nowhere",
    "list --talk /nowhere",
    "again",
    "back",
    "run --pace slowly",
    "run --from challenge --to failure",
    "run --max-skipped 3",
    "run --worker --server https://shop.example",
    "call buy nonsense",
    "call buy a=1 a=2",
    "call buy a:=nonsense",
    "connect emacs",
    "connect codex --name a.b",
    "login --device --browser",
    "login --console --deny",
    "revoke --agent --user",
    "reinstate --agent --user",
    "door open --close --reopen",
    "door protected --close",
    "door open",
    "serve --worker --stdio",
    "serve --host 0.0.0.0",
    "serve --resource nonsense",
    "deploy --scopes-from nonsense",
    "deploy --issuer http://shop.example",
    "trust",
    "list --profile nowhere",
    "list --width 5",
    "whoami --server http://127.0.0.1:1",
    "tools --server nonsense",
    "workos grants a@b.example --server https://shop.example",
)
"""Command lines that nobody should have typed, none of which needs a server."""


def texts(command: Any, name: str) -> Iterator[str]:
    """The help of a command, of its parameters, and of its own commands."""
    yield f"## {name}\n{command.help}\n"
    for parameter in command.params:
        yield f"{' '.join([*parameter.opts, *parameter.secondary_opts])}: {parameter.help}\n"
    for below in getattr(command, "commands", {}):
        yield "\n" + "".join(texts(command.commands[below], f"{name} {below}"))


def refusal(line: str) -> str:
    """What is said of a command line, and the exit code."""
    try:
        run(hoist(line.split()))
    except ExplainedError as error:
        return f"$ demo {line}\n{error.exit_code}: {error.what}\n  why: {error.why}\n  do: {advice(error)}\n"
    return f"$ demo {line}\n0\n"


def everything() -> str:
    """All of it, as it is written down."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        state = Path(folder) / "state"
        kept = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("DEMO_")}
        os.environ["DEMO_STATE"] = str(state)
        try:
            said = "\n".join(refusal(line) for line in SLIPS)
        finally:
            del os.environ["DEMO_STATE"]
            os.environ.update(kept)
        helps = "".join(texts(typer.main.get_command(app), "demo"))
        return f"{helps}\n# Slips\n\n{said}".replace(folder, "/folder")


def test_the_sentences_are_those_that_were_written_down() -> None:
    assert everything() == FILE.read_text("utf-8")


if __name__ == "__main__":
    FILE.write_text(everything(), "utf-8")
