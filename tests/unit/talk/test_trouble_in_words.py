"""What went wrong in a live step is one line that a room can read: no addresses, and the clock where it is to blame."""

from __future__ import annotations

import pytest

from deputize.http import errors
from talk.results import StepResult
from talk.trouble import in_words

SERVER = "http://127.0.0.1:7327"


@pytest.mark.parametrize("path", ["", "/mcp", "/open/mcp", "/oauth2/token", "/.well-known/oauth-authorization-server"])
def test_no_address_of_the_server_is_read_aloud(path: str) -> None:
    said = in_words(errors.unreachable(f"{SERVER}{path}", "connection refused"), server=SERVER)
    assert "http" not in said
    assert ("authorization server" in said) is ("oauth" in path)


def test_another_server_keeps_its_address() -> None:
    other = "https://login.example/token"
    assert other in in_words(errors.unreachable(other, "connection refused"), server=SERVER)
    assert f"{SERVER}1/mcp" in in_words(errors.unreachable(f"{SERVER}1/mcp", "connection refused"), server=SERVER)


@pytest.mark.parametrize(("error", "told"), [("page", False), ("code_mismatch", False), ("server_error", True)])
def test_of_a_login_a_code_is_read_aloud_where_it_is_a_standards(error: str, told: bool) -> None:
    observed = {"granted": False, "error": error}
    failed = StepResult("granted", "login", False, 0.1, {"granted": True}, observed, ("granted",))
    assert (f"({error})" in in_words(failed)) is told


@pytest.mark.parametrize(("ahead", "told"), [(3600.0, True), (-3600.0, True), (30.0, False), (None, False)])
def test_a_clock_that_is_far_off_is_said(ahead: float | None, told: bool) -> None:
    failed = StepResult("token", "whoami", False, 0.1, {"verified": True}, {"verified": False}, ("verified",))
    assert ("60 min" in in_words(failed, ahead=ahead)) is told


def test_the_rule_of_a_later_call_is_not_told_of_an_earlier_one() -> None:
    observed = {"before": "deny", "after": "deny", "rule": "standing.agent"}
    failed = StepResult("suspend", "revoke", False, 0.1, {"before": "allow"}, observed, ("before",))
    assert "standing.agent" not in in_words(failed)
