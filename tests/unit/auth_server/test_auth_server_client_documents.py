"""Client ID metadata documents: a client known by the URL of its own description, and what may be fetched at all."""

from __future__ import annotations

import asyncio
import json
import time
from importlib.resources import files

import pytest

from demo.auth_server.clients import document_fetch
from demo.auth_server.clients.document_fetch import DocumentRefused, Fetcher, fresh_seconds
from tests.conftest import HANGS

from .conftest import CALLBACK, DEVICE_CODE
from .document_host import certificate, document_host


@pytest.fixture
def host():
    with document_host() as host:
        yield host


@pytest.fixture
def house(make_house, host):
    """A server to which the host of the document is another of its own names: plain http is asked of no other."""
    with make_house(aliases=(host.base,)) as house:
        yield house


def test_a_client_of_a_document_is_shown_as_unverified_with_its_host_and_gets_tokens(house, host, read_claims):
    walk = house.authorize(client_id=host.url).sign_in()
    shown = walk.forms.shown
    assert shown["client"] == ["Stranger"] and shown["host"] == [host.base.removeprefix("http://")]
    assert shown["redirect"] == [CALLBACK] and "unverified" in shown
    token = house.exchange(walk.decide().told["code"], client_id=host.url).json()
    found = read_claims(token["access_token"])
    assert found["client_id"] == host.url and found["act"]["sub"].startswith("agent_")
    assert house.refresh(token["refresh_token"], host.url).status_code == 200
    sessions = house.http.get("/account/sessions", headers=house.console()).json()["sessions"]
    assert (sessions[0]["client"], sessions[0]["client_name"]) == (host.url, "Stranger")
    path, headers = host.asked[0]
    assert path == "/agent/client.json" and headers["Accept"] == "application/json"
    assert not {"Cookie", "Authorization", "Origin", "Referer"} & set(headers)


def test_a_document_serves_the_device_flow_as_well_and_holds_its_client_to_its_grants(house, host):
    refused = house.ask(client_id=host.url)
    assert (refused.status_code, refused.json()["error"]) == (400, "unauthorized_client")
    host.changes = {"grant_types": [DEVICE_CODE]}
    house.clock.forward(300)
    asked = house.ask(client_id=host.url).json()
    browser = house.browser()
    browser.consent(asked["user_code"])
    assert browser.forms.shown["client"] == ["Stranger"] and "host" in browser.forms.shown
    browser.submit("/device/consent", decision="approve")
    assert house.redeem(asked["device_code"], host.url).status_code == 200


@pytest.mark.parametrize(
    ("header", "again"),
    [(None, 300), ("max-age=60", 60), ("public, max-age=99999999", 86400), ("no-store", 0), ("max-age=0", 0)],
)
def test_a_document_is_read_again_when_its_time_is_over(house, host, header, again):
    if header is not None:
        host.headers["Cache-Control"] = header
    house.authorize(client_id=host.url)
    assert len(host.asked) == 1
    if again:
        house.clock.forward(again - 1)
        house.authorize(client_id=host.url)
        assert len(host.asked) == 1
        house.clock.forward(1)
    host.changes = {"client_name": "Renamed", "redirect_uris": ["http://127.0.0.1/other"]}
    assert house.authorize(client_id=host.url).page.status_code == 400  # the redirect URI is its no more
    assert len(host.asked) == 2
    walk = house.authorize(client_id=host.url, redirect_uri="http://127.0.0.1:1/other").sign_in()
    assert walk.forms.shown["client"] == ["Renamed"]


def test_a_document_that_is_gone_lets_nobody_in_any_more_but_ends_no_session(house, host):
    token = house.exchange(house.code(client_id=host.url), client_id=host.url).json()
    house.clock.forward(300)
    host.status = 404
    assert "not answered with 200" in house.authorize(client_id=host.url).page.text
    assert house.refresh(token["refresh_token"], host.url).status_code == 200


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ({"status": 404}, "not answered with 200"),
        ({"status": 302, "headers": {"Location": "/agent/client.json"}}, "redirects are not followed"),
        ({"headers": {"Content-Type": "text/html"}}, "content type is not JSON"),
        ({"headers": {"Content-Type": "application/json", "Content-Encoding": "gzip"}}, "compressed"),
        ({"body": b"{"}, "not JSON"),
        ({"body": b"[" * 3000}, "not JSON"),
        ({"body": b"[]"}, "not a JSON object"),
        ({"body": b" " * 6000}, "longer than 5120 bytes"),
        ({"changes": {"client_id": "https://elsewhere.example/client.json"}}, "client_id is not the URL"),
        ({"changes": {"client_id": None}}, "client_id is not the URL"),
        ({"changes": {"client_secret": "x"}}, "client secret"),
        ({"changes": {"token_endpoint_auth_method": "private_key_jwt"}}, "token_endpoint_auth_method is one of: none"),
        ({"changes": {"token_endpoint_auth_method": "client_secret_basic"}}, "is one of: none"),
        ({"changes": {"redirect_uris": ["javascript:alert(1)"]}}, "redirect URI"),
        ({"changes": {"redirect_uris": None}}, "redirect URI"),
        ({"changes": {"grant_types": ["password"]}}, "grant_types"),
    ],
)
def test_a_document_that_is_none_gets_a_page_that_says_why_and_a_device_the_same_words(house, host, setting, why):
    for name, value in setting.items():
        setattr(host, name, value)
    walk = house.authorize(client_id=host.url)
    assert walk.left is None and walk.page.status_code == 400 and why in walk.page.text
    told = house.ask(client_id=host.url)
    assert told.json()["error"] == "invalid_client" and why in told.json()["error_description"]


