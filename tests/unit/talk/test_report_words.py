"""What a server said, in JUnit XML: all that XML 1.0 can hold, and nothing else."""

from __future__ import annotations

from xml.etree import ElementTree

from talk.report import as_json, as_junit
from talk.results import BeatResult, StepResult


def test_xml_keeps_what_it_can_hold_and_loses_what_it_cannot() -> None:
    said = "oui\u00a0? می\u200cخواهم 👨\u200d👩\u200d👧 \U000e0067 \u202e tab\t end \ufffe\x1b\x00\ud800\x85"
    step = StepResult("s", "call", False, 0.1, error=said)
    written = as_junit("plan", [BeatResult("b", "B", (), False, 0.1, (step,))], 0.1)
    told = ElementTree.fromstring(written.encode()).find(".//failure")
    assert told is not None
    kept = (
        said.replace("\ufffe", "\ufffd").replace("\x1b", "\ufffd").replace("\x00", "\ufffd").replace("\ud800", "\ufffd")
    )
    assert told.get("message") == kept


def test_a_run_that_stays_at_a_consent_is_no_success_in_either_report() -> None:
    step = StepResult("granted", "login", True, 0.1, observed={"granted": False}, outcome="unanswered")
    beats = [BeatResult("login", "L", (), True, 0.1, (step,))]
    assert as_json("plan", "http://server", beats, 0.1)["ok"] is False
    assert ElementTree.fromstring(as_junit("plan", beats, 0.1).encode()).get("failures") == "1"
