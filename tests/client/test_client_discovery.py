"""From a refusal to the authority: the order of places, and what must not be trusted or fetched on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from demo.client import OAuthRefused
from demo.client.discovery import authority_urls, resource_problem, resource_urls, same_identifier
from demo.client.origins import is_loopback, refused_url
from demo.errors import ServerUnreachable
from demo.evidence import Challenge
from tests.client.fakes import Reply, Shop, agent_at

RESOURCE = "/.well-known/oauth-protected-resource"
AUTHORITY = "/.well-known/oauth-authorization-server"
OIDC = "/.well-known/openid-configuration"


def follow(shop: Shop, folder: Path, **parameters: str) -> Challenge:
    agent = agent_at(shop.fake.base, folder)
    return agent.discover(Challenge(401, "Bearer", tuple(parameters.items())))


def paths(shop: Shop) -> list[str]:
    return [request.path for request in shop.fake.requests]


def test_the_resource_is_looked_for_where_the_challenge_says_else_by_path_then_at_the_root() -> None:
    assert resource_urls("https://s.example/a/mcp", "https://s.example/meta") == ("https://s.example/meta",)
    assert resource_urls("https://s.example/a/mcp", None) == (
        f"https://s.example{RESOURCE}/a/mcp",
        f"https://s.example{RESOURCE}",
    )
    assert resource_urls("https://s.example/", None) == (f"https://s.example{RESOURCE}",)


def test_an_issuer_with_a_path_is_looked_for_in_three_places_in_their_order() -> None:
    assert authority_urls("https://a.example/t1") == (
        f"https://a.example{AUTHORITY}/t1",
        f"https://a.example{OIDC}/t1",
        f"https://a.example/t1{OIDC}",
    )
    assert authority_urls("https://a.example") == (f"https://a.example{AUTHORITY}", f"https://a.example{OIDC}")


def test_the_whole_way_is_walked_and_on_record(shop: Shop, tmp_path: Path) -> None:
    agent = agent_at(shop.fake.base, tmp_path)
    refused = agent.tools(token="none")
    assert refused.challenge is not None
    found = agent.discover(refused.challenge)
    assert found.resource is not None and found.authority is not None
    assert found.resource.resource == f"{shop.fake.base}/mcp"
    assert found.authority.issuer == shop.fake.base
    assert (found.resource.problem, found.authority.problem) == (None, None)
    assert paths(shop) == ["/mcp", f"{RESOURCE}/mcp", AUTHORITY]
    assert [exchange.status for exchange in agent.recorder.exchanges] == [401, 200, 200]


def test_without_a_hint_the_well_known_places_are_tried(shop: Shop, tmp_path: Path) -> None:
    shop.fake.on[RESOURCE] = shop.fake.on.pop(f"{RESOURCE}/mcp")
    assert follow(shop, tmp_path).resource is not None
    assert paths(shop) == [f"{RESOURCE}/mcp", RESOURCE, AUTHORITY]


def test_openid_discovery_serves_where_there_is_nothing_else(shop: Shop, tmp_path: Path) -> None:
    shop.fake.on[OIDC] = shop.fake.on.pop(AUTHORITY)
    found = follow(shop, tmp_path)
    assert found.authority is not None and found.authority.url.endswith(OIDC)


def test_without_any_resource_metadata_the_origin_is_asked_as_the_authority(shop: Shop, tmp_path: Path) -> None:
    del shop.fake.on[f"{RESOURCE}/mcp"]
    found = follow(shop, tmp_path)
    assert found.resource is None
    assert found.authority is not None and found.authority.problem is None


def test_metadata_of_another_resource_is_not_trusted_and_no_login_begins(shop: Shop, tmp_path: Path) -> None:
    shop.resource["resource"] = "https://bank.example/mcp"
    found = follow(shop, tmp_path)
    assert found.resource is not None and "RFC 9728 section 3.3" in (found.resource.problem or "")
    with pytest.raises(OAuthRefused) as caught:
        agent_at(shop.fake.base, tmp_path).start_login(["shop:read"])
    assert "bank.example" in caught.value.why
    assert shop.fake.to("/device_authorization") == []


def test_metadata_of_another_issuer_is_not_trusted_and_no_login_begins(shop: Shop, tmp_path: Path) -> None:
    shop.authority["issuer"] = "https://evil.example"
    found = follow(shop, tmp_path)
    assert found.authority is not None and "RFC 8414 section 3.3" in (found.authority.problem or "")
    with pytest.raises(OAuthRefused):
        agent_at(shop.fake.base, tmp_path).start_login(["shop:read"])
    assert shop.fake.to("/device_authorization") == []


@pytest.mark.parametrize(
    "url", ["http://evil.example/token", "file:///etc/passwd", "https://user:pw@evil.example/t", "//x"]
)
def test_an_endpoint_that_must_not_be_used_makes_the_authority_untrusted(url: str, shop: Shop, tmp_path: Path) -> None:
    shop.authority["token_endpoint"] = url
    found = follow(shop, tmp_path)
    assert found.authority is not None and "token_endpoint" in (found.authority.problem or "")


@pytest.mark.parametrize("hint", ["file:///etc/passwd", "http://10.0.0.1/x", "javascript:1", "http://[oops"])
def test_a_hint_that_leads_astray_is_not_followed(hint: str, shop: Shop, tmp_path: Path) -> None:
    with pytest.raises(ServerUnreachable):
        follow(shop, tmp_path, resource_metadata=hint)
    assert shop.fake.requests == []


def test_a_redirect_within_the_origin_is_followed_and_one_away_is_not(shop: Shop, tmp_path: Path) -> None:
    shop.fake.on["/moved"] = Reply(302, headers=(("location", f"{RESOURCE}/mcp"),))
    assert follow(shop, tmp_path, resource_metadata=f"{shop.fake.base}/moved").resource is not None
    shop.fake.on["/moved"] = Reply(302, headers=(("location", "https://evil.example/meta"),))
    with pytest.raises(ServerUnreachable) as caught:
        follow(shop, tmp_path, resource_metadata=f"{shop.fake.base}/moved")
    assert "evil.example" in caught.value.what


def test_an_endless_redirect_ends(shop: Shop, tmp_path: Path) -> None:
    shop.fake.on["/round"] = Reply(302, headers=(("location", "/round"),))
    with pytest.raises(ServerUnreachable) as caught:
        follow(shop, tmp_path, resource_metadata=f"{shop.fake.base}/round")
    assert "without end" in caught.value.why
    assert len(shop.fake.to("/round")) == 4


@pytest.mark.parametrize("junk", [[], "x", {"resource": 7}, {"resource": ["a"], "authorization_servers": "x"}])
def test_metadata_of_an_odd_shape_is_not_trusted(junk: Any, shop: Shop, tmp_path: Path) -> None:
    shop.fake.on[f"{RESOURCE}/mcp"] = Reply(json=junk)
    found = follow(shop, tmp_path)
    assert found.resource is None or found.resource.problem is not None


def test_a_server_that_asks_for_no_authority_is_said_to(shop: Shop, tmp_path: Path) -> None:
    shop.fake.on["/mcp"] = Reply(403)
    with pytest.raises(OAuthRefused) as caught:
        agent_at(shop.fake.base, tmp_path).start_login(["shop:read"])
    assert "asks for no authority" in caught.value.what and caught.value.do


def test_a_remote_server_cannot_send_the_agent_to_its_own_machine() -> None:
    remote, local = "https://shop.example/mcp", "http://127.0.0.1:7327/mcp"
    for url in (
        "http://127.0.0.1:22/",
        "http://localhost/",
        "http://[::1]:80/",
        "https://127.1.2.3/",
        "http://a.localhost/",
    ):
        assert refused_url(url, server=remote), url
        assert refused_url(url, server=local) is None, url
    assert refused_url("http://shop.example/", server=local)
    assert refused_url("https://shop.example/", server=local) is None


def test_loopback_is_told_by_meaning_and_not_by_look() -> None:
    assert all(map(is_loopback, ("localhost", "LOCALHOST.", "127.0.0.1", "127.9.9.9", "::1", "[::1]")))
    assert not any(map(is_loopback, ("127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1", "", "0.0.0.0")))


def test_identifiers_are_compared_as_they_are_written() -> None:
    assert same_identifier("https://a.example", "https://a.example/")
    assert not same_identifier("https://a.example/x", "https://a.example/x/")
    assert not same_identifier("https://A.example", "https://a.example")


def test_a_resource_may_be_the_server_or_what_it_lies_under() -> None:
    server = "https://s.example/a/mcp"
    for fine in (server, f"{server}/", "https://s.example/a", "https://s.example", "https://s.example/"):
        assert resource_problem(fine, server) is None, fine
    for wrong in (
        "https://s.example/b",
        "https://s.example/a/m",
        "http://s.example/a/mcp",
        "https://s.example.evil/a",
        "",
    ):
        assert resource_problem(wrong, server), wrong