def test_a_host_that_drips_its_answer_is_waited_for_within_a_bound_and_stops_nobody_else(house, host, monkeypatch):
    monkeypatch.setattr(document_fetch, "SECONDS", 1.0)
    host.drip = True
    began = time.monotonic()
    assert "did not answer within" in house.ask(client_id=host.url).json()["error_description"]
    assert time.monotonic() - began < HANGS
    host.drip = False
    assert house.authorize(client_id=host.url).page.status_code == 200


@pytest.fixture
def gone():
    """A host of documents that does not listen, as without a network."""
    with document_host() as host:
        pass
    return host


def test_without_a_network_a_program_of_this_machine_logs_in_as_one_of_whom_nothing_was_read(make_house, gone):
    with make_house(aliases=(gone.base,)) as house:
        walk = house.authorize(client_id=gone.url).sign_in()
        shown = walk.forms.shown
        assert shown["client"] == [gone.url] and "unverified" in shown
        assert shown["host"] == [gone.base.removeprefix("http://")]
        assert "cannot reach" in walk.page.text
        token = house.exchange(walk.decide().told["code"], client_id=gone.url).json()
        assert house.refresh(token["refresh_token"], gone.url).status_code == 200


def test_without_a_network_what_a_document_said_last_counts_for_a_program_of_this_machine(house, host, monkeypatch):
    house.code(client_id=host.url)
    house.clock.forward(300)
    monkeypatch.setattr(document_fetch, "SECONDS", 0.5)
    host.drip = True
    assert house.authorize(client_id=host.url).sign_in().forms.shown["client"] == ["Stranger"]
    elsewhere = house.authorize(client_id=host.url, redirect_uri="http://127.0.0.1:1/other")
    assert elsewhere.left is None and elsewhere.page.status_code == 400


def test_what_was_not_read_once_is_read_when_it_can_be(house, host, monkeypatch):
    monkeypatch.setattr(document_fetch, "SECONDS", 0.5)
    host.drip = True
    assert house.authorize(client_id=host.url).sign_in().forms.shown["client"] == [host.url]
    host.drip = False
    assert house.authorize(client_id=host.url).sign_in().forms.shown["client"] == ["Stranger"]
    host.status = 404  # an answer, and it is no: nothing is done without that document
    house.clock.forward(300)
    assert house.authorize(client_id=host.url).page.status_code == 400


@pytest.mark.parametrize(
    "back", ["https://agent.example/callback", "cursor://callback", "http://127.0.0.1.agent.example/"]
)
def test_without_its_document_nobody_is_sent_anywhere_but_to_this_machine(make_house, gone, back):
    with make_house(aliases=(gone.base,)) as house:
        walk = house.authorize(client_id=gone.url, redirect_uri=back)
        assert walk.left is None and walk.page.status_code == 400 and "cannot be reached" in walk.page.text
        assert house.ask(client_id=gone.url).json()["error"] == "invalid_client"


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/client.json", "https://localhost/client.json", "https://[::1]/client.json",
        "http://agent.example/client.json", "http://10.0.0.1/client.json", "http://169.254.169.254/latest/meta-data",
        "https://169.254.169.254/latest/meta-data", "https://10.1.2.3/c", "https://192.168.0.1/c", "https://[fd00::1]/c",
        "https://[::ffff:127.0.0.1]/c", "https://[64:ff9b::7f00:1]/c", "https://2130706433/c", "https://0.0.0.0/c",
        "https://agent.example", "https://agent.example/", "https://agent.example/a/../c", "https://agent.example/%2e/c",
        "https://user@agent.example/c", "https://user:word@agent.example/c", "https://agent.example/c#x",
        "https://agent.example:99999/c", "https://agent.example/\\c", "https://" + "a" * 600 + "/c",
        "http://127.0.0.1:1@agent.example/c",
    ],
)  # fmt: skip
def test_what_is_not_to_be_asked_is_not_asked(house, url):
    walk = house.authorize(client_id=url)
    assert walk.left is None and walk.page.status_code == 400
    assert house.ask(client_id=url).json()["error"] == "invalid_client"


