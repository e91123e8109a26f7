"""Explaining agrees with what happens: the same verdict, gate, rule and words as a call that is made."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from demo.policy_file import NAME, SHIPPED
from demo.shop import policy
from demo.shop.catalog import BUY, TOOLS
from tests.unit.shop.conftest import World, spending

HUMANS = {"user_alice": "alice@example.com", "user_grace": "grace@example.com", "user_mallory": "mallory@example.org"}
SCOPES = ("shop:read", "orders:read", "shop:buy", "user:read", "demo:mode")
ARGUMENTS = {
    BUY: {"company": "ACME", "mailingAddress": "1 Main St", "tshirtSize": "M"},
    "setDemoMode": {"mode": "normal"},
}


def ask(world: World, asker: str, **question: Any) -> Any:
    """The answer to a question that a human's console asks."""
    token = world.token(
        sub=asker,
        aud=f"{world.base}/account",
        client_id="demo-console",
        act=None,
        scope="sessions:manage",
        sid=f"session_of_{asker}",
        authorization_details=None,
    )
    headers = {"authorization": f"Bearer {token}"}
    return world.http.post(f"{world.base}/policy/explain", json=question, headers=headers)


def explained(world: World, asker: str, **question: Any) -> dict[str, Any]:
    answer = ask(world, asker, **question)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def decided(answer: Any) -> dict[str, Any]:
    body = answer.json()
    found: dict[str, Any] = (
        body["error"]["data"]["decision"] if "error" in body else body["result"]["_meta"]["demo/decision"]
    )
    return found


