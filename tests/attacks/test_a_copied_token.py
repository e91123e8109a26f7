"""A token that is bound to a key is of no use to who copied it (RFC 9449 sections 1 and 11; row T7).

The thief has read all that the agent sent and was sent: access token, refresh token, a proof. What the thief has not is
the key. Each attack is also made on a server that leaves out just what stops it, and succeeds there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from demo import proofs as checking
from demo.auth_server.endpoints import account
from demo.auth_server.grants import authorization_code, refresh
from demo.client.agent import Agent
from demo.proofs import Nonces
from demo.shop import gatehouse
from demo.shop.bearer import Presented
from demo.shop.facts import Case
from deputize.oauth.dpop import ProofKey
from deputize.tokens.stored import StoredToken
from tests.conftest import serving
from tests.unit.client.fakes import agent_at, granted, log_in
from tests.unit.deputize.oauth.conftest import AuthServer, auth_server, fake, server, shop
from tests.unit.deputize.oauth.test_dpop import bound

__all__ = ["auth_server", "bound", "fake", "server", "shop"]

TOOL = "listMcpShopOrders"


class Theft:
    """The agent, what it holds, and the thief's own machine."""

    def __init__(self, url: str, agent: Agent, thief: Agent) -> None:
        self.url, self.agent, self.thief, self.key = url, agent, thief, ProofKey.generate()
        self.token: StoredToken = agent.token()
        assert self.token.dpop_key is not None, "the agent binds its token by itself"

    def shop(self, scheme: str, proof: str | None, path: str = "/mcp") -> tuple[int, str | None]:
        """What the shop answers the thief, and by which rule."""
        headers = {"authorization": f"{scheme} {self.token.access_token}"} | ({"dpop": proof} if proof else {})
        body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        headers |= {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-11-25"}
        answer = httpx2.post(self.url + path, json=body, headers=headers, verify=False)
        data = answer.json().get("error", {}).get("data")
        return answer.status_code, data["decision"]["rule"] if data else None

    def seen(self) -> str:
        """A proof that the agent sent, as a thief saw it on the wire."""
        found: list[str] = []
        honest = ProofKey.proof

        def watched(key: ProofKey, *given: str, **more: str) -> str:
            found.append(honest(key, *given, **more))
            return found[-1]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ProofKey, "proof", watched)
            assert self.agent.call(TOOL, {}, token=self.token).status == 200
        return found[-1]


def as_a_bearer_token(theft: Theft) -> tuple[int, str | None]:
    return theft.shop("Bearer", None)


def with_another_key(theft: Theft) -> tuple[int, str | None]:
    return theft.shop("DPoP", theft.key.proof("POST", f"{theft.url}/mcp", token=theft.token.access_token))


def with_a_proof_that_was_seen(theft: Theft) -> tuple[int, str | None]:
    return theft.shop("DPoP", theft.seen())


def with_a_proof_for_another_token(theft: Theft) -> tuple[int, str | None]:
    """The agent's own proof, which it made for the token before: a thief keeps proofs for tokens to come."""
    assert theft.token.dpop_key is not None
    key = ProofKey.from_json(theft.token.dpop_key)
    return theft.shop("DPoP", key.proof("POST", f"{theft.url}/mcp", token="the one before"))


def with_a_proof_for_another_place(theft: Theft) -> tuple[int, str | None]:
    """A hostile server that the agent calls, too, hands on what it was sent (section 2)."""
    assert theft.token.dpop_key is not None
    key = ProofKey.from_json(theft.token.dpop_key)
    return theft.shop("DPoP", key.proof("POST", "https://hostile.example/mcp", token=theft.token.access_token))


def _keys_are_not_compared(patch: pytest.MonkeyPatch) -> None:
    """The shop takes a proof of any key for one of the token's."""
    check, read, wanted = gatehouse.proofs.check, gatehouse.proofs.read, [""]

    def reading(case: Case, presented: Presented, nonces: Nonces) -> Case:
        wanted[0] = case.token.key or ""
        return read(case, presented, nonces)

    patch.setattr(gatehouse.proofs, "read", reading)
    patch.setattr(gatehouse.proofs, "check", lambda *given, **more: replace(check(*given, **more), key=wanted[0]))


