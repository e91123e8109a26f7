"""A refresh token that was stolen makes no second line of tokens beside the one that its client goes on with.

RFC 9700 section 4.14.2: of a rotated refresh token that comes twice nobody can know who the thief is, so the active one
is revoked. The grace for a lost answer must not be a way around that: within it the same successor is given, one.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from demo.auth_server.state.credentials import RefreshToken
from tests.unit.auth_server.conftest import House, clock, house, make_house

__all__ = ["clock", "house", "make_house"]


def _refreshed(house: House, token: str) -> str | None:
    """The refresh token that follows, None where it is refused."""
    answer = house.refresh(token)
    assert answer.status_code in (200, 400), answer.text
    found: str | None = answer.json().get("refresh_token")
    return found


def twenty_at_once(house: House) -> bool:
    """A thief asks twenty times within the grace. Do different tokens live on?"""
    first = house.login()["refresh_token"]
    with ThreadPoolExecutor(8) as pool:
        got = set(pool.map(lambda _: _refreshed(house, first), range(20)))
    house.clock.forward(60)
    return len([one for one in got if one and _refreshed(house, one)]) > 1


def thief_first(house: House) -> bool:
    """The thief uses it first and the client within the grace; each goes on. Do both live on?"""
    first = house.login()["refresh_token"]
    thiefs, clients = _refreshed(house, first), _refreshed(house, first)
    for _ in range(2):
        house.clock.forward(300)
        clients = clients and _refreshed(house, clients)
        house.clock.forward(11)
        thiefs = thiefs and _refreshed(house, thiefs)
    return bool(thiefs and clients)


def thief_after_the_successor_was_used(house: House) -> bool:
    """The client has gone on twice, quickly; the thief comes within the grace of the first. Does it get anything?"""
    first = house.login()["refresh_token"]
    second = _refreshed(house, first)
    assert second
    third = _refreshed(house, second)
    stolen = _refreshed(house, first)
    ended = third is not None and _refreshed(house, third) is None
    return stolen is not None or not ended


ATTACKS = (twenty_at_once, thief_first, thief_after_the_successor_was_used)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: str(one.__name__))
def test_a_stolen_refresh_token_makes_no_second_line(house: House, attack: Callable[[House], bool]) -> None:
    assert not attack(house)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: str(one.__name__))
def test_a_grace_that_gives_a_fresh_token_each_time_makes_many(
    house: House, attack: Callable[[House], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    from demo.auth_server.grants.refresh import RefreshTokenGrant

    monkeypatch.setattr(RefreshToken, "successor", lambda *_: secrets.token_urlsafe(32))
    monkeypatch.setattr(RefreshTokenGrant, "_is_over", lambda *_: False)
    assert attack(house)


def test_neither_the_database_nor_an_old_token_alone_tells_the_token_in_use(house: House) -> None:
    first = house.login()["refresh_token"]
    assert _refreshed(house, first)
    kept = house.database.read_bytes() + house.database.with_name(house.database.name + "-wal").read_bytes()
    second = _refreshed(house, first)
    assert second and second.encode() not in kept and first.encode() not in kept
