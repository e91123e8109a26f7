"""`demo audit verify`, `trace` and `export`: of the live trail, of a copy, and of a copy that was altered."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from demo.client.audit import export
from deputize.errors import UsageError
from tests.conftest import Command

BUY = ("company=Acme", "mailingAddress=1 Main St", "tshirtSize=M")


def verified(demo: Command, file: Path) -> tuple[int, list[dict[str, Any]]]:
    said = demo("audit", "verify", "--file", str(file), "--json")
    return said.returncode, [one for log in json.loads(said.stdout)["logs"] for one in log["findings"]]


def test_a_trail_is_verified_traced_and_exported_and_a_changed_copy_is_found(demo: Command, tmp_path: Path) -> None:
    assert demo("login").returncode == 0
    order = json.loads(demo("call", "buyMcpShopItem", *BUY, "--json").stdout)["decision"]["order_id"]
    live = demo("audit", "verify", "--json")
    assert (live.returncode, json.loads(live.stdout)["verified"]) == (0, True)
    traced = demo("audit", "trace", order, "--json")
    found = json.loads(traced.stdout)["trace"]
    assert (traced.returncode, found["verified"], found["decision"]["username"]) == (0, True, "alice@example.com")
    assert found["session"]["consent"] == found["decision"]["consent"]
    assert demo("audit", "trace", "order_none").returncode == 2

    entry = found["decision"]["audit_id"]
    copy, altered, cut = (tmp_path / name for name in ("copy.jsonl", "altered.jsonl", "cut.jsonl"))
    assert demo("audit", "export", "-o", str(copy)).returncode == 0
    assert demo("audit", "export", "-o", str(copy)).returncode == 2, "it is there already"
    assert verified(demo, copy) == (0, [])
    altered.write_text(copy.read_text("utf-8").replace(entry, f"{entry[:-1]}x"), "utf-8")
    code, findings = verified(demo, altered)
    assert (code, [(one["kind"], one["seq"]) for one in findings]) == (1, [("edited", found["seq"])])
    lines = [line for line in copy.read_text("utf-8").splitlines() if entry not in line]
    cut.write_text("\n".join(lines), "utf-8")
    code, findings = verified(demo, cut)
    assert (code, [(one["kind"], one["seq"]) for one in findings]) == (1, [("missing", found["seq"])])
    lines = copy.read_text("utf-8").splitlines()
    of_nobody = next(i for i, line in enumerate(lines) if json.loads(line).get("user", "") is None)
    about = json.dumps({**json.loads(lines[0]), "at": 0})  # who leaves it out may say that the copy is older than it
    cut.write_text("\n".join([about, *lines[1:of_nobody]]), "utf-8")
    assert [one["kind"] for one in verified(demo, cut)[1]] == ["cut"], "a whole log is left out"
    cut.write_text("[1, 2", "utf-8")
    assert demo("audit", "verify", "--file", str(cut)).returncode == 2


def test_a_file_without_an_end_of_line_is_not_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "LONGEST", 1000)
    endless = io.StringIO("0" * 100_000)
    with pytest.raises(UsageError):
        export.read(export.lines_of(endless, "endless"), "endless")
    assert endless.tell() <= 1001
