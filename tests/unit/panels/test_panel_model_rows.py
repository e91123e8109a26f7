"""A model's run on screen: where there is no room for every call, the ones that a gate refused are seen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from demo import panels
from demo.evidence.model import Driven, DrivenCall, Ending, ModelStep
from demo.panels.fit import drawn
from tests.unit.panels.model_evidence import BOUGHT, END, LISTED, NOT_THERE, REFUSED, TASK


def test_a_refusal_after_many_calls_is_on_every_panel_of_the_run() -> None:
    step = ModelStep(1, TASK.model, "model", "", (*[LISTED] * 30, REFUSED))
    listed = DrivenCall("listMcpShopInventory", "{}", "allow", "allowed")
    refused = DrivenCall("getUserInfo", "{}", "deny", "scope.insufficient")
    whole = Driven("Only look.", "", "script", (*[listed] * 30, refused, *[listed] * 9), 0, "it is done")
    for panel in (panels.model_step(step), panels.model_run(TASK, (step,), END), panels.driven(whole)):
        lines = drawn(panel, 80)
        assert len(lines) <= 24
        rows = [line for line in lines[1:] if "✗" in line]
        assert len(rows) == 1 and any("more calls" in line for line in lines), "\n".join(lines)


@pytest.mark.parametrize(("reason", "mark"), [("spending", "·"), ("server", "?"), ("interrupted", "?")])
def test_a_call_without_an_answer_was_not_made_only_where_it_was_not_sent(reason: Ending, mark: str) -> None:
    step = ModelStep(1, TASK.model, "model", "", (replace(BOUGHT, read=None),))
    (row,) = [
        line for line in drawn(panels.model_run(TASK, (step,), replace(END, reason=reason)), 80) if "buyM" in line
    ]
    assert row.split()[0] == mark


def test_a_run_of_which_a_call_failed_carries_no_mark_of_success() -> None:
    for calls in ((NOT_THERE,), (LISTED, NOT_THERE)):
        step = ModelStep(1, TASK.model, "model", "", calls)
        assert "✓" not in drawn(panels.model_run(TASK, (step,), replace(END, refused=0)), 80)[0]
