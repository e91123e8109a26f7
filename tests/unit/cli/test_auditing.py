"""`demo audit verify`, `trace` and `export`: of the live trail, of a copy, and of a copy that was altered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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

    copy, altered, cut = (tmp_path / name for name in ("copy.jsonl", "altered.jsonl", "cut.jsonl"))
    assert demo("audit", "export", "-o", str(copy)).returncode == 0
    assert demo("audit", "export", "-o", str(copy)).returncode == 2, "it is there already"
    assert verified(demo, copy) == (0, [])
    altered.write_text(copy.read_text("utf-8").replace(order, f"{order[:-1]}x"), "utf-8")
    code, findings = verified(demo, altered)
    assert (code, [(one["kind"], one["seq"]) for one in findings]) == (1, [("edited", found["seq"])])
    lines = [line for line in copy.read_text("utf-8").splitlines() if order not in line]
    cut.write_text("\n".join(lines), "utf-8")
    code, findings = verified(demo, cut)
    assert (code, [(one["kind"], one["seq"]) for one in findings]) == (1, [("missing", found["seq"])])
    cut.write_text("[1, 2", "utf-8")
    assert demo("audit", "verify", "--file", str(cut)).returncode == 2
