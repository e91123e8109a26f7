"""A signature that was verified is not verified again, and counts only as long as its key does."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey

from demo.shop import bearer
from demo.shop.discovery import AuthServer
from demo.shop.facts import TokenFacts
from demo.shop.signatures import MOST, Signatures, Signed

CLAIMS = {"iss": "i", "sub": "u", "aud": "r", "client_id": "c", "iat": 1, "exp": 2, "jti": "t"}


class Keys(AuthServer):
    """An authorization server whose keys a test turns."""

    def __init__(self) -> None:
        super().__init__("https://as.example", timeout=1.0)
        self.now: dict[str, ECKey] = {}

    async def key(self, kid: str | None) -> Any:
        return self.now.get(str(kid))


def signed(key: ECKey, claims: dict[str, Any] = CLAIMS) -> str:
    head = {"alg": "ES256", "typ": "at+jwt", "kid": key.kid}
    return jws.serialize_compact(head, json.dumps(claims).encode(), key)


def read(token: str, server: AuthServer) -> TokenFacts:
    return asyncio.run(bearer.read(token, server, resource="r", currency="USD"))


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every token that was really verified."""
    seen: list[str] = []
    honest = jws.deserialize_compact

    def verify(token: str, *rest: Any, **more: Any) -> Any:
        seen.append(token)
        return honest(token, *rest, **more)

    monkeypatch.setattr(jws, "deserialize_compact", verify)
    return seen


def test_one_token_is_verified_once_and_another_for_itself(verified: list[str]) -> None:
    server, key = Keys(), ECKey.generate_key("P-256", {"kid": "a"})
    server.now = {"a": key}
    token, other = signed(key), signed(key, {**CLAIMS, "jti": "t2"})
    assert [read(one, server).token_id for one in (token, token, other, token)] == ["t", "t", "t2", "t"]
    assert verified == [token, other]


def test_a_changed_byte_anywhere_is_another_token() -> None:
    server, key = Keys(), ECKey.generate_key("P-256", {"kid": "a"})
    server.now = {"a": key}
    token = signed(key)
    assert read(token, server).fault is None
    for at in (5, len(token) // 2, len(token) - 10):
        changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        assert read(changed, server).fault in ("signature", "malformed")


def test_a_key_that_was_withdrawn_or_replaced_under_its_name_has_signed_nothing(verified: list[str]) -> None:
    server, key, other = Keys(), *(ECKey.generate_key("P-256", {"kid": "a"}) for _ in range(2))
    server.now = {"a": key}
    token = signed(key)
    assert read(token, server).fault is None
    server.now = {"a": other}
    assert read(token, server).fault == "signature"
    server.now = {}
    assert read(token, server).fault == "signature"
    server.now = {"a": key}
    assert read(token, server).fault is None


def test_what_is_kept_is_bounded_and_the_last_used_stays() -> None:
    kept, one = Signatures(most=3), Signed(None, ECKey.generate_key("P-256"), {}, {})
    for name in "abc":
        kept.keep(name, one)
    assert kept.find("a") is one
    kept.keep("d", one)
    assert [kept.find(name) is None for name in "abcd"] == [False, True, False, False]
    assert MOST <= 10_000
