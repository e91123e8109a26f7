"""The audit log: who authorized what, when, through which agent; and who may read it."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from tests.contract.issuer import ALICE, GRACE, MALLORY
from tests.contract.shop import Shop, challenge_of, order_of, refusal, result

FIELDS = {
    "audit_id",
    "at",
    "verdict",
    "gate",
    "rule",
    "reason",
    "remedy",
    "door",
    "tool",
    "arguments",
    "user",
    "username",
    "agent",
    "handed_on_by",
    "client",
    "session",
    "consent",
    "token_id",
    "order_id",
    "correlation",
    "trace_id",
}


def reader(shop: Shop, human: str = ALICE) -> str:
    return shop.token(shop.grant(human=human, scope=("audit:read",)))


def test_every_decision_is_on_record_under_its_answers_id_in_the_order_made(shop: Shop) -> None:
    grant = shop.grant()
    token = shop.token(grant)
    answers = [
        shop.call("getUserInfo", token=token),
        shop.post("tools/list", token=token),
        shop.call("getUserInfo", token=None),
        shop.buy(token=token),
        shop.buy(token=shop.token(shop.grant(scope=("shop:read",)))),
        shop.call("listMcpShopInventory", token=None, path="/open/mcp"),
    ]
    ids = [answer.headers["demo-audit-id"] for answer in answers]
    entries = shop.entries(reader(shop))[-6:]
    assert [entry["audit_id"] for entry in entries] == ids
    assert [entry["rule"] for entry in entries] == [
        "allowed",
        "allowed",
        "token.missing",
        "allowed",
        "scope.insufficient",
        "open.anonymous",
    ]
    assert [entry["gate"] for entry in entries] == ["limits", "allowlist", "token", "limits", "scope", "door"]
    assert [entry["at"] for entry in entries] == sorted(entry["at"] for entry in entries)
    assert all(set(entry) == FIELDS for entry in entries)
    assert entries[2] == answers[2].json()["error"]["data"]["decision"]
    assert entries[3] == result(answers[3])["_meta"]["demo/decision"]
    assert entries[5] == result(answers[5])["_meta"]["demo/decision"]


def test_an_order_leads_back_to_the_consent_that_allowed_it(shop: Shop) -> None:
    grant = shop.grant()
    token = shop.token(grant, jti=f"token_traced_{time.time()}")
    asked = time.time()
    order = order_of(shop.buy(token=token))
    answered = time.time()
    (entry,) = [entry for entry in shop.entries(reader(shop)) if entry["order_id"] == order["id"]]
    assert (entry["verdict"], entry["tool"], entry["door"]) == ("allow", "buyMcpShopItem", "protected")
    assert entry["reason"] == f"Every gate passed for {ALICE} through {grant.session.client_id}."
    assert entry["remedy"] is None
    session = grant.session
    assert {name: entry[name] for name in ("user", "username", "agent", "client", "session", "consent")} == {
        "user": session.sub,
        "username": ALICE,
        "agent": grant.agent,
        "client": session.client_id,
        "session": session.id,
        "consent": session.consent_id,
    }
    assert entry["token_id"].startswith("token_traced_")
    for at in (entry["at"], order["at"]):
        assert asked - 0.001 <= at <= answered  # the Worker's times are of whole milliseconds


def test_the_log_holds_a_digest_and_no_address(shop: Shop) -> None:
    grants = [shop.token() for _ in range(2)]
    ids = [
        shop.buy(token=token, mailingAddress=f"{number}21B Baker Street").headers["demo-audit-id"]
        for number, token in enumerate(grants)
    ]
    answer = shop.audit(reader(shop), limit=1000)
    assert "Baker" not in answer.text
    digests = [entry["arguments"] for entry in answer.json()["entries"] if entry["audit_id"] in ids]
    assert len(set(digests)) == 2
    assert all(digest.startswith("sha256:") and len(digest) == 23 for digest in digests)


def test_the_digest_is_of_the_canonical_json_of_the_arguments(shop: Shop) -> None:
    import hashlib
    import json

    arguments = {"tshirtSize": "M", "company": "Žluťoučký 🐎", "mailingAddress": "улица 1"}
    token = shop.token()
    for given in (arguments, {**arguments, "company": "deleted\x7f"}):  # which no tool takes, and is on record
        answer = shop.call("buyMcpShopItem", given, token=token)
        canonical = json.dumps(given, sort_keys=True, separators=(",", ":")).encode()
        expected = f"sha256:{hashlib.sha256(canonical).hexdigest()[:16]}"
        assert result(answer)["_meta"]["demo/decision"]["arguments"] == expected


def test_a_user_sees_their_own_and_what_is_nobodys_and_an_admin_sees_all(shop: Shop) -> None:
    tokens = [shop.token(), shop.token(shop.grant(human=MALLORY)), "rubbish.rubbish.rubbish", None]
    ids = [shop.call("getUserInfo", token=token).headers["demo-audit-id"] for token in tokens]
    ids.append(shop.call("getUserInfo", token=None, path="/open/mcp").headers["demo-audit-id"])
    seen = [entry for entry in shop.entries(reader(shop), limit=1000) if entry["audit_id"] in ids]
    assert [entry["user"] for entry in seen] == ["user_alice", None, None, None]
    seen = [entry for entry in shop.entries(reader(shop, GRACE), limit=1000) if entry["audit_id"] in ids]
    assert [entry["user"] for entry in seen] == ["user_alice", "user_mallory", None, None, None]


def test_reading_on_begins_after_the_last_entry_read(shop: Shop) -> None:
    token, who = reader(shop), shop.token()
    ids = [shop.call("listMcpShopInventory", token=who).headers["demo-audit-id"] for _ in range(4)]
    assert [entry["audit_id"] for entry in shop.entries(token, after=ids[0])] == ids[1:]
    assert shop.entries(token, after=ids[3]) == []


def test_a_reader_is_given_no_more_than_the_limit(shop: Shop) -> None:
    token, who = reader(shop), shop.token()
    ids = [shop.call("listMcpShopInventory", token=who).headers["demo-audit-id"] for _ in range(4)]

    def read(**query: Any) -> list[str]:
        return [entry["audit_id"] for entry in shop.audit(token, **query).json()["entries"]]

    first = read(after=ids[0], limit=2)
    assert len(first) == 2 and first == read(after=ids[0])[:2]  # of those after one, the first
    before, newest, after = read(limit=1000), read(limit=2), read(limit=1000)
    while before != after:  # what became of an order came in between
        before, newest, after = after, read(limit=2), read(limit=1000)
    assert newest == after[-2:]


def test_reading_is_not_on_record_but_for_a_read_that_is_refused(shop: Shop) -> None:
    token = reader(shop)
    shop.entries(token)
    last = shop.entries(token, limit=1)
    assert shop.entries(token, limit=1) == last
    answer = shop.audit(None)
    assert (answer.status_code, refusal(answer)["rule"]) == (401, "token.missing")
    assert (challenge_of(answer) or {})["scope"] == "audit:read"
    assert shop.entries(token, limit=1)[0]["audit_id"] == answer.headers["demo-audit-id"]


@pytest.mark.parametrize(
    ("human", "scope", "rule"),
    [(ALICE, ("shop:read",), "scope.insufficient"), (MALLORY, ("audit:read",), "allowlist.user")],
)
def test_reading_passes_the_gates(shop: Shop, human: str, scope: tuple[str, ...], rule: str) -> None:
    answer = shop.audit(shop.token(shop.grant(human=human, scope=scope)))
    assert (answer.status_code, refusal(answer)["rule"]) == (403, rule)
    assert answer.json()["id"] is None


@pytest.mark.parametrize(
    "query",
    [
        *({"limit": "0"}, {"limit": "1001"}, {"limit": "many"}, {"limit": "1.5"}, {"after": "audit_none"}),
        *({"verdict": "maybe"}, {"since": "yesterday"}, {"since": "nan"}),
    ],
)
def test_a_question_that_makes_no_sense_is_said_to(shop: Shop, query: dict[str, Any]) -> None:
    answer = shop.audit(reader(shop), **query)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert answer.json()["error_description"]


def test_nobody_learns_by_reading_on_whether_an_entry_of_somebody_else_exists(shop: Shop) -> None:
    """OWASP API1:2023: one that is somebody else's is answered as one that does not exist."""
    theirs = shop.call("getUserInfo", token=shop.token(shop.grant(human=GRACE))).headers["demo-audit-id"]
    real, made_up = (shop.audit(reader(shop), after=after) for after in (theirs, "audit_none"))
    assert (real.status_code, real.json()) == (made_up.status_code, made_up.json())
    assert shop.audit(reader(shop, GRACE), after=theirs).status_code == 200


