"""The sample human: only the pages, exactly their forms, and never another's code."""

from __future__ import annotations

import html
from pathlib import Path

import pytest

from demo.client import SampleHuman
from deputize import OAuthRefused
from deputize.errors import ServerUnreachable
from deputize.evidence import Money
from tests.conftest import HANGS
from tests.unit.client.fakes import ALICE, Fake, Reply, Request, agent_at

CODE = "BCDF-GHJK"
MALLORY = "mallory@example.org"


def page(body: str) -> Reply:
    return Reply(body=f"<!doctype html><h1>Page</h1>{body}".encode(), headers=(("content-type", "text/html"),))


def consent(code: str = CODE, account: str = ALICE, extra: str = "") -> Reply:
    return page(
        f"""<p data-show="client">Shirt <b>Agent</b></p> <p data-show="code">{html.escape(code)}</p>
        <p data-show="account">{account}</p> <p data-show="limit">60.00 USD</p>
        <li data-show="scope" data-scope="shop:buy">Buy</li> <li data-show="scope" data-scope="openid">Know</li>
        <form method="post" action="/consent?step=2"><input type="hidden" name="csrf" value="a&amp;b">
        <input type="checkbox" name="news" value="yes"> <input type="checkbox" name="kept" value="1" checked>
        <input name="off" value="1" disabled> <input type="submit" name="other" value="x">
        <button name="decision" value="approve">Yes</button> <button name="decision" value="deny">No</button>{extra}
        </form>"""
    )


def script(fake: Fake, last: Reply) -> None:
    """Enter the code, sign in, decide: three pages."""
    fake.on["/device"] = page(
        '<form action="/entered" method="post"><input type="hidden" name="csrf" value="c1">'
        '<input name="user_code" value=""><button>Go</button></form>'
    )
    fake.on["/entered"] = page(
        '<form action="/signed-in" method="post"><input type="hidden" name="csrf" value="c2">'
        f'<button name="account" value="{ALICE}">Alice</button>'
        f'<button name="account" value="{MALLORY}">Mallory</button></form>'
    )
    fake.on["/signed-in"] = Reply(
        303, headers=(("location", "/consent"), ("set-cookie", "who=alice; Path=/; HttpOnly"))
    )
    fake.on["/consent"] = lambda request: last if request.method == "GET" else page("<p>Done</p>")


def decide(fake: Fake, approve: bool = True, account: str = ALICE) -> tuple[object, Request]:
    seen = SampleHuman(account, timeout=5.0).decide(f"{fake.base}/device", CODE, approve)
    return seen, fake.requests[-1]


@pytest.mark.parametrize(("approve", "decision"), [(True, "approve"), (False, "deny")])
def test_what_is_submitted_is_what_a_browser_would(approve: bool, decision: str, fake: Fake) -> None:
    script(fake, consent())
    seen, last = decide(fake, approve)
    assert (last.method, last.path) == ("POST", "/consent?step=2")
    assert last.form == {"csrf": ["a&b"], "kept": ["1"], "decision": [decision]}
    assert "who=alice" in last.headers["cookie"]
    assert last.headers["origin"] == fake.base
    assert fake.to("/entered")[0].form == {"csrf": ["c1"], "user_code": [CODE]}
    assert fake.to("/signed-in")[0].form == {"csrf": ["c2"], "account": [ALICE]}
    assert [request.method for request in fake.to("/consent")] == ["GET", "POST"]
    assert seen.__dict__ == {
        "client_name": "Shirt Agent",
        "user_code": CODE,
        "account": ALICE,
        "scopes": ("shop:buy", "openid"),
        "limit": "60.00 USD",
        "purchase": None,
    }


@pytest.mark.parametrize("shown", ["XXXX-XXXX", "", CODE.lower()])
def test_another_code_on_the_page_is_never_approved(shown: str, fake: Fake) -> None:
    script(fake, consent(code=shown))
    with pytest.raises(OAuthRefused) as caught:
        decide(fake)
    assert caught.value.oauth_error == "code_mismatch"
    assert [request.method for request in fake.to("/consent")] == ["GET"], "nothing was decided"


def test_a_page_that_would_decide_as_somebody_else_is_not_used(fake: Fake) -> None:
    script(fake, consent(account=MALLORY))
    with pytest.raises(OAuthRefused):
        decide(fake)
    assert [request.method for request in fake.to("/consent")] == ["GET"]


def test_a_human_without_an_account_there_gets_no_further(fake: Fake) -> None:
    script(fake, consent())
    with pytest.raises(OAuthRefused) as caught:
        decide(fake, account="nobody@example.com")
    assert "nobody@example.com" in caught.value.why
    assert fake.to("/signed-in") == []


@pytest.mark.parametrize("where", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "http://[oops"])
def test_no_form_and_no_redirect_leads_off_the_origin(where: str, fake: Fake) -> None:
    fake.on["/device"] = page(f'<form action="{where}" method="post"><input name="user_code"></form>')
    with pytest.raises(ServerUnreachable):
        decide(fake)
    fake.on["/device"] = Reply(302, headers=(("location", where),))
    with pytest.raises(ServerUnreachable):
        decide(fake)
    assert {request.path for request in fake.requests} == {"/device"}


@pytest.mark.parametrize(
    "odd",
    [
        page("<form>" * 500),
        page("<p data-show='code'>" * 50),
        page("<h1 data-show='code'>x</h1><h1>y</h1><p data-show='a' data-scope='\x1b'>"),
        Reply(404, json={"error": "no"}),
        Reply(500),
        Reply(body=b"\xff\xfe" * 50),
        page('<form method="post"><input name="user_code"></form>'),
    ],
)
def test_odd_pages_end_in_words(odd: Reply, fake: Fake) -> None:
    fake.on["/device"] = odd
    with pytest.raises((OAuthRefused, ServerUnreachable)) as caught:
        decide(fake)
    assert caught.value.why and caught.value.do


def test_pages_that_redirect_without_end_end(fake: Fake) -> None:
    fake.on["/device"] = Reply(302, headers=(("location", "/device"),))
    with pytest.raises(ServerUnreachable) as caught:
        decide(fake)
    assert "without end" in caught.value.why


def test_a_body_goes_along_where_a_redirect_keeps_the_method(fake: Fake) -> None:
    script(fake, consent())
    fake.on["/entered"] = Reply(307, headers=(("location", "/entered2"),))
    fake.on["/entered2"] = consent()
    decide(fake)
    (kept,) = fake.to("/entered2")
    assert (kept.method, kept.form["user_code"]) == ("POST", [CODE])


def test_on_the_real_pages_the_human_sees_what_was_asked_for(base_url: str, tmp_path: Path) -> None:
    agent = agent_at(base_url, tmp_path)
    login = agent.start_login(["openid", "shop:buy"], spending=Money(6000))
    for uri in (f"{login.code.verification_uri}?user_code={login.code.user_code}", login.code.verification_uri):
        wrong = SampleHuman(ALICE)
        with pytest.raises(OAuthRefused):
            wrong.decide(uri, "BBBB-BBBB", True)
    seen = SampleHuman(ALICE).decide(login.code.verification_uri, login.code.user_code, False)
    assert seen.client_name == "Shirt Agent"
    assert set(seen.scopes) == {"openid", "shop:buy"}
    assert seen.limit is not None and "60" in seen.limit
    with pytest.raises(OAuthRefused) as caught:
        agent.finish_login(login, timeout=HANGS)
    assert caught.value.oauth_error == "access_denied"
    assert agent.stored() is None
