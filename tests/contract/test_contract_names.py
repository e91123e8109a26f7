"""On loopback the shop has more than one name, and a login begun at either must fit (RFC 9728 section 3.3)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.contract.shop import Shop, challenge_of, order_of

NAMES = ("127.0.0.1", "localhost")


def named(shop: Shop, host: str) -> Shop:
    """The same shop, asked by this name."""
    return replace(shop, base=shop.base.replace("127.0.0.1", host))


@pytest.mark.parametrize("host", NAMES)
def test_the_metadata_names_the_resource_as_it_was_asked(shop: Shop, host: str) -> None:
    asked = named(shop, host)
    told = challenge_of(asked.call("listMcpShopInventory", token=None))
    assert told is not None
    assert told["resource_metadata"] == f"{asked.base}/.well-known/oauth-protected-resource/mcp"
    assert shop.http.get(told["resource_metadata"]).json()["resource"] == asked.resource


@pytest.mark.parametrize("asked", NAMES)
@pytest.mark.parametrize("granted", NAMES)
def test_a_token_for_one_name_buys_by_either(shop: Shop, asked: str, granted: str) -> None:
    """Its audience and the place of its spending limit are of the name that the human consented to."""
    grant = shop.issuer.grant(named(shop, granted).resource)
    order_of(named(shop, asked).buy(token=shop.issuer.token(grant)))


def test_another_port_is_another_server(shop: Shop) -> None:
    grant = shop.issuer.grant("http://localhost:9/mcp")
    assert named(shop, "localhost").buy(token=shop.issuer.token(grant)).status_code == 401
