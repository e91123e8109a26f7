"""The sample human in the browser flow: the authorization server's real pages, as far as the client's redirect URI."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from demo.client import SampleHuman
from deputize import OAuthRefused
from deputize.errors import ServerUnreachable
from tests.unit.client.fakes import ALICE, Fake, Reply

CALLBACK = "http://127.0.0.1:9/callback"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(b"v" * 43).digest()).decode().rstrip("=")


def link(base: str, **values: str) -> str:
    given = {
        "response_type": "code",
        "client_id": "demo-agent",
        "redirect_uri": CALLBACK,
        "scope": "openid shop:buy",
        "resource": f"{base}/mcp",
        "state": "s1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **values,
    }
    return f"{base}/oauth2/authorize?{urlencode(given)}"


def told(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def test_a_sample_human_approves_and_says_where_the_authorization_server_sent_them(base_url: str) -> None:
    seen, url = SampleHuman(ALICE).authorize(link(base_url), True)
    assert (seen.client_name, seen.account, seen.user_code, seen.limit) == ("Shirt Agent", ALICE, "", "50.00 USD")
    assert seen.scopes == ("openid", "shop:buy")
    assert url.startswith(f"{CALLBACK}?") and told(url)["code"] and told(url)["iss"] == base_url


def test_a_sample_human_denies(base_url: str) -> None:
    _, url = SampleHuman(ALICE).authorize(link(base_url), False)
    assert told(url)["error"] == "access_denied" and told(url)["state"] == "s1" and "code" not in told(url)


def test_a_request_that_is_sent_back_unasked_is_refused_with_the_authorization_servers_words(base_url: str) -> None:
    with pytest.raises(OAuthRefused) as caught:
        SampleHuman(ALICE).authorize(link(base_url, scope="shop:own"), True)
    assert caught.value.oauth_error == "invalid_scope" and "no such scope" in (caught.value.why or "")


def test_a_request_that_cannot_be_trusted_is_said_to_be_so(base_url: str) -> None:
    with pytest.raises(OAuthRefused, match="cannot decide") as caught:
        SampleHuman(ALICE).authorize(link(base_url, client_id="unknown"), True)
    assert "cannot be trusted" in (caught.value.why or "")


@pytest.mark.parametrize(
    "onward", ["http://evil.example/callback?code=x", f"{CALLBACK}.evil/?code=x", f"{CALLBACK}2?code=x"]
)
def test_a_sample_human_goes_nowhere_but_to_the_client(onward: str, fake: Fake) -> None:
    fake.on["/oauth2/authorize"] = Reply(303, headers=(("location", onward),))
    with pytest.raises(ServerUnreachable, match="lead to"):
        SampleHuman(ALICE, timeout=5.0).authorize(link(fake.base), True)
    assert [urlsplit(request.path).path for request in fake.requests] == ["/oauth2/authorize"]


def test_an_authorization_server_that_answers_a_decision_with_a_page_did_not_lead_back(fake: Fake) -> None:
    html = (("content-type", "text/html"),)
    fake.on["/oauth2/authorize"] = Reply(
        body=b'<form method="post" action="/decided"><button name="decision" value="approve">Yes</button></form>',
        headers=html,
    )
    fake.on["/decided"] = Reply(body=b"<h1>Done</h1>", headers=html)
    with pytest.raises(OAuthRefused, match="did not lead back"):
        SampleHuman(ALICE, timeout=5.0).authorize(link(fake.base), True)
