"""No secret that the client ever held can be read from what it recorded, or from what its objects print as."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.client import Agent, SampleHuman
from deputize import Recorder, Secret
from deputize.evidence import Money
from deputize.http.exchange import HttpExchange
from deputize.http.redaction import SECRET_FIELDS, mask_body, mask_header, mask_text, mask_url
from tests.conftest import console_at
from tests.unit.client.fakes import ALICE, SHIRT, Reply, Shop, agent_at, granted, log_in, store_in

JWT = "eyJhbGciOiJFUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiJ1c2VyX2FsaWNlIn0.c2lnbmF0dXJlLW9mLXRoaXM"


@pytest.fixture
def everything_sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[HttpExchange]]:
    """Every exchange as it was, of every recorder."""
    seen: list[HttpExchange] = []
    original = Recorder.add

    def add(self: Recorder, raw: HttpExchange) -> None:
        seen.append(raw)
        original(self, raw)

    monkeypatch.setattr(Recorder, "add", add)
    yield seen


def test_a_login_a_purchase_refreshes_and_a_revocation_leave_no_secret_in_any_record(
    base_url: str, tmp_path: Path, everything_sent: list[HttpExchange]
) -> None:
    store = store_in(tmp_path, base_url)
    agent = Agent(base_url, store=store)
    console = console_at(base_url, store)
    login, first, human = log_in(agent, spending=Money(6000))
    controller = SampleHuman(ALICE)
    secrets = {login.device_code, first.access_token, first.refresh_token}

    bought = agent.call("buyMcpShopItem", SHIRT)
    assert bought.order is not None
    chain = agent.chain(agent.token(), "bought a shirt")
    second = agent.refresh()
    short = agent.refresh(requested_expires_in=30, keep=False)
    rival = agent.redeem(short, client_id="demo-rival")
    assert rival[0] == 400
    console.sign_in(controller)
    (session,) = [one for one in console.sessions() if one.agent]
    console.revoke("session", session.id)
    refused = agent.call("listMcpShopInventory", {}, token=Secret(second.access_token))
    assert refused.status == 401
    trail = console.audit()
    view = agent.view(second)
    assert agent.logout() is None

    for token in (second, short, store.get("console")):
        assert token is not None
        secrets |= {token.access_token, token.refresh_token}
    # Whatever is called a token anywhere on the wire is one, also those that no method gives out.
    for raw in everything_sent:
        if raw.response_body and b"_token" in raw.response_body and raw.header("content-type") == "application/json":
            answered = json.loads(raw.response_body)
            secrets |= {answered.get(name) for name in ("access_token", "refresh_token", "id_token")}
        for name, value in (*raw.request_headers, *raw.response_headers):
            if name.lower() in ("cookie", "set-cookie"):
                secrets.add(value.partition(";")[0].partition("=")[2])
    found = {secret for secret in secrets if secret}
    assert len(found) >= 12

    recorders = (agent.recorder, console.agent.recorder, human.recorder, controller.recorder)
    exchanges = [exchange for recorder in recorders for exchange in recorder.exchanges]
    assert len(exchanges) == len(everything_sent) > 30
    kept = json.dumps([asdict(exchange) for exchange in exchanges])
    shown = kept + repr((login, first, second, short, view, chain, bought, refused, trail, session, recorders))
    shown += repr(everything_sent) + f"{first}{second}{short}{Secret(first.access_token)}"
    for secret in found:
        for form in (secret, quote(secret, safe="")):
            assert form not in shown
    # The signatures neither, alone.
    for secret in found:
        if secret.count(".") == 2:
            assert secret.rpartition(".")[2] not in shown


def test_what_is_no_secret_stays_readable(base_url: str, tmp_path: Path) -> None:
    agent = agent_at(base_url, tmp_path)
    login, _, human = log_in(agent)
    bodies = " ".join(exchange.request_body or "" for exchange in agent.recorder.exchanges)
    assert "scope=openid+shop%3Aread" in bodies
    assert "grant_type=urn%3Aietf" in bodies
    assert login.code.user_code in " ".join(exchange.response_body or "" for exchange in human.recorder.exchanges)


def test_an_answer_that_repeats_the_token_is_masked_everywhere(shop: Shop, tmp_path: Path) -> None:
    secret = "opaque-token-0123456789"
    shop.polls(granted(access_token=secret))
    agent = agent_at(shop.fake.base, tmp_path)
    agent.finish_login(agent.start_login(["shop:read"]))

    def echo(request: object) -> Reply:
        result = {
            "content": [{"type": "text", "text": f"you sent {secret}"}],
            "structuredContent": {"you sent": [secret]},
            "resultType": "complete",
        }
        headers = (("x-echo", f"Bearer {secret}"), ("www-authenticate", f'Bearer error_description="{secret}"'))
        return Reply(json={"jsonrpc": "2.0", "id": request.json["id"], "result": result}, headers=headers)  # type: ignore[attr-defined]

    shop.fake.on["/mcp"] = echo
    outcome = agent.call("echo", {})
    assert outcome.text == "you sent [masked]"
    assert secret not in repr(outcome)
    assert secret not in repr(agent.recorder.exchanges)


@given(st.text(min_size=1), st.sampled_from(sorted(SECRET_FIELDS)), st.text())
def test_a_secret_field_of_json_is_masked_whatever_its_value(value: str, name: str, other: str) -> None:
    body = json.dumps({"kept": other, "inner": [{name: f"S3CRET{value}"}]})
    shown = json.loads(mask_body(body, "application/json"))
    assert shown["kept"] == mask_text(other)
    assert "S3CRET" not in shown["inner"][0][name]


@given(st.text())
def test_masking_survives_every_text(text: str) -> None:
    for kind in ("application/json", "application/x-www-form-urlencoded", "text/html", ""):
        mask_body(text, kind)
    mask_url(text)
    mask_header("authorization", text)
    mask_header("location", text)


def test_half_a_token_response_is_masked_too() -> None:
    cut = '{"token_type": "Bearer", "access_token": "opaque-secret-of-some-le'
    assert "opaque" not in mask_body(cut, "application/json")


def test_a_jwt_in_free_text_is_shortened() -> None:
    shown = mask_text(f"your token {JWT} has expired")
    assert JWT not in shown
    assert "eyJhbG" in shown and f"({len(JWT)} characters)" in shown


def test_headers_keep_their_shape_without_their_secret() -> None:
    assert mask_header("Authorization", f"Bearer {JWT}").startswith("Bearer eyJhbG")
    assert mask_header("Authorization", "Basic dXNlcjpwYXNz") == "Basic [masked]"
    assert mask_header("Set-Cookie", "sid=abc; Path=/; HttpOnly") == "sid=[masked]"
    assert mask_header("Mcp-Session-Id", "0123456789abcdef") == "[masked]"
    assert (
        mask_url("https://shop.example/messages?session_id=abc") == "https://shop.example/messages?session_id=[masked]"
    )
    assert mask_header("Location", "/cb?code=abc&state=1") == "/cb?code=[masked]&state=1"


def test_urls_lose_passwords_codes_and_tokens_in_fragments() -> None:
    assert mask_url("https://user:pass@a.example/x") == "https://[masked]@a.example/x"
    assert "abc" not in mask_url("https://a.example/cb#access_token=abc&state=1")


def test_a_hidden_secret_of_a_form_is_masked_and_the_form_stays() -> None:
    page = '<form><input type="hidden" name="csrf" value="s3cret"><input name="user_code" value="BCDF"></form>'
    shown = mask_body(page, "text/html; charset=utf-8")
    assert "s3cret" not in shown
    assert 'name="csrf"' in shown and 'value="BCDF"' in shown
