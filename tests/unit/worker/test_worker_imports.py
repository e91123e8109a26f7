"""The Worker's modules import one way: no circle among its files, and none among its folders."""

from __future__ import annotations

import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = next(parent for parent in Path(__file__).parents if (parent / "pyproject.toml").is_file())
SOURCE = ROOT / "worker" / "src"
IMPORT = re.compile(r'(?:^|\n)(?:import|export)\b[^;"]*"(\.[^"]+)"')


def imports() -> dict[str, set[str]]:
    """Each module of the Worker, and the modules that it imports; types count, too."""
    found: dict[str, set[str]] = {}
    for file in sorted(SOURCE.rglob("*.ts")):
        targets = [
            (file.parent / name).resolve()
            for name in IMPORT.findall(file.read_text("utf-8"))
            if not name.endswith(".json")
        ]
        found[str(file.relative_to(SOURCE))] = {f"{target.relative_to(SOURCE)}.ts" for target in targets}
    return found


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """A circle among the arrows; empty where there is none."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_every_import_names_a_module_that_is_there() -> None:
    modules = imports()
    assert len(modules) > 20
    assert {target for targets in modules.values() for target in targets} <= set(modules)


def test_no_file_imports_itself_by_way_of_others() -> None:
    assert circle(imports()) == []


def test_no_folder_imports_itself_by_way_of_others() -> None:
    def folder(module: str) -> str:
        return module.split("/")[0]

    arrows: dict[str, set[str]] = {}
    for module, targets in imports().items():
        arrows.setdefault(folder(module), set()).update(map(folder, targets))
    assert circle({room: targets - {room} for room, targets in arrows.items()}) == []


@pytest.mark.parametrize("arrows", [{"a": {"b"}, "b": {"a"}}, {"a": {"b"}, "b": {"c"}, "c": {"a"}}])
def test_a_circle_would_be_seen(arrows: dict[str, set[str]]) -> None:
    assert circle(arrows)
