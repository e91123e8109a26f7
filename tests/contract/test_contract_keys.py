"""The authorization server's keys are rotated in mid-talk: tokens of both keys pass, garbage cannot make the shop
hammer it, and what a withdrawn key signed is over."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.client.agent import Agent
from demo.client.human.sample_human import SampleHuman
from deputize.tokens.store import TokenStore
from tests.contract.shop import Shop, at_once, refusal

READ = "listMcpShopInventory"
JWKS = "/oauth2/jwks"
LOOK_SECONDS = 1.0
"""At most one look for an unknown key in this time (docs/wire.md)."""


@pytest.fixture(autouse=True)
def _nobody_has_looked_just_now(apart: Shop) -> Iterator[None]:
    assert apart.call(READ, token=apart.token()).status_code == 200
    time.sleep(LOOK_SECONDS + 0.1)
    yield
    # The next tests' tokens are signed with the key that this one leaves.
    time.sleep(LOOK_SECONDS + 0.1)
    assert apart.call(READ, token=apart.token()).status_code == 200


def test_after_a_rotation_the_new_keys_tokens_pass_and_the_old_ones_until_they_expire(apart: Shop) -> None:
    old = apart.token()
    assert apart.call(READ, token=old).status_code == 200
    apart.issuer.context.keys.rotate()
    new = apart.token()
    for token in (new, old, new):
        assert apart.call(READ, token=token).status_code == 200
    expired = apart.issuer.token(apart.grant(), exp=int(time.time()) - 60)
    assert refusal(apart.call(READ, token=expired))["rule"] == "token.expired"


def test_calls_that_come_at_once_after_a_rotation_all_find_the_new_key(apart: Shop) -> None:
    # Before the rotation: the stream's next word, signed with the new key, has the shop look for it as well.
    apart.issuer.switch.asked.clear()
    apart.issuer.context.keys.rotate()
    tokens = [apart.token() for _ in range(6)]
    answers = at_once(6, lambda number: apart.call(READ, token=tokens[number]))
    assert [answer.status_code for answer in answers] == [200] * 6
    assert apart.issuer.switch.asked.count(JWKS) == 1


def test_made_up_keys_cannot_make_the_shop_hammer_the_auth_server(apart: Shop) -> None:
    from joserfc import jws
    from joserfc.jwk import ECKey

    other = ECKey.generate_key("P-256")
    apart.issuer.switch.asked.clear()
    began = time.monotonic()
    for number in range(20):
        header = {"alg": "ES256", "typ": "at+jwt", "kid": f"made up {number}"}
        answer = apart.call(READ, token=jws.serialize_compact(header, b"{}", other))
        assert (answer.status_code, refusal(answer)["rule"]) == (401, "token.signature")
    assert set(apart.issuer.switch.asked) == {JWKS}
    assert len(apart.issuer.switch.asked) <= 1 + (time.monotonic() - began) / LOOK_SECONDS


def test_what_a_withdrawn_key_signed_is_refused_as_soon_as_anybody_asks(apart: Shop) -> None:
    """By introspection at once, and what is kept of a grant is told again within a lease, by the next verification of
    the stream: signed with another key, it has the shop read the set again. By the set alone it takes five minutes."""
    grant = apart.grant()
    old, unseen = apart.token(grant), apart.token(apart.grant(software=grant.session.client_id))
    assert apart.call(READ, token=old).status_code == 200
    apart.issuer.context.keys.rotate(withdraw=True)
    # The shop still has the key itself, unless the stream's next word came in between.
    assert refusal(apart.call(READ, token=unseen))["rule"] in ("standing.token", "token.signature")
    deadline = time.monotonic() + 60
    while (answer := apart.post("tools/list", token=old)).status_code == 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert refusal(answer)["rule"] in ("token.signature", "standing.token")
    assert apart.call(READ, token=apart.token()).status_code == 200
    assert refusal(apart.call(READ, token=old))["rule"] == "token.signature", "now it has not"


def test_an_agents_login_goes_on_over_a_rotation(apart: Shop, tmp_path: Path) -> None:
    agent = Agent(apart.base, store=TokenStore.open(tmp_path, server=apart.base), client_id=None)
    login = agent.start_login(("openid", "shop:read", "offline_access"))
    SampleHuman("alice@example.com").decide(login.code.verification_uri, login.code.user_code, True)
    first = agent.finish_login(login)
    assert agent.call(READ, {}).status == 200
    apart.issuer.context.keys.rotate()
    assert agent.call(READ, {}).status == 200
    renewed = agent.refresh()
    assert renewed.access_token.split(".")[0] != first.access_token.split(".")[0], "another kid"
    assert agent.call(READ, {}).status == 200
