"""What is installed is what was looked at: exact versions, each with its hash, and no address of a registry."""

from __future__ import annotations

import json
import re
from pathlib import Path

HERE = Path(__file__).parent


def test_every_version_is_exact_and_every_package_has_its_hash() -> None:
    wanted = json.loads((HERE / "package.json").read_text("utf-8"))
    for version in (wanted["dependencies"] | wanted["optionalDependencies"]).values():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    locked = json.loads((HERE / "package-lock.json").read_text("utf-8"))["packages"]
    assert len(locked) > 100
    for name, package in locked.items():
        assert name == "" or package["integrity"].startswith("sha512-"), name


def test_no_address_stands_in_the_lock_file() -> None:
    assert not re.search(r"https?:", (HERE / "package-lock.json").read_text("utf-8"))