def test_a_tools_name_cannot_write_into_a_terminal(shop: Shop) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "\x1b[31mred\x1b[0m" + "x" * 500}}
    headers = {"authorization": f"Bearer {shop.token()}", "accept": "application/json, text/event-stream"}
    shop.http.post(f"{shop.base}/mcp", json=body, headers=headers)
    tool = shop.entries(reader(shop), limit=1)[0]["tool"]
    assert len(tool) <= 60
    assert tool.isprintable()


def test_a_reader_is_given_only_what_they_ask_for(shop: Shop) -> None:
    grant = shop.grant(scope=("shop:read",))
    token = shop.token(grant)
    before = shop.entries(reader(shop))
    begun = before[-1]["at"] if before else 0.0
    shop.call("listMcpShopInventory", token=token)
    shop.buy(token=token)  # refused: its scope
    shop.call("getUserInfo", token=None)
    shop.call("listMcpShopInventory", token=shop.token(shop.grant(human=GRACE, scope=("shop:read",))))
    admin, fresh = reader(shop, GRACE), {"since": f"{begun + 1e-4:.6f}"}

    def rules(token: str, **asked: Any) -> list[str]:
        return [entry["rule"] for entry in shop.entries(token, **fresh, **asked)]

    assert rules(admin) == ["allowed", "scope.insufficient", "token.missing", "allowed"]
    assert rules(admin, verdict="deny") == ["scope.insufficient", "token.missing"]
    agent = shop.entries(admin, **fresh)[0]["agent"]
    assert rules(admin, agent=agent) == ["allowed", "scope.insufficient"]
    assert rules(admin, user=shop.entries(admin, **fresh)[0]["user"]) == ["allowed", "scope.insufficient"]
    assert rules(admin, verdict="deny", agent=agent, limit=1) == ["scope.insufficient"]
    assert rules(admin, agent="agent_none") == []
    # Another's is not found by asking for it.
    assert rules(reader(shop), user=shop.entries(admin, **fresh)[-1]["user"]) == []
    later = {"since": f"{time.time() + 3600:.0f}"}
    assert shop.entries(admin, **later) == []


