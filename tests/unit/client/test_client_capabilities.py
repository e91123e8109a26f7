"""What a server can do is told by what it answers: a yes or a no has its evidence, the rest is not known."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.client.capabilities import Survey, survey, table
from demo.evidence.shop import Capability
from demo.settings.tools import VERBS
from tests.conftest import HANGS
from tests.unit.client.fakes import Reply, Shop, agent_at, faking
from tests.unit.talk.foreign_servers import AuthServer, corner_shop, listening

NAMES = {verb: verb for verb in VERBS}


def looked_at(url: str, folder: Path) -> tuple[Survey, dict[tuple[str, str], Capability]]:
    """A look at a server, and its rows by standard and subject."""
    agent = agent_at(url, folder)
    seen = survey(agent)
    return seen, {(row.standard, row.what): row for row in table(seen, NAMES)}


@pytest.fixture
def foreign() -> Iterator[str]:
    with listening(corner_shop(), AuthServer(revocation=True)) as url:
        yield url


def test_the_bundled_server_is_known_for_what_it_is(base_url: str, tmp_path: Path) -> None:
    seen, rows = looked_at(base_url, tmp_path)
    assert (seen.ours, seen.requires_token, seen.reports_decisions, seen.failures) == (True, True, True, ())
    for row in (
        ("MCP 2026-07-28", "stateless requests"),
        ("MCP 2025-06-18", "initialize handshake"),
        ("MCP", "a door without auth"),
        ("RFC 9728", "protected resource metadata"),
        ("RFC 8628", "device login"),
        ("RFC 7662", "token introspection"),
        ("the shop", "an audit trail to read"),
        ("the shop", "tool buyMcpShopItem"),
        ("the shop", "which scope each tool takes"),
    ):
        assert rows[row].supported is True, row
        assert rows[row].request and rows[row].response
    assert rows["RFC 9068", "access tokens that can be read"].supported is None


def test_a_server_without_auth_is_told_from_its_open_answer(tmp_path: Path) -> None:
    with listening(corner_shop()) as url:
        seen, rows = looked_at(url, tmp_path)
    assert (seen.ours, seen.requires_token, seen.reports_decisions) == (False, False, False)
    assert rows["MCP", "a door without auth"].supported is True
    assert rows["RFC 6750", "a challenge to who has no token"].supported is False
    assert rows["RFC 8628", "device login"].supported is None, "no metadata says neither yes nor no"
    assert rows["the shop", "tool getUserInfo"].supported is False


def test_a_strangers_authorization_server_is_read_from_its_metadata(foreign: str, tmp_path: Path) -> None:
    seen, rows = looked_at(foreign, tmp_path)
    assert seen.requires_token is True
    wanted = {
        ("RFC 8628", "device login"): True,
        ("RFC 6749", "browser login (authorization code)"): False,
        ("RFC 7636", "PKCE with S256"): False,
        ("RFC 7591", "dynamic client registration"): True,
        ("RFC 7009", "token revocation"): True,
        ("RFC 7662", "token introspection"): False,
        ("the shop", "says what its gates decided"): False,
        ("the shop", "an audit trail to read"): False,
        ("the shop", "tool buyMcpShopItem"): None,
        ("MCP 2026-07-28", "stateless requests"): None,
    }
    assert {row: rows[row].supported for row in wanted} == wanted


def test_looking_changes_nothing(tmp_path: Path) -> None:
    auth_server = AuthServer(code=True)
    with listening(corner_shop(), auth_server) as url:
        agent = agent_at(url, tmp_path)
        survey(agent)
        methods = [json.loads(one.request_body)["method"] for one in agent.recorder.exchanges if one.request_body]
    assert not auth_server.registered and not auth_server.asked_scopes
    assert set(methods) <= {"tools/list", "server/discover", "initialize", "notifications/initialized"}
    assert {one.method for one in agent.recorder.exchanges} <= {"GET", "POST", "DELETE"}


def test_metadata_that_must_not_be_trusted_makes_nothing_a_yes(tmp_path: Path) -> None:
    with faking() as fake:
        shop = Shop(fake)
        shop.metadata["issuer"] = "http://127.0.0.1:1"
        _, rows = looked_at(f"{fake.base}/mcp", tmp_path)
    assert rows["RFC 8414", "authorization server metadata"].supported is False
    assert rows["RFC 8628", "device login"].supported is None


def test_what_a_server_sends_cannot_move_the_cursor(tmp_path: Path) -> None:
    with faking() as fake:
        shop = Shop(fake)
        shop.metadata["revocation_endpoint"] = f"{fake.base}/\x1b[2Jrevoke"
        fake.on["/jwks"] = Reply(json={"keys": [{"alg": "\x1b]0;title\x07"}]})
        _, rows = looked_at(f"{fake.base}/mcp", tmp_path)
    assert not any("\x1b" in f"{row.standard}{row.what}{row.request}{row.response}" for row in rows.values())


def test_a_stored_token_is_used_and_never_shown(base_url: str, tmp_path: Path) -> None:
    from tests.unit.client.fakes import log_in

    agent = agent_at(base_url, tmp_path)
    _, token, _ = log_in(agent)
    seen = survey(agent)
    rows = table(seen, NAMES)
    by_name = {(row.standard, row.what): row for row in rows}
    assert by_name["RFC 9068", "access tokens that can be read"].supported is True
    assert by_name["RFC 8707", "a token bound to this server"].supported is True
    assert token.access_token not in json.dumps([row.to_dict() for row in rows])
    assert token.access_token not in repr(seen)


def test_a_server_that_does_not_answer_is_not_known(tmp_path: Path) -> None:
    _, rows = looked_at("http://127.0.0.1:9/mcp", tmp_path)
    assert rows["MCP", "any revision"].supported is None
    assert rows["RFC 8414", "authorization server metadata"].supported is not True


def test_a_server_that_hangs_is_looked_at_once(tmp_path: Path) -> None:
    from tests.unit.client.fakes import raw_server

    came: list[float] = []

    def hangs(connection: socket.socket) -> None:
        came.append(time.monotonic())
        time.sleep(600)

    with raw_server(hangs) as url:
        agent = agent_at(url, tmp_path, timeout=1.0)
        started = time.monotonic()
        seen = survey(agent)
        assert time.monotonic() - started < HANGS
    assert len(came) == 1, "once a server has not answered, it is asked no more"
    assert "did not answer" in seen.failure("endpoint")
    assert {row.supported for row in table(seen, NAMES)} == {None}


@pytest.mark.parametrize("grants", [[], ["urn:ietf:params:oauth:grant-type:token-exchange"]])
def test_token_exchange_is_there_where_the_metadata_lists_its_grant(tmp_path: Path, grants: list[str]) -> None:
    with faking() as fake:
        shop = Shop(fake)
        shop.metadata["grant_types_supported"] = ["authorization_code", *grants]
        _, rows = looked_at(fake.base, tmp_path)
    assert rows["RFC 8693", "token exchange"].supported is bool(grants)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_token_is_bound_to_the_server_where_its_audience_says_so(
    base_url: str, tmp_path: Path, elsewhere: bool
) -> None:
    from tests.unit.client.fakes import log_in

    agent = agent_at(base_url, tmp_path)
    log_in(agent)
    if elsewhere:
        agent.authorizer.credentials.keep(agent.refresh(resource=f"{base_url}/oauth2/userinfo", keep=False))
    _, rows = looked_at(base_url, tmp_path)
    assert rows["RFC 8707", "a token bound to this server"].supported is not elsewhere
    assert rows["RFC 9068", "access tokens that can be read"].supported is True
