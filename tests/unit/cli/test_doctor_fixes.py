"""What is wrong with a deployed shop: `demo doctor --server URL` says it in the shop's words, and names the fix."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Command
from tests.unit.client.fakes import Fake, Reply, Shop, faking


@contextlib.contextmanager
def deployed() -> Iterator[tuple[Fake, Fake]]:
    """A shop and an authorization server, each at an address of its own."""
    with faking() as shop, faking() as auth_server:
        Shop(auth_server)
        told = Shop(shop)
        told.resource["authorization_servers"] = [auth_server.base]
        yield shop, auth_server


def findings(demo: Command, server: Fake) -> dict[str, dict[str, Any]]:
    finished = demo("doctor", "--server", f"{server.base}/mcp", "--json")
    return {finding["name"]: finding for finding in json.loads(finished.stdout)["findings"]}


@pytest.mark.parametrize(
    ("shop_ahead", "auth_server_ahead", "says", "fix"),
    [
        (0, 0, "agrees with the server and the authorization server", ""),
        (30, 0, "the server's is 30 s ahead", "set the server's clock (NTP)"),
        (0, -300, "the authorization server's is 300 s behind", "set the authorization server's clock (NTP)"),
        (
            300,
            300,
            "the server's is 300 s ahead, the authorization server's is 300 s ahead",
            "set this machine's clock (NTP)",
        ),
        (30, -300, "no two agree", "set all three clocks (NTP), this machine's first"),
    ],
)
def test_the_clock_that_is_wrong_is_named(
    demo: Command, shop_ahead: float, auth_server_ahead: float, says: str, fix: str
) -> None:
    with deployed() as (shop, auth_server):
        shop.ahead, auth_server.ahead = shop_ahead, auth_server_ahead
        clock = findings(demo, shop)["clock"]
    # A Date is cut to whole seconds, and the look takes a moment.
    near = clock["detail"]
    for off in (30, 300):
        near = near.replace(f"{off + 1} s", f"{off} s").replace(f"{off - 1} s", f"{off} s")
    assert says in near
    assert (clock["mark"], clock["fix"]) == ("bad" if fix else "ok", fix)


def test_one_clock_against_one_cannot_tell_and_says_whose_to_set(demo: Command) -> None:
    with faking() as shop:
        Shop(shop)
        shop.ahead = -30
        shop.on["/.well-known/oauth-authorization-server"] = Reply(404, json={})
        clock = findings(demo, shop)["clock"]
    assert clock["mark"] == "bad"
    assert "behind" in clock["detail"]
    assert clock["fix"] == "set this machine's clock (NTP)"


@pytest.mark.parametrize(
    ("status", "words", "fix"),
    [
        (500, "Set both INTROSPECTION_CLIENT_ID and INTROSPECTION_CLIENT_SECRET, or neither.", "deploy again"),
        (500, "ISSUER must be an https URL: plain http is for an issuer on this very machine.", "variables"),
        (421, "this server is not shop.example", "BASE_URL"),
    ],
)
def test_settings_that_the_shop_refuses_are_told_in_its_words(demo: Command, status: int, words: str, fix: str) -> None:
    error = {"error": "server_error" if status == 500 else "invalid_request", "error_description": words}
    with faking() as shop:
        for path in ("/mcp", "/open/mcp", "/health", "/.well-known/oauth-protected-resource/mcp"):
            shop.on[path] = Reply(status, json=error)
        door = findings(demo, shop)["challenge"]
    assert door["mark"] == "bad"
    assert f"HTTP {status}" in door["detail"] and words in door["detail"]
    assert fix in door["fix"]


def test_words_of_a_server_cannot_draw_on_the_terminal(demo: Command) -> None:
    with faking() as shop:
        shop.on["/mcp"] = Reply(500, json={"error_description": "red \x1b[31m\nand more"})
        shop.on["/open/mcp"] = Reply(500, json={})
        finished = demo("doctor", "--server", f"{shop.base}/mcp")
    assert "\x1b" not in finished.stdout
    assert finished.returncode == 3


@pytest.mark.parametrize(
    ("told", "mark", "says", "fix"),
    [
        ({"introspection": True, "problem": None, "fix": None}, "ok", "asks about each token", ""),
        ({"introspection": False, "problem": None, "fix": None}, "ok", "until it expires", ""),
        ({"problem": "it does not know this shop", "fix": "set X"}, "bad", "it does not know this shop", "set X"),
        ({"problem": "no connection", "fix": 7}, "bad", "no connection", "see its log"),
    ],
)
def test_whether_the_shop_can_ask_its_authority_is_read_from_its_health(
    demo: Command, told: dict[str, Any], mark: str, says: str, fix: str
) -> None:
    with deployed() as (shop, auth_server):
        shop.on["/health"] = Reply(json={"name": "x", "authorization_server": {"issuer": auth_server.base, **told}})
        trust = findings(demo, shop)["trust"]
    assert (trust["mark"], trust["fix"]) == (mark, fix)
    assert says in trust["detail"]


@pytest.mark.parametrize("health", [{"name": "x"}, {"authorization_server": None}, {"authorization_server": "nobody"}])
def test_a_shop_that_does_not_say_gets_no_line(demo: Command, health: dict[str, Any]) -> None:
    with deployed() as (shop, _):
        shop.on["/health"] = Reply(json=health)
        assert "trust" not in findings(demo, shop)
