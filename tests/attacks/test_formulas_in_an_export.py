"""A name that begins like a formula is shown as text by whatever opens an exported audit trail.

Row T24 of the attacks; CWE-1236 (improper neutralization of formula elements in a CSV file), OWASP "CSV injection".
"""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from demo.client.audit import export
from demo.client.audit.chain import Reading
from demo.client.audit.reading import Trail

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "  =1+1", '=HYPERLINK("//evil")', "＝1", "＋1", "－1", "＠A1"]
STARTS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


def cells(name: str) -> list[str]:
    entry: dict[str, Any] = {"seq": 1, "audit_id": name, "username": name, "agent": name, "reason": name, "at": -1.0}
    item = {"link": name, "entry": entry}
    log = Reading(log=name, user=None, size=1, pruned=0, pruned_link="", entries=(item,), checkpoint=None)
    written = export.table(Trail("http://127.0.0.1:1", None, (log,), None, None))
    _, row = csv.reader(io.StringIO(written))
    return row


def runs(cell: str) -> bool:
    return cell.lstrip(" ").startswith(STARTS)


@pytest.mark.parametrize("formula", FORMULAS)
def test_no_cell_is_a_formula(formula: str) -> None:
    row = cells(formula)
    assert not [cell for cell in row if runs(cell)]
    assert sum(cell != "" for cell in row) == 8, "and none is lost"


@pytest.mark.parametrize("formula", FORMULAS)
def test_the_attack_works_where_cells_are_written_as_they_are(formula: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_cell", lambda text: text)
    assert [cell for cell in cells(formula) if runs(cell)]
