"""`demo audit`: one trail of consents, decisions and revocations, by filters, and as OCSF."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from demo.cli import auditing
from demo.client.audit.trail import moment
from deputize.errors import UsageError
from tests.conftest import Command

BUY = ("company=Acme", "mailingAddress=1 Main St", "tshirtSize=M")


def events(demo: Command, *filters: str) -> list[dict[str, Any]]:
    said = demo("audit", "--json", *filters)
    assert said.returncode == 0, said.stderr
    told = json.loads(said.stdout)
    assert told["not_known"] is None
    found: list[dict[str, Any]] = told["events"]
    return found


def test_consents_decisions_and_revocations_are_one_trail(demo: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert demo("login", "--deny").returncode != 0
    assert demo("login").returncode == 0
    bought = json.loads(demo("call", "buyMcpShopItem", *BUY, "--json").stdout)["decision"]
    assert demo("revoke", "--session").returncode == 0
    assert demo("call", "buyMcpShopItem", *BUY).returncode != 0

    told = events(demo)
    about = [(one["kind"], one["said"]) for one in told if one["user"] is not None and one["kind"] != "dispatch"]
    assert about[:4] == [
        ("consent", "denied"),
        ("consent", "granted"),
        ("decision", "allow"),
        ("revocation", "revoked"),
    ]
    assert [one["at"] for one in told] == sorted(one["at"] for one in told)
    granted = next(one for one in told if one["said"] == "granted")
    assert (granted["session"], granted["agent"]) == (bought["session"], bought["agent"])
    assert granted["spending_limit"] == {"amount": 6000, "currency": "USD"}
    revoked = next(one for one in told if one["kind"] == "revocation")
    assert (revoked["session"], revoked["agent"]) == (bought["session"], bought["agent"])

    good = events(demo, "--verdict", "allow")
    assert {one["said"] for one in good} - {"sent"} == {"allow", "granted"}
    assert {one["agent"] for one in events(demo, "--agent", bought["agent"])} == {bought["agent"]}
    assert events(demo, "--agent", "agent_none") == []
    monkeypatch.setattr(auditing, "FOLLOW_SECONDS", 0.0)
    for name, its in ((bought["agent"], True), ("Shirt Agent", True), ("Nobody's", False)):
        followed = [
            json.loads(line) for line in demo("audit", "--follow", "--agent", name, "--json").stdout.splitlines()
        ]
        assert (bought["audit_id"] in {one["audit_id"] for one in followed}) is its
        assert {one["agent"] for one in followed} <= {bought["agent"], None}, "a revocation of a session names no agent"
    assert {one["username"] for one in events(demo, "--user", "alice@example.com")} == {"alice@example.com"}
    later = f"{granted['at'] + 1e-3:.6f}"
    assert ("consent", "denied") not in [(one["kind"], one["said"]) for one in events(demo, "--since", later)]
    assert events(demo, "--limit", "1") == told[-1:]
    assert demo("audit", "--since", "the other day").returncode == 2
    assert demo("audit", "--agent", "x", "verify").returncode == 2

    exported = demo("audit", "export", "--format", "ocsf")
    assert exported.returncode == 0, exported.stderr
    kinds = [json.loads(line)["class_uid"] for line in exported.stdout.splitlines()]
    assert (kinds.count(3003), kinds.count(3005)) == (2, 1)
    assert kinds.count(6003) == len([one for one in told if one["kind"] in ("decision", "dispatch")])
    settled = [(one["said"], one["what"]) for one in told if one["kind"] == "dispatch"]
    assert set(settled) <= {(said, bought["order_id"]) for said in ("sent", "cancelled")}


def test_a_moment_is_read_as_somebody_types_it() -> None:
    now = 1_800_000_000.0
    typed = {"30s": 30, "10m": 600, "2h": 7200, "3d": 3 * 86400}
    assert {text: now - moment(text, lambda: now) for text in typed} == typed
    assert moment("2026-11-30T10:00:00+00:00") == datetime(2026, 11, 30, 10, tzinfo=UTC).timestamp()
    assert moment("2026-11-30") == time.mktime((2026, 11, 30, 0, 0, 0, 0, 0, -1))
    assert moment("1796038816.5") == 1796038816.5
    for wrong in ("", "yesterday", "-1h", "10", "99999999999d ago", "nan", "1e9"):
        with pytest.raises(UsageError):
            moment(wrong)
