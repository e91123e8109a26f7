"""Code, docstring and comment lines of each package: `python bench/code_lines.py [--against REVISION]`.

A line counts as code where it holds part of a statement, as docstring where it is inside one, as comment where it holds
nothing else; blank lines count as nothing. Only files that git tracks are counted. With `--against` each figure is
followed by how much it differs from that revision; the last line is the total of the product.
"""

from __future__ import annotations

import argparse
import ast
import io
import subprocess
import tarfile
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parent.parent
PRODUCT = ("demo", "deputize", "talk")
TREES = (*PRODUCT, "bench", "tests", "tools")
SILENT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
    tokenize.ENCODING,
}


@dataclass(frozen=True)
class Lines:
    """What was counted: number of files, and lines of each kind."""

    files: int = 0
    code: int = 0
    docstring: int = 0
    comment: int = 0

    def __add__(self, other: Lines) -> Lines:
        return Lines(
            self.files + other.files,
            self.code + other.code,
            self.docstring + other.docstring,
            self.comment + other.comment,
        )


def count(source: str) -> Lines:
    """The lines of one module.

    Raises:
        SyntaxError: it is no Python.
    """
    docstrings: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        # A string by itself documents what stands before it, too (PEP 257 calls them attribute docstrings).
        for one in body if isinstance(body, list) else []:
            if isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) and isinstance(one.value.value, str):
                docstrings.update(range(one.lineno, (one.end_lineno or one.lineno) + 1))
    code: set[int] = set()
    comments: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        lines = range(token.start[0], token.end[0] + 1)
        if token.type == tokenize.COMMENT:
            comments.update(lines)
        elif token.type not in SILENT:
            code.update(lines)
    return Lines(1, len(code - docstrings), len(docstrings), len(comments - code - docstrings))


def package(file: str, depth: int) -> str:
    """The package that a file is counted under: its folder, at most `depth` folders deep."""
    return "/".join(PurePosixPath(file).parent.parts[:depth])


def sources(revision: str | None) -> Iterator[tuple[str, str]]:
    """(path, text) of every tracked Python file: of the working tree, or of `revision`."""
    if revision is None:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for name in listed.split("\0"):
            if wanted(name) and (ROOT / name).is_file():
                yield name, (ROOT / name).read_text("utf-8")
        return
    archive = subprocess.run(["git", "archive", revision], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            if wanted(member.name) and (file := tar.extractfile(member)) is not None:
                yield member.name, file.read().decode("utf-8")


def wanted(name: str) -> bool:
    """Whether this is one of the project's Python files."""
    return name.endswith(".py") and name.split("/")[0] in TREES


def measured(revision: str | None, depth: int) -> dict[str, Lines]:
    """Lines by package, and of the product in all."""
    found: dict[str, Lines] = defaultdict(Lines)
    for name, text in sources(revision):
        found[package(name, depth)] += count(text)
        if name.split("/")[0] in PRODUCT:
            found[" + ".join(PRODUCT)] += count(text)
    return found


def table(now: dict[str, Lines], before: dict[str, Lines] | None) -> Iterator[str]:
    """The lines to print."""
    total = " + ".join(PRODUCT)
    names = sorted({*now, *(before or ())} - {total})
    width = max(map(len, names))
    yield f"{'package':{width}} {'files':>14} {'code':>16} {'docstring':>16} {'comment':>14}"
    for name in (*names, total):
        mine, then = now.get(name, Lines()), None if before is None else before.get(name, Lines())
        cells = [
            figure(getattr(mine, kind), None if then is None else getattr(then, kind), room)
            for kind, room in (("files", 14), ("code", 16), ("docstring", 16), ("comment", 14))
        ]
        yield " ".join([f"{name:{width}}", *cells])


def figure(now: int, before: int | None, width: int) -> str:
    """One number, with its difference where there is one to compare with."""
    return f"{f'{now:,}' if before is None else f'{now:,} ({now - before:+,})':>{width}}"


def main() -> None:
    """Count, and print."""
    arguments = argparse.ArgumentParser(description="Code, docstring and comment lines of each package.")
    arguments.add_argument("--against", metavar="REVISION", help="a git revision to compare with")
    arguments.add_argument("--depth", type=int, default=3, help="how many folders deep packages are told apart")
    given = arguments.parse_args()
    before = None if given.against is None else measured(given.against, given.depth)
    print(*table(measured(None, given.depth), before), sep="\n")


if __name__ == "__main__":
    main()
