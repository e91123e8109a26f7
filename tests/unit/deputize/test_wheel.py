"""Installed without the rest, beside a user's own `demo.py`, the library logs in as its README has it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.client import SampleHuman
from tests.conftest import ROOT, serving
from tests.peers.running import running

LIBRARY = ROOT / "deputize"
LOOKS = """
import sys
mine = [name for name in sys.modules if name.partition(".")[0] in ("demo", "talk")]
print("imported:", mine, sys.modules["deputize"].__file__)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("server") / "server.sqlite3") as url:
        yield url


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel holds."""
    built, target = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("target")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(built)]
    subprocess.run([*command, str(LIBRARY)], check=True, capture_output=True, timeout=120)
    (wheel,) = built.glob("deputize-*.whl")
    zipfile.ZipFile(wheel).extractall(target)
    return target


def test_the_wheel_holds_every_module_under_its_own_name(installed: Path) -> None:
    names = {str(file.relative_to(installed)) for file in (installed / "deputize").rglob("*")}
    for file in [*LIBRARY.rglob("*.py"), LIBRARY / "py.typed"]:
        assert str(file.relative_to(ROOT)) in names
    (record,) = installed.glob("deputize-*.dist-info/RECORD")
    paths = [line.partition(",")[0] for line in record.read_text("utf-8").splitlines()]
    assert all((installed / path).is_file() for path in paths)
    assert not [path for path in paths if path.startswith((".", "/"))]


def test_the_first_program_of_its_readme_logs_in_and_nothing_of_the_demo_is_there(
    installed: Path, server: str, tmp_path: Path
) -> None:
    block = re.search(r"```python\n(.*?)```", (LIBRARY / "README.md").read_text("utf-8"), re.DOTALL)
    assert block is not None
    program = tmp_path / "demo.py"
    program.write_text(block[1].replace("http://127.0.0.1:7327", server) + LOOKS)
    (tmp_path / "talk.py").write_text("raise ImportError('a user has a file of this name, too')\n")
    # `-S`: what is installed is found, and the repository, which is installed by a .pth file, is not.
    packages = os.pathsep.join([str(installed), sysconfig.get_path("purelib")])
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": packages, "PYTHONSAFEPATH": ""}
    with running([sys.executable, "-S", str(program)], environment, str(tmp_path)) as process:
        where = re.search(r"Open (\S+) and enter (\S+)", process.line("and enter"))
        assert where is not None
        SampleHuman("alice@example.com").decide(where[1], where[2], True)
        assert "buyMcpShopItem" in process.line("listMcpShopInventory")
        assert process.line("imported:") == f"imported: [] {installed / 'deputize' / '__init__.py'}"
        assert process.end() == 0
