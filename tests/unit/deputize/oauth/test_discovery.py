"""From a refusal to who may grant: the order of the places that are asked, and what is not believed."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.client import Agent
from demo.errors import REFUSED, UNREACHABLE
from deputize import ClientIdentity, OAuthRefused
from deputize.errors import Remedy, ServerUnreachable
from deputize.evidence import Challenge
from deputize.http.origins import origin, refused_url
from deputize.net import is_loopback
from deputize.oauth.metadata import resource_problem, resource_urls, same_identifier, server_urls
from tests.unit.client.fakes import Fake, Reply, Request, Script, Shop, agent_at, faking

RESOURCE = "/.well-known/oauth-protected-resource"
AUTH_SERVER_PATH = "/.well-known/oauth-authorization-server"


@pytest.fixture
def agent(shop: Shop, tmp_path: Path) -> Agent:
    return agent_at(shop.fake.base, tmp_path, timeout=2.0)


def fetched(shop: Shop) -> list[str]:
    return [request.path for request in shop.fake.requests if request.method == "GET"]


def challenge(**parameters: str) -> Challenge:
    return Challenge(401, "Bearer", tuple(parameters.items()))


def test_the_challenge_leads_to_the_resource_and_that_to_its_authorization_server(shop: Shop, agent: Agent) -> None:
    auth_server = agent.authorization_server()
    assert (auth_server.issuer, auth_server.problem) == (shop.fake.base, None)
    assert fetched(shop) == [f"{RESOURCE}/mcp", AUTH_SERVER_PATH]
    assert agent.authorization_server() is auth_server, "what is known is not asked again"
    assert len(shop.fake.requests) == 3


def test_without_a_hint_the_path_is_inserted_and_then_left_out(shop: Shop, agent: Agent) -> None:
    shop.fake.on[f"{RESOURCE}/mcp"] = Reply(404)
    shop.fake.on[RESOURCE] = lambda _: Reply(json=shop.resource)
    found = agent.discover(challenge())
    assert fetched(shop) == [f"{RESOURCE}/mcp", RESOURCE, AUTH_SERVER_PATH]
    assert found.resource is not None and found.resource.problem is None


def test_a_hint_is_followed_and_nothing_else(shop: Shop, agent: Agent) -> None:
    shop.fake.on["/elsewhere"] = lambda _: Reply(json=shop.resource)
    agent.discover(challenge(resource_metadata=f"{shop.fake.base}/elsewhere"))
    assert fetched(shop) == ["/elsewhere", AUTH_SERVER_PATH]


def test_without_any_resource_metadata_the_servers_own_origin_may_be_the_authorization_server(
    shop: Shop, agent: Agent
) -> None:
    shop.fake.on[f"{RESOURCE}/mcp"] = Reply(404)
    found = agent.discover(challenge())
    assert found.resource is None
    assert found.authorization_server is not None and found.authorization_server.issuer == shop.fake.base


def test_an_authorization_server_that_only_knows_openid_is_found_there(shop: Shop, agent: Agent) -> None:
    shop.fake.on[AUTH_SERVER_PATH] = Reply(404)
    shop.fake.on["/.well-known/openid-configuration"] = lambda _: Reply(json=shop.metadata)
    found = agent.discover(challenge())
    assert found.authorization_server is not None and found.authorization_server.url.endswith("openid-configuration")


def test_an_issuer_with_a_path_has_three_places(shop: Shop, agent: Agent) -> None:
    issuer = f"{shop.fake.base}/tenant"
    shop.resource["authorization_servers"] = [issuer]
    shop.metadata["issuer"] = issuer
    shop.fake.on["/tenant/.well-known/openid-configuration"] = lambda _: Reply(json=shop.metadata)
    found = agent.discover(challenge())
    assert fetched(shop)[1:] == [
        f"{AUTH_SERVER_PATH}/tenant",
        "/.well-known/openid-configuration/tenant",
        "/tenant/.well-known/openid-configuration",
    ]
    assert found.authorization_server is not None and found.authorization_server.problem is None


def test_metadata_for_another_resource_is_not_believed(shop: Shop, agent: Agent) -> None:
    shop.resource["resource"] = "https://bank.example/mcp"
    with pytest.raises(OAuthRefused) as refused:
        agent.authorization_server()
    assert refused.value.exit_code == REFUSED
    assert "bank.example" in refused.value.why and "RFC 9728" in refused.value.why


def test_metadata_of_another_issuer_is_not_believed(shop: Shop, agent: Agent) -> None:
    shop.metadata["issuer"] = "https://mallory.example"
    with pytest.raises(OAuthRefused) as refused:
        agent.start_login(["shop:read"])
    assert "mallory.example" in refused.value.why and "RFC 8414" in refused.value.why
    assert not shop.fake.to("/device_authorization")


def test_metadata_of_no_issuer_is_not_believed(shop: Shop, agent: Agent) -> None:
    del shop.metadata["issuer"]
    with pytest.raises(OAuthRefused, match="no authorization server"):
        agent.authorization_server()


@pytest.mark.parametrize(
    "endpoint",
    ["token_endpoint", "device_authorization_endpoint", "jwks_uri", "revocation_endpoint", "userinfo_endpoint"],
)
@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "http://example.com/x",
        "file:///etc/passwd",
        "https://me:pw@x.example/",
        "//x",
        "http://[",
    ],
)
def test_an_endpoint_that_must_not_be_called_spoils_the_authorization_server(
    shop: Shop, agent: Agent, endpoint: str, url: str
) -> None:
    shop.metadata[endpoint] = url
    found = agent.discover(challenge())
    assert found.authorization_server is not None and found.authorization_server.problem is not None
    assert endpoint in found.authorization_server.problem
    with pytest.raises(OAuthRefused):
        agent.start_login(["shop:read"])


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "http://example.com/", "ftp://example.com", "http://[", "", "https://", "\x1b[2J"]
)
def test_an_issuer_or_a_hint_that_must_not_be_fetched_is_not(shop: Shop, agent: Agent, url: str) -> None:
    shop.resource["authorization_servers"] = [url]
    for followed in (challenge(), challenge(resource_metadata=url or "x:")):
        with pytest.raises(ServerUnreachable) as refused:
            agent.discover(followed)
        assert refused.value.exit_code == UNREACHABLE
        assert refused.value.why and refused.value.do
        assert "\x1b" not in refused.value.what + refused.value.why
    assert all(request.path.startswith(RESOURCE) for request in shop.fake.requests)


def test_a_remote_server_may_not_send_the_agent_to_its_own_machine() -> None:
    for url in (
        "http://127.0.0.1/x",
        "https://localhost/x",
        "http://[::1]:1/x",
        "https://a.localhost/",
        "http://127.9.9.9/",
    ):
        assert refused_url(url, server="https://shop.example/mcp")
        assert refused_url(url, server="http://127.0.0.1:7327/mcp") is None


@pytest.mark.parametrize("place", [f"{RESOURCE}/mcp", AUTH_SERVER_PATH])
def test_a_redirect_to_another_origin_is_not_followed(shop: Shop, agent: Agent, place: str) -> None:
    with faking() as other:
        other.on[place] = Reply(json=shop.resource)
        shop.fake.on[place] = Reply(302, headers=(("location", f"{other.base}{place}"),))
        hint = challenge(resource_metadata=f"{shop.fake.base}{RESOURCE}/mcp")
        with pytest.raises(ServerUnreachable, match="redirects to"):
            if place == AUTH_SERVER_PATH:
                shop.fake.on["/.well-known/openid-configuration"] = shop.fake.on[place]
            agent.discover(hint)
        assert other.requests == []


def test_a_redirect_within_the_origin_is_followed(shop: Shop, agent: Agent) -> None:
    shop.fake.on[f"{RESOURCE}/mcp"] = Reply(302, headers=(("location", "/moved"),))
    shop.fake.on["/moved"] = lambda _: Reply(json=shop.resource)
    assert agent.authorization_server().problem is None


@pytest.mark.parametrize("location", ["", "/x", "http://[", "?a", "#"])
def test_a_redirect_without_end_or_sense_ends(shop: Shop, agent: Agent, location: str) -> None:
    for place in (f"{RESOURCE}/mcp", "/x"):
        shop.fake.on[place] = Reply(302, headers=(("location", location),))
    with pytest.raises(ServerUnreachable):
        agent.discover(challenge(resource_metadata=f"{shop.fake.base}{RESOURCE}/mcp"))
    assert len(shop.fake.requests) < 8


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"<html>", b'"x"', b"\xff\xfe", b"[" * 100_000])
def test_metadata_that_is_none_is_none(shop: Shop, agent: Agent, body: bytes) -> None:
    shop.fake.on[f"{RESOURCE}/mcp"] = shop.fake.on[AUTH_SERVER_PATH] = Reply(body=body)
    with pytest.raises((OAuthRefused, ServerUnreachable)) as refused:
        agent.authorization_server()
    assert refused.value.why and refused.value.do


@pytest.mark.parametrize("value", [7, None, {}, [7, None], "x", [["x"]], True])
def test_metadata_of_other_types_is_survived(shop: Shop, agent: Agent, value: Any) -> None:
    names = {"resource", "authorization_servers", "scopes_supported", "resource_name"}
    for name in names:
        shop.resource = shop.resource | {name: value}
    shop.metadata = dict.fromkeys(shop.metadata, value)
    agent.discover(challenge())


def test_an_authorization_server_in_trouble_is_told_as_one(shop: Shop, agent: Agent) -> None:
    shop.fake.on[AUTH_SERVER_PATH] = shop.fake.on["/.well-known/openid-configuration"] = Reply(503)
    with pytest.raises(ServerUnreachable, match="cannot answer now"):
        agent.authorization_server()


def lists(request: Request) -> Reply:
    """The answer of a server that lists its tools to everybody."""
    result = {"tools": [], "resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
    return Reply(json={"jsonrpc": "2.0", "id": request.json["id"], "result": result})


def unpublished_at(fake: Fake) -> None:
    """Nothing stands at the well-known places."""
    for place in (RESOURCE, f"{RESOURCE}/mcp", AUTH_SERVER_PATH, "/.well-known/openid-configuration"):
        fake.on[place] = Reply(404)


def unpublished(shop: Shop) -> None:
    """Nothing stands at those of the shop."""
    unpublished_at(shop.fake)


def test_only_a_server_that_answers_200_asks_for_no_authorization(shop: Shop, agent: Agent) -> None:
    unpublished(shop)
    shop.fake.on["/mcp"] = lists
    with pytest.raises(OAuthRefused, match="asks for no authorization"):
        agent.authorization_server()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"detail": "only from the office"}', "only from the office"),
        (b"<html><head><title>403 Forbidden</title></head></html>", "403 Forbidden"),
        (b"", "HTTP 403"),
    ],
)
def test_a_403_without_a_challenge_is_a_refusal_in_its_own_words(
    shop: Shop, agent: Agent, body: bytes, words: str
) -> None:
    unpublished(shop)
    shop.fake.on["/mcp"] = Reply(403, body=body)
    with pytest.raises(OAuthRefused, match="does not say how to get access") as refused:
        agent.authorization_server()
    assert words in refused.value.why
    assert not shop.fake.to("/register"), "no endpoints are guessed for who did not ask for a login"


@pytest.mark.parametrize("answer", [lists, Reply(403)])
def test_who_publishes_an_authorization_server_wants_a_login_whatever_a_list_answers(
    shop: Shop, agent: Agent, answer: Reply | Script
) -> None:
    shop.fake.on["/mcp"] = answer
    assert agent.authorization_server().issuer == shop.fake.base
    assert agent.start_login(["shop:read"]).resource == f"{shop.fake.base}/mcp"


@pytest.mark.parametrize(
    ("answer", "words", "do"),
    [
        (Reply(503, json={"error": {"message": "back after the deploy"}}), "back after the deploy", "in a moment"),
        (
            Reply(503, body=b"<html><title>503 Maintenance</title>", headers=(("retry-after", "90"),)),
            "503 Main",
            "90 s",
        ),
        (Reply(503, body=b"no workers left\x1b[2J"), "no workers left", "in a moment"),
        (Reply(429, headers=(("retry-after", "7"),)), "HTTP 429", "7 s"),
        (Reply(429, json={"error": "slow_down", "error_description": "ten a minute"}), "ten a minute", "in a moment"),
    ],
)
def test_a_server_in_trouble_is_unreachable_and_says_why_and_when(
    shop: Shop, agent: Agent, answer: Reply, words: str, do: str
) -> None:
    shop.fake.on["/mcp"] = answer
    with pytest.raises(ServerUnreachable, match="cannot answer now") as refused:
        agent.authorization_server()
    assert words in refused.value.why and do in refused.value.do
    assert "\x1b" not in refused.value.why


@pytest.mark.parametrize("kind", ["text/html", "application/json"])
def test_a_challenge_is_in_the_header_whatever_the_body(shop: Shop, agent: Agent, kind: str) -> None:
    refused = shop.fake.on["/mcp"]
    assert isinstance(refused, Reply)
    page = b"<html><head><title>401 Authorization Required</title></head><body>nginx</body></html>"
    shop.fake.on["/mcp"] = Reply(401, body=page, headers=(*refused.headers, ("content-type", kind)))
    assert agent.authorization_server().issuer == shop.fake.base
    assert agent.call("x", {}, token="none").status == 401


@pytest.mark.parametrize(
    "hint",
    ["{base}/gone", "/gone", "gone", "http://127.0.0.1:9/closed", "https://example.com:0/", "null", "{base}/other"],
)
def test_a_hint_that_leads_nowhere_does_not_hide_the_well_known_places(shop: Shop, agent: Agent, hint: str) -> None:
    with faking() as other:
        shop.resource["authorization_servers"] = [other.base]
        shop.fake.on["/other"] = Reply(json={"resource": "https://bank.example/mcp"})
        other.on[AUTH_SERVER_PATH] = Reply(json={"issuer": other.base, "token_endpoint": f"{other.base}/token"})
        found = agent.discover(challenge(resource_metadata=hint.format(base=shop.fake.base)))
        assert found.authorization_server is not None and found.authorization_server.issuer == other.base
        assert shop.fake.to(f"{RESOURCE}/mcp") and not shop.fake.to(AUTH_SERVER_PATH)


def test_a_relative_hint_is_followed_as_seen_from_the_server(shop: Shop, agent: Agent) -> None:
    shop.fake.on["/elsewhere"] = lambda _: Reply(json=shop.resource)
    agent.discover(challenge(resource_metadata="/elsewhere"))
    assert fetched(shop)[0] == "/elsewhere"
    assert not shop.fake.to(f"{RESOURCE}/mcp")


@pytest.mark.parametrize("answer", [Reply(503), Reply(429), Reply(body=b"<html>")])
def test_the_endpoints_of_2025_03_26_are_guessed_only_where_all_places_say_there_are_none(
    shop: Shop, agent: Agent, answer: Reply
) -> None:
    unpublished(shop)
    shop.fake.on[f"{RESOURCE}/mcp"] = answer
    with pytest.raises(ServerUnreachable):
        agent.authorization_server()


@pytest.mark.parametrize("wrong", [{}, {"issuer": "https://mallory.example", "resource": "https://mallory.example/"}])
def test_a_document_for_somebody_else_is_passed_over(shop: Shop, agent: Agent, wrong: dict[str, str]) -> None:
    shop.fake.on[f"{RESOURCE}/mcp"] = shop.fake.on[AUTH_SERVER_PATH] = Reply(json=wrong)
    shop.fake.on[RESOURCE] = lambda _: Reply(json=shop.resource)
    shop.fake.on["/.well-known/openid-configuration"] = lambda _: Reply(json=shop.metadata)
    found = agent.discover(challenge())
    assert found.resource is not None and (found.resource.problem, found.resource.url) == (
        None,
        f"{shop.fake.base}{RESOURCE}",
    )
    assert found.authorization_server is not None and found.authorization_server.url.endswith("openid-configuration")


@pytest.mark.parametrize("first", ["none", "gone", "broken", "silent", "another's", "no URL", "no login"])
def test_the_first_authorization_server_that_can_be_used_is_used(shop: Shop, agent: Agent, first: str) -> None:
    with faking() as other:
        answers = {
            "none": Reply(404),
            "broken": Reply(503),
            "silent": Reply(wait=5.0),
            "another's": Reply(json={"issuer": "https://mallory.example"}),
            "no login": Reply(json={"issuer": other.base, "token_endpoint": f"{other.base}/token"}),
        }
        for place in (AUTH_SERVER_PATH, "/.well-known/openid-configuration"):
            other.on[place] = answers.get(first, Reply(404))
        named = {"gone": "http://127.0.0.1:9", "no URL": "javascript:alert(1)"}.get(first, other.base)
        shop.resource["authorization_servers"] = [named, shop.fake.base]
        assert agent.authorization_server().issuer == shop.fake.base


@pytest.mark.parametrize("named", [[], ["{other}"], ["{other}", "{other}/a"]])
def test_where_no_authorization_server_can_be_used_each_is_named(shop: Shop, agent: Agent, named: list[str]) -> None:
    with faking() as other:
        issuers = [one.format(other=other.base) for one in named]
        shop.resource["authorization_servers"] = issuers
        unpublished_at(other)
        if not named:
            unpublished_at(shop.fake)
            shop.fake.on[f"{RESOURCE}/mcp"] = lambda _: Reply(json=shop.resource)
        with pytest.raises(OAuthRefused, match="names no authorization server") as refused:
            agent.authorization_server()
    assert all(issuer in refused.value.why for issuer in issuers)
    assert named or "names none" in refused.value.why


@pytest.mark.parametrize(
    ("host", "port", "path", "advised"),
    [
        ("localhost", None, "/mcp", True),
        ("[::1]", None, "/mcp/", True),
        ("localhost", None, "/other", False),
        ("localhost", 1, "/mcp", False),
        ("shop.example", None, "/mcp", False),  # somebody else's name is no advice of ours
    ],
)
def test_a_server_asked_by_another_name_of_this_machine_is_named_as_it_names_itself(
    shop: Shop, agent: Agent, host: str, port: int | None, path: str, advised: bool
) -> None:
    """RFC 9728 section 3.3: `resource` has to be what was asked for, and `localhost` is not `127.0.0.1`."""
    its = f"http://{host}:{port or urlsplit(shop.fake.base).port}{path}"
    shop.resource["resource"] = its
    with pytest.raises(OAuthRefused) as refused:
        agent.authorization_server()
    assert its in refused.value.why
    assert (refused.value.remedy == Remedy("check_server", server=its)) is advised


def test_the_authorization_server_that_knows_the_agent_goes_first(shop: Shop, tmp_path: Path) -> None:
    shop.resource["authorization_servers"] = ["https://first.example", shop.fake.base]
    identity = ClientIdentity("by-hand", issuer=f"{shop.fake.base}/")
    agent = agent_at(shop.fake.base, tmp_path, client_id=None, identity=identity)
    assert agent.start_login(["shop:read"]).identity.client_id == "by-hand"
    assert not [one for one in agent.recorder.exchanges if "first.example" in one.url]


@pytest.mark.parametrize("place", [f"{RESOURCE}/mcp", AUTH_SERVER_PATH])
def test_json_that_is_sent_as_a_web_page_is_read(shop: Shop, agent: Agent, place: str) -> None:
    told = shop.resource if place == f"{RESOURCE}/mcp" else shop.metadata
    shop.fake.on[place] = Reply(json=told, headers=(("content-type", "text/html; charset=utf-8"),))
    assert agent.authorization_server().issuer == shop.fake.base


def test_what_is_null_is_absent(shop: Shop, agent: Agent) -> None:
    nothing = dict.fromkeys(["scopes_supported", "resource_name", "dpop_signing_alg_values_supported"])
    shop.resource |= nothing
    names = ["jwks_uri", "revocation_endpoint", "grant_types_supported", "token_endpoint_auth_methods_supported"]
    shop.metadata |= dict.fromkeys(names)
    shop.fake.on["/mcp"] = Reply(401, headers=(("www-authenticate", 'Bearer scope="null", resource_metadata=null'),))
    assert agent.authorization_server().grant_types_supported == ("authorization_code", "implicit")
    assert agent.wanted_scopes() == ()
    shop.device |= {"interval": None, "verification_uri_complete": None}
    assert agent.start_login([]).code.interval == 5.0


def test_a_401_without_a_challenge_still_leads_to_the_well_known_places(shop: Shop, agent: Agent) -> None:
    shop.fake.on["/mcp"] = Reply(401)
    assert agent.authorization_server().issuer == shop.fake.base


def test_a_server_without_any_metadata_has_the_endpoints_of_2025_03_26(shop: Shop, agent: Agent) -> None:
    shop.fake.on["/mcp"] = Reply(401)
    for place in (RESOURCE, f"{RESOURCE}/mcp", AUTH_SERVER_PATH, "/.well-known/openid-configuration"):
        shop.fake.on[place] = Reply(404)
    found = agent.authorization_server()
    assert found.issuer == shop.fake.base
    assert found.authorization_endpoint == f"{shop.fake.base}/authorize"
    assert found.token_endpoint == f"{shop.fake.base}/token"
    assert found.registration_endpoint == f"{shop.fake.base}/register"
    assert agent.choose_flow().flow.name == "browser"


def test_a_stored_login_remembers_its_authorization_server(server: str, tmp_path: Path) -> None:
    from tests.unit.client.fakes import log_in

    log_in(agent_at(server, tmp_path))
    again = agent_at(server, tmp_path)
    assert again.authorization_server().issuer == server
    assert [exchange.method for exchange in again.recorder.exchanges] == ["GET"]


def test_the_real_server_is_found_by_its_own_challenge(server: str, tmp_path: Path) -> None:
    agent = agent_at(server, tmp_path)
    outcome = agent.call("listMcpShopInventory", {}, token="none")
    assert outcome.challenge is not None and outcome.status == 401
    found = agent.discover(outcome.challenge)
    assert found.resource is not None and found.authorization_server is not None
    assert (found.resource.resource, found.resource.problem) == (f"{server}/mcp", None)
    assert (found.authorization_server.issuer, found.authorization_server.problem) == (server, None)
    assert found.authorization_server.device_authorization_endpoint is not None


def test_places_are_in_the_order_of_the_standards() -> None:
    assert resource_urls("https://a.example/x/mcp", None) == (
        "https://a.example/.well-known/oauth-protected-resource/x/mcp",
        "https://a.example/.well-known/oauth-protected-resource",
    )
    assert resource_urls("https://a.example/mcp", "https://b.example/m") == (
        "https://b.example/m",
        "https://a.example/.well-known/oauth-protected-resource/mcp",
        "https://a.example/.well-known/oauth-protected-resource",
    )
    assert server_urls("https://a.example/") == (
        "https://a.example/.well-known/oauth-authorization-server",
        "https://a.example/.well-known/openid-configuration",
    )


@pytest.mark.parametrize(
    ("told", "fits"),
    [
        ("https://a.example/mcp", True),
        ("https://a.example/mcp/", True),
        ("https://a.example", True),
        ("https://a.example/", True),
        ("https://a.example/mc", False),
        ("https://a.example/mcp/x", False),
        ("https://b.example/mcp", False),
        ("http://a.example/mcp", False),
        ("https://a.example:444/mcp", False),
        ("https://a.example.mallory.example/mcp", False),
        ("https://a.example@mallory.example/mcp", False),
        ("", False),
    ],
)
def test_which_resources_are_this_server(told: str, fits: bool) -> None:
    assert (resource_problem(told, "https://a.example/mcp") is None) is fits


def test_an_issuer_is_compared_to_the_letter() -> None:
    assert same_identifier("https://a.example", "https://a.example/")
    assert not same_identifier("https://a.example/x", "https://a.example/x/")
    assert not same_identifier("https://a.example", "https://A.example")


@given(st.text() | st.text("htps:/@[]%.#?0127loca", max_size=30).map(lambda rest: f"http://{rest}"))
def test_no_url_makes_the_checks_fail(url: str) -> None:
    where = origin(url)
    refusal = refused_url(url, server="http://127.0.0.1:1/mcp")
    if refusal is None:
        assert where is not None
        assert where[0] == "https" or is_loopback(where[1])