TRACE, OTHER = "4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c"


def _part_of(trace: str) -> dict[str, str]:
    return {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}


@pytest.mark.parametrize(
    ("sent", "meta", "known_by", "trace"),
    [
        (_part_of(TRACE), {}, TRACE, TRACE),
        ({}, _part_of(TRACE), TRACE, TRACE),  # SEP-414
        (_part_of(TRACE), _part_of(OTHER), TRACE, TRACE),
        (_part_of("0" * 32) | {"x-request-id": "req-17"}, {}, "req-17", None),
        ({"x-request-id": "req-17"}, {"traceparent": 17}, "req-17", None),
        ({"x-request-id": "<script>"}, _part_of("<script>"), None, None),
        ({}, {}, None, None),
    ],
)
def test_an_entry_has_the_id_by_which_the_client_knows_the_request(
    shop: Shop, sent: dict[str, str], meta: dict[str, Any], known_by: str | None, trace: str | None
) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}
    headers = {"authorization": f"Bearer {shop.token()}", "accept": "application/json, text/event-stream"}
    answer = shop.http.post(f"{shop.base}/mcp", json=body, headers=headers | sent)
    entry = shop.entries(reader(shop), limit=1)[0]
    assert (entry["audit_id"], entry["trace_id"]) == (answer.headers["demo-audit-id"], trace)
    if known_by is None:
        assert re.fullmatch("[0-9a-f]{32}", entry["correlation"])
    else:
        assert entry["correlation"] == known_by