def test_over_plain_http_this_server_itself_is_asked_and_no_other(host):
    port, own = host.base.rpartition(":")[2], frozenset({host.base, f"http://[::1]:{host.base.rpartition(':')[2]}"})
    for name in ("a.localhost", "localhost", "localhost.", "127.0.0.2", "127.1", "[::ffff:127.0.0.1]"):
        with pytest.raises(DocumentRefused, match="http at this server itself"):
            asyncio.run(Fetcher(own).fetch(f"http://{name}:{port}/client.json"))
    with pytest.raises(DocumentRefused, match="http at this server itself"):
        asyncio.run(Fetcher(frozenset()).fetch(host.url))
    assert host.asked == []
    for allowed in ("127.0.0.1", "[::1]"):
        Fetcher(own).check_url(f"http://{allowed}:{port}/client.json")


def test_documents_asked_for_from_one_address_are_counted(house, host):
    host.headers["Cache-Control"] = "no-store"
    answers = [house.ask(client_id=host.url).json()["error_description"] for _ in range(31)]
    assert len(host.asked) == 30 and "too many documents" in answers[-1]


def test_an_https_document_is_fetched_from_the_address_that_was_checked_under_the_name_that_was_asked(tmp_path):
    served, trusting = certificate(tmp_path, "agent.example")
    asked: list[str] = []

    async def addresses(name: str, port: int) -> list[str]:
        asked.append(name)
        return ["127.0.0.1"]

    def fetcher(permitted: bool = True) -> Fetcher:
        return Fetcher(frozenset(), addresses=addresses, permitted=lambda _: permitted, tls=lambda: trusting)

    with document_host(served, "agent.example") as host:
        document = asyncio.run(fetcher().fetch(host.url))
        assert document.content["client_id"] == host.url and asked == ["agent.example"]
        assert host.asked[0][1]["Host"] == host.base.removeprefix("https://")
        with pytest.raises(DocumentRefused, match="not on the public internet"):
            asyncio.run(fetcher(permitted=False).fetch(host.url))
        with pytest.raises(DocumentRefused, match="cannot be reached"):  # the certificate is of another name
            asyncio.run(fetcher().fetch(host.url.replace("agent.example", "other.example")))
        assert len(host.asked) == 1


def test_one_private_address_among_public_ones_is_enough_to_refuse():
    async def addresses(name: str, port: int) -> list[str]:
        return ["93.184.215.14", "10.0.0.1"]

    with pytest.raises(DocumentRefused, match="not on the public internet"):
        asyncio.run(Fetcher(frozenset(), addresses=addresses).fetch("https://agent.example/c"))


def test_cache_control_in_its_spellings():
    assert fresh_seconds('Public, Max-Age="10"') == 10
    assert fresh_seconds("max-age=soon") == 300 == fresh_seconds("")
    assert fresh_seconds("max-age=5, no-cache") == 0


def test_the_local_server_publishes_our_own_document_and_it_is_the_shipped_one_but_for_its_name(base_url):
    import httpx2

    from demo.auth_server.clients.metadata import read_metadata

    answer = httpx2.get(f"{base_url}/client.json", verify=False)
    published = answer.json()
    assert answer.headers["content-type"] == "application/json" and answer.headers["cache-control"] == "max-age=300"
    assert published["client_id"] == f"{base_url}/client.json" and published["client_name"] == "Shirt Agent"
    shipped = json.loads((files("demo") / "client_metadata.json").read_text("utf-8"))
    assert {**published, "client_id": shipped["client_id"]} == shipped
    assert shipped["client_id"].startswith("https://")
    assert len(json.dumps(shipped)) < document_fetch.LONGEST_DOCUMENT
    supported = (DEVICE_CODE, "authorization_code", "refresh_token")
    read = read_metadata(published, supported=supported, auth_methods=("none",), default_auth_method="none")
    assert read.grant_types == supported
    assert read.application_type == "native"
    asked = httpx2.post(
        f"{base_url}/oauth2/device_authorization",
        data={"client_id": published["client_id"], "scope": "openid"},
        verify=False,
    )
    assert asked.status_code == 200  # the authorization server fetched it from the server that it is part of


@pytest.mark.parametrize("name", ["scope", "client_secret", "client_secret_expires_at", "token_endpoint_auth_method"])
def test_null_in_a_document_is_absent(house, host, name):
    host.changes = {name: None}
    token = house.exchange(house.code(client_id=host.url), client_id=host.url)
    assert token.status_code == 200
