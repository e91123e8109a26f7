"""What is said of a shop that was deployed: each fault by its name, with the fix, and nothing of one that is well."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from demo.client.capabilities import Survey
from demo.client.capabilities.survey import Failure
from demo.client.mcp.outcome import ToolsOutcome
from demo.deploy import checking
from deputize.errors import ServerUnreachable
from deputize.evidence import AuthorizationServerMetadata, Challenge, ResourceMetadata

URL = "https://shop.example/mcp"
RESOURCE = ResourceMetadata("https://shop.example/.well-known/x", URL, ("https://auth.example",))
ISSUER = AuthorizationServerMetadata(
    "https://auth.example/.well-known/x",
    "https://auth.example",
    "https://auth.example/token",
    device_authorization_endpoint="https://auth.example/device",
)
CHALLENGE = Challenge(401, "Bearer", (), RESOURCE, ISSUER)
WELL = Survey(
    endpoint=URL,
    anonymous=ToolsOutcome(401, (), CHALLENGE, None, ()),
    open_door=ToolsOutcome(200, (), None, None, ()),
    challenge=CHALLENGE,
)


def test_a_shop_that_is_well_has_no_bad_row() -> None:
    assert [row[0] for row in checking.rows(WELL)] == ["ok"] * 4
    assert checking.problem(checking.rows(WELL)) is None


@pytest.mark.parametrize(
    ("seen", "name", "says", "fix"),
    [
        (replace(WELL, anonymous=ToolsOutcome(200, (), None, None, ())), "protected door", "HTTP 200", "answers 401"),
        (
            replace(WELL, anonymous=None, failures=(Failure("endpoint", "it cannot be reached", False),)),
            "protected door",
            "cannot be reached",
            "network",
        ),
        (replace(WELL, challenge=replace(CHALLENGE, resource=None)), "resource metadata", "RFC 9728", "log"),
        (
            replace(WELL, challenge=replace(CHALLENGE, resource=replace(RESOURCE, problem="it is for another"))),
            "resource metadata",
            "it is for another",
            "BASE_URL",
        ),
        (
            replace(WELL, challenge=replace(CHALLENGE, authorization_server=None)),
            "issuer",
            "RFC 8414",
            "--issuer",
        ),
        (
            replace(
                WELL,
                challenge=replace(CHALLENGE, authorization_server=replace(ISSUER, problem="it says it is another")),
            ),
            "issuer",
            "it says it is another",
            "--issuer",
        ),
        (
            replace(
                WELL,
                challenge=replace(CHALLENGE, authorization_server=replace(ISSUER, device_authorization_endpoint=None)),
            ),
            "issuer",
            "offers no login",
            "--issuer",
        ),
    ],
)
def test_a_fault_is_named_with_its_fix(seen: Survey, name: str, says: str, fix: str) -> None:
    bad = [row for row in checking.rows(seen) if row[0] == "bad"]
    assert [row[1] for row in bad] == [name]
    assert says in bad[0][2] and fix in bad[0][3]
    found = checking.problem(bad)
    assert isinstance(found, ServerUnreachable) and name in found.what and fix in found.do


def test_no_open_door_is_worth_a_warning_only() -> None:
    rows = checking.rows(replace(WELL, open_door=ToolsOutcome(404, (), None, None, ())))
    assert [row[0] for row in rows if row[1] == "open door"] == ["warn"]
    assert checking.problem(rows) is None


def test_what_is_no_mcp_server_is_waited_for_and_then_told(tmp_path: Path) -> None:
    from tests.unit.client.fakes import faking

    with faking() as fake, pytest.raises(ServerUnreachable, match="does not answer yet") as told:
        checking.look(fake.base, tmp_path, seconds=0.5)
    assert told.value.why and "demo doctor" in told.value.do


def test_a_worker_that_refuses_its_settings_is_told_in_its_words_with_the_mend(tmp_path: Path) -> None:
    from tests.unit.client.fakes import Reply, faking

    with faking() as fake:
        fake.on["/mcp"] = Reply(500, json={"error": "server_error", "error_description": "RATE_CALLS must be a number"})
        seen = checking.look(fake.base, tmp_path, seconds=0.5)
    found = checking.problem(checking.rows(seen))
    assert isinstance(found, ServerUnreachable)
    assert "RATE_CALLS must be a number" in found.what and "variables and secrets" in found.do


def test_a_shop_that_cannot_ask_its_authority_is_not_well() -> None:
    told = {"issuer": "https://auth.example", "problem": "it does not know this shop", "fix": "put the secret"}
    found = checking.problem(checking.rows(replace(WELL, health={"authorization_server": told})))
    assert isinstance(found, ServerUnreachable)
    assert "it does not know this shop" in found.what and found.do == "put the secret"
    health = {"authorization_server": {**told, "problem": None, "introspection": True}}
    well = checking.rows(replace(WELL, health=health))
    assert [row[0] for row in well] == ["ok"] * 5
