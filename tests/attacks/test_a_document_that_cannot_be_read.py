"""Who names a document that cannot be read gets no further than a program of this machine that registers.

draft-ietf-oauth-client-id-metadata-document section 4.3: an authorization server should end a request whose document it
cannot fetch. Ours goes on where that gains nothing: at an issuer on loopback, for a redirect URI on loopback. Elsewhere
a redirect URI that nobody vouched for would take the code to whoever wrote it (RFC 9700 section 4.1).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from demo.auth_server.clients import documents
from demo.auth_server.context import Context
from tests.unit.auth_server.conftest import House, clock, make_house
from tests.unit.auth_server.document_host import document_host

__all__ = ["clock", "make_house"]

Make = Callable[..., AbstractContextManager[House]]
ELSEWHERE = (
    "https://evil.example/callback",
    "http://127.0.0.1.evil.example/",
    "http://localhost@evil.example/",
    "x.y:/",
)


def asked_for(house: House, url: str, back: str) -> bool:
    """Whether the human is asked, so that an answer would be taken to that place."""
    walk = house.authorize(client_id=url, redirect_uri=back)
    return walk.left is not None or walk.page.status_code == 200


@pytest.mark.parametrize("back", ELSEWHERE)
@pytest.mark.parametrize("weakened", [False, True], ids=["as it is", "any redirect URI"])
def test_a_redirect_uri_that_nobody_vouched_for(
    make_house: Make, monkeypatch: pytest.MonkeyPatch, weakened: bool, back: str
) -> None:
    if weakened:
        monkeypatch.setattr(documents, "leads_to_loopback", lambda _: True)
    with document_host() as gone:
        pass
    with make_house(aliases=(gone.base,)) as house:
        assert asked_for(house, gone.url, back) is weakened


@pytest.mark.parametrize("weakened", [False, True], ids=["as it is", "on any issuer"])
def test_an_issuer_that_is_not_of_one_machine(
    make_house: Make, monkeypatch: pytest.MonkeyPatch, weakened: bool
) -> None:
    """There is another user's program on loopback as much as one's own."""
    monkeypatch.setattr(Context, "on_loopback", property(lambda _: weakened))
    with make_house() as house:
        url = "https://agent.invalid/client.json"  # RFC 6761 section 6.4: it has no address
        assert asked_for(house, url, "http://127.0.0.1:1/callback") is weakened