@given(
    human=st.sampled_from(sorted(HUMANS)),
    asker=st.sampled_from(["themself", "an admin"]),
    tool=st.sampled_from(sorted(TOOLS)),
    scopes=st.one_of(st.just(set(SCOPES)), st.sets(st.sampled_from(SCOPES))),
    limit=st.sampled_from([None, 2_499, 2_500, 7_500]),
    revoked=st.sampled_from([*[None] * 12, "session", "agent", "user", "token"]),
    banned=st.sampled_from([False] * 4 + [True]),
    bought=st.integers(0, 2),
    called=st.integers(0, 4),
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_what_is_explained_is_what_happens(
    world_of_four_calls: World,
    human: str,
    asker: str,
    tool: str,
    scopes: set[str],
    limit: int | None,
    revoked: str | None,
    banned: bool,
    bought: int,
    called: int,
) -> None:
    world, name = world_of_four_calls, secrets.token_hex(4)
    grant: dict[str, Any] = {
        "sub": human,
        "act": {"sub": f"agent_{name}"},
        "sid": f"session_{name}",
        "consent_id": f"consent_{name}",
        "client_id": f"client-{name}",
    }
    before = {**grant, "scope": " ".join(SCOPES), "authorization_details": [spending(10_000, f"{world.base}/mcp")]}
    for number in range(called):
        world.buy(token=world.token(**before)) if number < bought else world.call(
            "getUserInfo", token=world.token(**before)
        )
    if banned:
        world.call("setDemoMode", {"mode": "banned"}, token=world.token(**before))
    details = None if limit is None else [spending(limit, f"{world.base}/mcp")]
    token = world.token(**grant, scope=" ".join(scopes), authorization_details=details, jti=f"jti_{name}")
    if revoked is not None:
        world.auth_server.revoked[f"jti_{name}"] = revoked
        grant["sid"] = f"session_{name}_revoked"  # one that the shop has not heard of, so it asks
        token = world.token(**grant, scope=" ".join(scopes), authorization_details=details, jti=f"jti_{name}")
    told = explained(
        world,
        human if asker == "themself" else "user_grace",
        user=HUMANS[human],
        tool=tool,
        agent=f"agent_{name}",
        client=f"client-{name}",
        session=grant["sid"],
        consent=f"consent_{name}",
        scope=" ".join(scopes),
        **({} if limit is None else {"spending_limit": {"amount": limit, "currency": "USD"}}),
        **({} if revoked is None else {"revoked": revoked}),
    )
    happened = decided(world.call(tool, ARGUMENTS.get(tool, {}), token=token))
    event(happened["rule"])
    same = ("verdict", "gate", "rule", "reason", *(() if happened["rule"] == "limits.rate" else ("remedy",)))
    assert {one: told[one] for one in same} == {one: happened[one] for one in same}
    said = [one["said"] for one in told["gates"]]
    if told["verdict"] == "deny":
        at = ["token", "standing", "allowlist", "scope", "limits"].index(told["gate"])
        assert said == ["passed"] * at + ["refused"] + ["not asked"] * (4 - at)
    else:
        assert said == ["passed"] * 5


@pytest.fixture
def world_of_four_calls(open_world: Callable[..., World]) -> World:
    return open_world(rate_calls=4)


def test_it_is_the_gates_themselves_that_are_asked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of the rules would go on refusing."""
    question = {"user": "mallory@example.org", "tool": "getUserInfo", "scope": "user:read"}
    assert explained(world, "user_grace", **question)["rule"] == "allowlist.user"
    monkeypatch.setattr(policy, "check_allowlist", lambda _: None)
    assert explained(world, "user_grace", **question)["verdict"] == "allow"


def test_nothing_is_counted_recorded_or_done(world: World) -> None:
    question = {"user": "user_alice", "tool": BUY, "agent": "agent_alice", "scope": "shop:buy", "consent": "consent_1",
                "spending_limit": {"amount": 2500, "currency": "USD"}}  # fmt: skip
    first, *_ = [explained(world, "user_alice", **question) for _ in range(12)]
    assert explained(world, "user_alice", **question) == first
    assert world.audit(world.token(sub="user_grace")) == []


def test_the_line_of_the_policy_is_named(open_world: Callable[..., World], tmp_path: Path) -> None:
    text = SHIPPED.text.replace('"alice@example.com",', '"@example.com",\n')
    (tmp_path / NAME).write_text(text)
    world = open_world(policy_folder=tmp_path)

    def line(gate: str, **question: Any) -> tuple[str, str | None]:
        told = explained(world, "user_grace", **question)
        found = next(one for one in told["gates"] if one["gate"] == gate)
        assert (told["policy"]["source"], found["key"]) == (NAME, found["key"])
        return text.splitlines()[found["line"] - 1].strip(), found["text"]

    question = {"user": "alice@example.com", "tool": "getUserInfo", "scope": "user:read"}
    assert line("allowlist", **question) == ('"@example.com",', '"@example.com"')
    assert line("scope", **question)[0] == 'getUserInfo = "user:read"'
    assert line("limits", **question)[1] == "calls = 10"
    assert line("limits", **{**question, "tool": BUY})[0] == "purchases_per_consent = 2"


def test_who_else_is_on_the_list_is_told_to_nobody(world: World) -> None:
    told = explained(world, "user_mallory", user="mallory@example.org", tool=BUY, scope="shop:buy")
    assert told["rule"] == "allowlist.user"
    assert "alice" not in str(told)


@pytest.mark.parametrize(
    ("claims", "status", "error"),
    [
        ({"sub": "user_alice"}, 403, "access_denied"),
        ({"sub": "user_alice", "client_id": "demo-agent"}, 403, "allowlist.client"),
        ({"sub": "user_alice", "act": {"sub": "agent_alice"}}, 403, "allowlist.client"),
        ({"sub": "user_alice", "scope": "shop:read"}, 403, "scope.insufficient"),
        ({"sub": "user_alice", "aud": None}, 401, "token.audience"),
    ],
)
def test_only_a_humans_own_console_asks_and_only_an_admins_about_others(
    world: World, claims: dict[str, Any], status: int, error: str
) -> None:
    console = {"aud": f"{world.base}/account", "client_id": "demo-console", "act": None, "scope": "sessions:manage"}
    given = {**console, **claims}
    if given["aud"] is None:
        given["aud"] = f"{world.base}/mcp"
    headers = {"authorization": f"Bearer {world.token(**given)}"}
    question = {"user": "grace@example.com", "tool": BUY, "scope": "shop:buy"}
    answer = world.http.post(f"{world.base}/policy/explain", json=question, headers=headers)
    told = answer.json()["error"]
    rule = told if isinstance(told, str) else told["data"]["decision"]["rule"]
    assert (answer.status_code, rule) == (status, error)


@pytest.mark.parametrize(
    "body",
    [{}, [], {"user": "user_alice"}, {"user": "user_alice", "tool": "steal"}, {"user": "", "tool": BUY},
     {"user": "user_alice", "tool": BUY, "revoked": "all"}, {"user": "user_alice", "tool": BUY, "scope": 7},
     {"user": "user_alice", "tool": BUY, "spending_limit": {"amount": "7", "currency": "USD"}},
     {"user": "user_alice", "tool": BUY, "and": "more"}],
)  # fmt: skip
def test_a_question_that_is_none_is_a_400(world: World, body: Any) -> None:
    token = world.token(aud=f"{world.base}/account", client_id="demo-console", act=None, scope="sessions:manage")
    headers = {"authorization": f"Bearer {token}"}
    answer = world.http.post(f"{world.base}/policy/explain", json=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
