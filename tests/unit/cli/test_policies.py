"""`demo policy`: a file to change, its faults, and what the shop would decide, before and after a change of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from demo.policy_file import NAME, SHIPPED
from demo.shop import policy_in_force
from tests.conftest import Command

QUOTA = "purchases_per_consent = 2"


def told(demo: Command, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(demo("--json", "policy", *arguments).stdout)
    return found


def test_a_file_is_made_checked_and_shown_and_nothing_of_it_is_overwritten(demo: Command) -> None:
    assert told(demo, "show") == {"schema": 1, "source": "shipped", "digest": SHIPPED.digest, "text": SHIPPED.text}
    assert demo("policy", "check").returncode == 0
    made = Path(told(demo, "init")["file"])
    assert made == demo.state / NAME
    made.write_text(SHIPPED.text.replace(QUOTA, "purchases_per_consent = 1"))
    assert told(demo, "init")["error"]["exit_code"] == 2
    changed = told(demo, "show")
    assert (changed["source"], changed["text"]) == (NAME, made.read_text())
    assert told(demo, "check")["digest"] == changed["digest"] != SHIPPED.digest
    assert demo("policy", "show", "--shipped").stdout == SHIPPED.text
    made.write_text(SHIPPED.text.replace(QUOTA, "purchases = 1"))
    refused = told(demo, "check")["error"]
    assert refused["exit_code"] == 2
    assert "line 37: quota.purchases" in refused["why"]


def test_a_file_that_is_none_is_a_refusal(demo: Command, tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        assert told(demo, "check", str(path))["error"]["exit_code"] == 2


def test_what_would_be_decided_follows_the_login_the_file_and_the_revocation(
    demo: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy_in_force, "LOOK_SECONDS", 0.0)
    asked = ("explain", "--tool", "buyMcpShopItem")
    assert told(demo, *asked)["rule"] == "token.missing"
    assert demo("login").returncode == 0
    allowed = told(demo, *asked)
    assert (allowed["verdict"], allowed["source"]) == ("allow", "shipped")
    assert told(demo, *asked, "--scope", "shop:read")["rule"] == "scope.insufficient"
    (demo.state / NAME).write_text(SHIPPED.text.replace(QUOTA, "purchases_per_consent = 0"))
    refused = told(demo, *asked)
    line = next(one for one in refused["gates"] if one["gate"] == "limits")
    assert (refused["rule"], line["line"], line["text"]) == ("limits.quota", 37, "purchases_per_consent = 0")
    assert demo("revoke", "--agent").returncode == 0
    assert told(demo, *asked)["rule"] == "standing.agent"
    (demo.state / NAME).write_text(SHIPPED.text.replace(QUOTA, "purchases = 0"))
    findings = json.loads(demo("--json", "doctor").stdout)["findings"]
    (policy,) = (one for one in findings if one["name"] == "policy")
    assert (policy["mark"], "quota.purchases" in policy["detail"]) == ("bad", True)


def test_an_admin_asks_about_anybody_and_nobody_else_does(demo: Command) -> None:
    asked = ("explain", "--tool", "getUserInfo", "--user", "mallory@example.org", "--scope", "user:read")
    assert told(demo, *asked)["error"]["exit_code"] == 4
    assert told(demo, *asked, "--account", "grace@example.com")["rule"] == "allowlist.user"
    assert told(demo, *asked, "--account", "mallory@example.org")["rule"] == "allowlist.user", "she may know why"


@pytest.mark.parametrize(
    "line",
    ["explain --tool steal", "explain --tool getUserInfo --user mallory@example.org --account grace@example.com"],
)
def test_a_question_that_cannot_be_asked_is_a_refusal(demo: Command, line: str) -> None:
    assert told(demo, *line.split())["error"]["exit_code"] == 2
