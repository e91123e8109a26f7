"""Packages import each other only as `docs/architecture.md` allows. This test reads the page: the page is the rule."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator, Mapping, Set
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
EVERY = "every package"
"""How the rows begin that hold for all, or for all of the packages that they name."""
TOP_LEVEL = ("demo", "talk", "deputize")


def modules() -> dict[str, Path]:
    """Every module of the product by name; a package is its `__init__`."""
    found = {}
    for file in sorted(file for package in TOP_LEVEL for file in (ROOT / package).rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


MODULES = modules()


def for_types_only(tree: ast.AST) -> set[ast.AST]:
    """Everything under `if TYPE_CHECKING:`, which no running program imports."""
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
    return {inner for block in blocks for line in block.body for inner in ast.walk(line)}


@functools.cache
def imported(name: str) -> frozenset[str]:
    """Every module of the product that one imports, at its top or inside a function; relative imports resolved."""
    file = MODULES[name]
    package = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
    tree = ast.parse(file.read_text("utf-8"))
    skipped = for_types_only(tree)
    found: set[str] = set()
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            named = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            named = [f"{source}.{alias.name}" for alias in node.names]
        else:
            continue
        for one in named:
            while one and one not in MODULES:
                one = one.rpartition(".")[0]  # a name that a module has, not a module
            found |= {one} - {"", name}
    return frozenset(found)


def table(heading: str) -> list[list[str]]:
    """The rows of the first table under a heading of the page, without its head."""
    under = PAGE.partition(f"{heading}\n")[2]
    lines = re.search(r"(?:^\|.*\n)+", under, re.MULTILINE)
    assert lines is not None, f"no table under {heading}"
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[0].splitlines()]
    return rows[2:]


def names(cell: str) -> list[str]:
    """What stands in backquotes."""
    return re.findall(r"`([\w.*]+)`", cell)


def meant(cell: str) -> set[str]:
    """The packages that a cell names; `demo.client.*` names each of that name."""
    return {one for name in names(cell) for one in (PACKAGES if name.endswith("*") else [name]) if within(one, name)}


def within(package: str, name: str) -> bool:
    return package == name or (name.endswith(".*") and package.startswith(name[:-1]))


ROWS = table("## Packages and arrows")
PACKAGES = [names(row[0])[0] for row in ROWS if EVERY not in row[0]]
"""From the top down."""


def for_all(package: str) -> set[str]:
    """What the rows for every package let this one import."""
    rows = [row for row in ROWS if EVERY in row[0] and package.split(".")[0] in (names(row[0]) or TOP_LEVEL)]
    return {name for row in rows for name in meant(row[2])}


MAY_IMPORT = {one: for_all(one) | meant(row[2]) for row in ROWS if EVERY not in row[0] for one in names(row[0])[:1]}


def package_of(module: str) -> str:
    """The package that a module belongs to: the longest name that fits."""
    fitting = [
        name
        for name in PACKAGES
        if module == name or (name not in ("demo", "deputize") and module.startswith(f"{name}."))
    ]
    assert fitting, f"{module} is in no package of docs/architecture.md"
    return max(fitting, key=len)


def circles(arrows: Mapping[str, Set[str]]) -> Iterator[list[str]]:
    """Every group of modules each of which can be reached from each other (Tarjan's components of more than one)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []

    def visit(one: str) -> Iterator[list[str]]:
        number[one] = lowest[one] = len(number)
        stack.append(one)
        for other in sorted(arrows[one]):
            if other not in number:
                yield from visit(other)
                lowest[one] = min(lowest[one], lowest[other])
            elif other in stack:
                lowest[one] = min(lowest[one], number[other])
        if lowest[one] == number[one]:
            group = stack[stack.index(one) :]
            del stack[stack.index(one) :]
            if len(group) > 1:
                yield sorted(group)

    for one in sorted(arrows):
        if one not in number:
            yield from visit(one)


def test_every_module_is_in_a_package() -> None:
    assert {package_of(module) for module in MODULES} <= set(PACKAGES)


def test_every_package_is_there() -> None:
    empty = set(PACKAGES) - {package_of(module) for module in MODULES}
    assert not empty, "packages of the page that have no module"


def test_a_package_imports_only_what_the_page_allows() -> None:
    wrong = []
    for module in MODULES:
        mine = package_of(module)
        for other in imported(module):
            theirs = package_of(other)
            if theirs != mine and theirs not in MAY_IMPORT[mine]:
                wrong.append(f"{module} imports {other}: {mine} may not import {theirs}")
    assert not wrong, "\n".join(sorted(wrong))


def test_a_package_stands_above_what_it_may_import() -> None:
    place = {name: at for at, name in enumerate(PACKAGES)}
    own = {name: MAY_IMPORT[name] - for_all(name) for name in PACKAGES}
    up = [(name, other) for name in PACKAGES for other in own[name] if place[other] <= place[name]]
    assert not up, "arrows of the page that go up"


def test_there_is_no_circle() -> None:
    found = [*circles({module: imported(module) for module in MODULES})]
    assert not found, "\n".join(" <-> ".join(group) for group in found)


def test_the_library_knows_nothing_of_the_demo() -> None:
    theirs = {name for module in MODULES if module.split(".")[0] == "deputize" for name in imported(module)}
    assert theirs and {name.split(".")[0] for name in theirs} == {"deputize"}


def test_an_arrow_against_the_rule_would_be_seen() -> None:
    assert "demo.local_server.world" in imported("talk.humans"), "one inside a function, too"
    assert list(circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})) == [["a", "b", "c"]]
    assert "demo.shop" not in MAY_IMPORT["deputize.http"]