def _binding_is_not_known(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(gatehouse.proofs, "read", lambda case, *_: case)


def _nothing_is_remembered(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(gatehouse.proofs, "spend", lambda _, case: replace(case, proof=None))


def _tokens_are_not_compared(patch: pytest.MonkeyPatch) -> None:
    honest = gatehouse.proofs.check
    patch.setattr(gatehouse.proofs, "check", lambda *given, **more: honest(*given, **more | {"token": None}))


def _places_are_not_compared(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(checking, "normal", lambda _: "anywhere")


Attack = Callable[[Theft], tuple[int, str | None]]
ATTACKS: dict[Attack, tuple[str, Callable[[pytest.MonkeyPatch], None]]] = {
    as_a_bearer_token: ("token.bound", _binding_is_not_known),
    with_another_key: ("token.proof", _keys_are_not_compared),
    with_a_proof_that_was_seen: ("token.proof", _nothing_is_remembered),
    with_a_proof_for_another_token: ("token.proof", _tokens_are_not_compared),
    with_a_proof_for_another_place: ("token.proof", _places_are_not_compared),
}
"""What the thief tries, the rule that stops it, and the weakness without which it is not stopped."""


@pytest.fixture(scope="module")
def theft(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theft]:
    folder = tmp_path_factory.mktemp("theft")
    with serving(folder / "s.sqlite3") as url:
        agent = agent_at(url, folder / "agent")
        log_in(agent)
        yield Theft(url, agent, agent_at(url, folder / "thief"))


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_a_thief_without_the_key_is_refused(theft: Theft, attack: Attack) -> None:
    assert attack(theft) == (401, ATTACKS[attack][0])
    assert theft.agent.call(TOOL, {}, token=theft.token).status == 200, "and the agent goes on"


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_a_shop_that_leaves_that_check_out_serves_the_thief(
    theft: Theft, attack: Attack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What these tests would see there."""
    ATTACKS[attack][1](monkeypatch)
    status, rule = attack(theft)
    assert (status, rule) == (200, None)


@pytest.mark.parametrize("weak", [False, True], ids=["as it is", "weakened"])
def test_a_copied_refresh_token_is_not_renewed_and_ends_nothing(
    theft: Theft, weak: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Section 5: the refresh token of a public client is bound to the key."""
    if weak:
        for module in (refresh, authorization_code):
            monkeypatch.setattr(module, "require_key", lambda *_: None)
    log_in(theft.agent)  # a grant of its own: a refresh token that a weak server takes twice ends the grant
    token = theft.agent.refresh()
    for key in (None, ProofKey.generate().to_json()):
        copied = replace(token, dpop_key=key)
        status, error = theft.thief.redeem(copied, client_id=token.client_id)
        assert status == 200 if weak else (status, error) == (400, "invalid_grant" if key else "invalid_dpop_proof")
    if weak:
        log_in(theft.agent)
    else:
        assert theft.agent.refresh().access_token


@pytest.mark.parametrize("weak", [False, True], ids=["as it is", "weakened"])
def test_the_humans_own_api_is_not_opened_by_a_copy(theft: Theft, weak: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if weak:
        monkeypatch.setattr(account, "_check_possession", lambda *_: None)
    place = f"{theft.url}/oauth2/userinfo"
    token = theft.agent.refresh(resource=place, keep=False)
    answer = httpx2.get(place, headers={"authorization": f"Bearer {token.access_token}"}, verify=False)
    assert answer.status_code == (200 if weak else 401)


def test_an_agent_that_proved_a_key_and_gets_a_bearer_token_says_so(bound: AuthServer, tmp_path: Path) -> None:
    """Section 5 lets the authorization server do that; section 11 of RFC 9700 would not have it go unseen."""
    bound.shop.polls(granted(token_type="Bearer"))
    agent = agent_at(bound.base, tmp_path)
    token = agent.finish_login(agent.start_login(["shop:read"]))
    assert (token.holder, token.dpop_key) == ("downgraded", None)
    again = agent_at(bound.base, tmp_path)
    stored = again.stored()
    assert stored is not None and stored.holder == "downgraded", "also after a restart"
    assert again.view(stored).holder == "downgraded"


def test_where_no_key_was_proved_nothing_was_taken_back(auth_server: AuthServer, tmp_path: Path) -> None:
    auth_server.shop.polls(granted())
    agent = agent_at(auth_server.base, tmp_path)
    assert agent.finish_login(agent.start_login(["shop:read"])).holder == "anyone"
