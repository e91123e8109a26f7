"""A request that says two things is refused, and none is answered as whichever of them is read first.

RFC 6749 section 2.3: a client uses no more than one way of authentication in each request. Section 3.1: no parameter
comes twice. OpenID Connect Core section 6: a request object that is not read may say something else than its URL.
CVE-2026-9689 (Keycloak): an attacker's parameters beside the server's, of which a client reads the wrong ones.
"""

from __future__ import annotations

from typing import Any

import pytest

from demo.auth_server.grants import server
from tests.unit.auth_server.conftest import House, clock, house, make_house

__all__ = ["clock", "house", "make_house"]


def confidential(house: House, method: str) -> tuple[str, str]:
    made = house.register(token_endpoint_auth_method=method).json()
    return made["client_id"], made["client_secret"]


def answers(house: House) -> dict[str, int]:
    """The status of token requests that each name two clients, or one in two ways. The codes are right."""
    basic, post = confidential(house, "client_secret_basic"), confidential(house, "client_secret_post")
    own, theirs, public = house.code(client_id=basic[0]), house.code(client_id=post[0]), house.code()
    secret: dict[str, Any] = {"client_secret": post[1]}
    return {
        "another id in the body": house.exchange(own, client_id=post[0], auth=basic).status_code,
        "a public id in the body": house.exchange(public, auth=basic).status_code,
        "two secrets": house.exchange(theirs, client_id=post[0], auth=basic, **secret).status_code,
        "a secret and an assertion": house.exchange(
            theirs, client_id=post[0], **secret, client_assertion="a.b.c"
        ).status_code,
    }


def test_who_comes_as_two_clients_or_in_two_ways_gets_nothing(house: House) -> None:
    assert set(answers(house).values()) <= {400, 401}


def test_a_library_that_takes_the_first_that_fits_answers(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_check_one_identity", lambda *_: None)
    assert 200 in answers(house).values()


@pytest.mark.parametrize(
    ("extra", "error"),
    [
        ({"request": "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported"),
        ({"request_uri": "http://127.0.0.1:9/request.jwt"}, "request_uri_not_supported"),
        ({"prompt": "none"}, "interaction_required"),
    ],
)
def test_what_is_not_read_is_refused_and_nobody_consents_unseen(
    house: House, extra: dict[str, str], error: str
) -> None:
    assert house.authorize(**extra).told["error"] == error
