"""A login outlives the request that began it: who comes next joins it, whether request, thread or process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.client.auth import TokenStorage
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

from demo.client import SampleHuman
from deputize import (
    AsTokenStorage,
    BrowserFlow,
    DeviceFlow,
    LoginPending,
    MemoryStore,
    Money,
    OAuthRefused,
    TokenStore,
)
from deputize.evidence import DeviceCode
from tests.conftest import HANGS, ROOT
from tests.unit.client.fakes import ALICE, Reply, Request, granted, oauth
from tests.unit.deputize.oauth.conftest import AuthServer, answered, come_back

PENDING = oauth("authorization_pending")
INTERVAL = 0.2
"""The shortest that a client takes."""


@pytest.fixture
def shop(auth_server: AuthServer) -> AuthServer:
    """A shop that is open to who has a token; the human has not decided yet."""
    auth_server.shop.fake.on["/mcp"] = lambda request: (
        Reply(200, json={}) if "authorization" in request.headers else Reply(401)
    )
    auth_server.shop.polls(PENDING)
    return auth_server


def codes(shop: AuthServer) -> int:
    return len(shop.shop.fake.to("/device_authorization"))


def polls(shop: AuthServer) -> int:
    return len(shop.shop.fake.to("/token"))


async def cut_short(http: httpx2.AsyncClient, url: str, so_far: Callable[[], object]) -> int | None:
    """A host's request, of which it gives up soon after something came of it: the status, None where it gave up."""
    asking = asyncio.ensure_future(http.post(url))
    deadline = time.monotonic() + HANGS
    while not asking.done() and not so_far() and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    try:
        return (await asyncio.wait_for(asking, 0.3)).status_code
    except TimeoutError:
        return None


def test_a_host_that_gives_up_each_time_loses_no_human(shop: AuthServer) -> None:
    shown: list[str] = []
    flow = DeviceFlow(f"{shop.base}/mcp", show=lambda code: shown.append(code.user_code))

    async def host() -> list[int | None]:
        async with httpx2.AsyncClient(verify=False, auth=flow, timeout=HANGS) as http:
            statuses = [await cut_short(http, f"{shop.base}/mcp", lambda: shown) for _ in range(3)]
            assert flow.pending is not None and flow.pending.user_code == shown[0]
            shop.shop.polls(granted())
            return [*statuses, (await http.post(f"{shop.base}/mcp")).status_code]

    began = time.monotonic()
    assert asyncio.run(host()) == [None, None, None, 200]
    assert (codes(shop), len(shown)) == (1, 1)
    assert 1 < polls(shop) <= 1 + (time.monotonic() - began) / INTERVAL
    assert flow.pending is None


def test_an_answer_that_nobody_waits_for_any_more_is_not_lost(shop: AuthServer) -> None:
    given_up = threading.Event()

    def late(_: Request) -> Reply:
        given_up.wait(HANGS)
        return granted() if polls(shop) == 1 else oauth("invalid_grant")

    shop.shop.fake.on["/token"] = late
    flow = DeviceFlow(f"{shop.base}/mcp", show=lambda code: None)

    async def host() -> int | None:
        async with httpx2.AsyncClient(verify=False, auth=flow, timeout=HANGS) as http:
            assert await cut_short(http, f"{shop.base}/mcp", lambda: polls(shop)) is None
            given_up.set()
            return (await http.post(f"{shop.base}/mcp")).status_code

    assert asyncio.run(host()) == 200
    assert len(shop.forms) == 1, "the code was good once"


JOINS = """
import sys
from deputize import DeviceFlow, TokenStore
url, folder = sys.argv[1:]
store = TokenStore.open(folder, server=url, use_keyring=False)
flow = DeviceFlow(url, store=store, show=lambda code: print(code.user_code, flush=True))
print(flow.login_sync().access_token)
"""


def test_another_process_joins_the_same_code(shop: AuthServer, tmp_path: Path) -> None:
    url = f"{shop.base}/mcp"
    store = TokenStore.open(tmp_path, server=url, use_keyring=False)
    with pytest.raises(LoginPending) as left:
        DeviceFlow(url, store=store, show=lambda code: None, patience=0.3).login_sync()
    assert left.value.remedy is not None and left.value.remedy.code == "BCDF-GHJK"
    command = [sys.executable, "-c", JOINS, url, str(tmp_path)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "BCDF-GHJK", "shown again: it has another screen"
    shop.shop.polls(granted())
    assert process.communicate(timeout=HANGS)[0].strip() == granted().json["access_token"]
    assert (process.returncode, codes(shop), len(shop.registered)) == (0, 1, 1)
    assert store.kept("pending agent") is None
    assert DeviceFlow(url, store=store).login_sync().access_token == granted().json["access_token"]


def test_a_human_with_a_store_of_their_own_joins_nobody_elses_login(shop: AuthServer, tmp_path: Path) -> None:
    """A web application of many people: session fixation would have one human's yes end in another's account."""
    url = f"{shop.base}/mcp"
    for begun, human in enumerate(("alice", "bob"), 1):
        store = TokenStore.open(tmp_path / human, server=url, use_keyring=False)
        with pytest.raises(LoginPending):
            DeviceFlow(url, store=store, show=lambda code: None, patience=0.0).login_sync()
        assert codes(shop) == begun


def test_the_token_says_who_approved_it(server: str) -> None:
    def approved(code: DeviceCode) -> None:
        SampleHuman("grace@example.com").decide(code.verification_uri, code.user_code, True)

    token = DeviceFlow(server, show=approved, scopes=("openid",)).login_sync()
    assert token.human_address == "grace@example.com"


@pytest.mark.long
def test_many_who_wait_poll_as_one(shop: AuthServer, tmp_path: Path) -> None:
    url = f"{shop.base}/mcp"
    shop.shop.polls(PENDING, PENDING, oauth("slow_down"), granted())
    shop.shop.metadata["device_authorization_endpoint"] = f"{shop.base}/device_authorization"
    tokens: list[str] = []

    def log_in() -> None:
        store = TokenStore.open(tmp_path, server=url, use_keyring=False)
        tokens.append(DeviceFlow(url, store=store, show=lambda code: None).login_sync().access_token)

    began = time.monotonic()
    threads = [threading.Thread(target=log_in, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANGS)
    took = time.monotonic() - began
    assert tokens == [granted().json["access_token"]] * 4
    assert codes(shop) == 1
    assert polls(shop) == 4 and took > 2 * INTERVAL + 5, "five seconds slower (RFC 8628 section 3.5)"


@pytest.mark.parametrize("error", ["access_denied", "expired_token"])
def test_a_login_that_has_ended_is_not_joined(shop: AuthServer, error: str) -> None:
    shop.shop.polls(oauth(error))
    store = MemoryStore()
    flow = DeviceFlow(f"{shop.base}/mcp", show=lambda code: None, store=store)
    with pytest.raises(OAuthRefused) as refused:
        flow.login_sync()
    assert refused.value.oauth_error == error and flow.pending is None
    shop.shop.polls(granted())
    flow.login_sync()
    assert codes(shop) == 2


def test_who_wants_more_than_what_waits_begins_anew(shop: AuthServer) -> None:
    store = MemoryStore()
    for scopes, begun in ((("read", "buy"), 1), (("read",), 1), (("admin",), 2)):
        with pytest.raises(LoginPending):
            DeviceFlow(
                f"{shop.base}/mcp", store=store, scopes=scopes, patience=0.0, show=lambda code: None
            ).login_sync()
        assert codes(shop) == begun


@pytest.mark.parametrize("kept", ["", "null", "{}", '{"due": 1}', "[" * 2000])
def test_what_is_no_login_in_the_store_is_passed_over(shop: AuthServer, kept: str) -> None:
    store, url = MemoryStore(), f"{shop.base}/mcp"
    store.at(url).keep("pending agent", kept)
    shop.shop.polls(granted())
    assert DeviceFlow(url, store=store, show=lambda code: None).login_sync().scope == ()


def test_a_browser_comes_back_to_a_login_that_a_request_has_left(shop: AuthServer) -> None:
    opened: list[str] = []
    flow = BrowserFlow(f"{shop.base}/mcp", open=opened.append)
    shop.shop.polls(granted())

    async def host() -> list[int | None]:
        async with httpx2.AsyncClient(verify=False, auth=flow, timeout=HANGS) as http:
            first = [await cut_short(http, f"{shop.base}/mcp", lambda: opened) for _ in range(2)]
            threading.Thread(target=come_back, args=(answered(opened[0]),), daemon=True).start()
            return [*first, (await http.post(f"{shop.base}/mcp")).status_code]

    assert asyncio.run(host()) == [None, None, 200]
    assert (len(opened), len(shop.registered)) == (1, 1)


class Approving:
    """Shows the code to a person who approves at once, in the caller's own event loop."""

    def __init__(self) -> None:
        self.loop: Any = None
        self.shown: list[DeviceCode] = []

    async def show(self, code: DeviceCode) -> None:
        self.loop = asyncio.get_running_loop()
        self.shown.append(code)
        page = code.verification_uri_complete or code.verification_uri
        await asyncio.to_thread(SampleHuman(ALICE).decide, page, code.user_code, True)


def test_a_login_before_the_first_request_asks_for_what_the_challenge_names(server: str) -> None:
    person = Approving()

    async def main() -> bool:
        flow = DeviceFlow(f"{server}/mcp", show=person.show)
        token = await flow.login()
        assert (await flow.login()).access_token == token.access_token, "nobody is asked twice"
        assert {"shop:read", "shop:buy"} <= set(token.scope) and "shop:admin" not in token.scope
        await flow.logout()
        with pytest.raises(OAuthRefused):
            await asyncio.to_thread(lambda: DeviceFlow(f"{server}/mcp", patience=0, show=lambda _: None).login_sync())
        return asyncio.get_running_loop() is person.loop

    assert asyncio.run(asyncio.wait_for(main(), 60))
    assert len(person.shown) == 1


def _in_a_loop(work: Callable[[], Any]) -> Any:
    async def main() -> Any:
        return work()

    return asyncio.run(main())


@pytest.mark.parametrize("around", [lambda work: work(), _in_a_loop], ids=["no loop", "in a running loop"])
def test_the_twin_without_await_works_everywhere(shop: AuthServer, around: Callable[[Callable[[], Any]], Any]) -> None:
    shop.shop.polls(granted())
    shop.shop.metadata["revocation_endpoint"] = f"{shop.base}/revoke"
    shop.shop.fake.on["/revoke"] = Reply(200)
    shown: list[DeviceCode] = []

    async def show(code: DeviceCode) -> None:
        await asyncio.sleep(0)
        shown.append(code)

    flow = DeviceFlow(f"{shop.base}/mcp", show=show)

    def requests() -> int:
        with httpx2.Client(verify=False, auth=flow) as http:
            return http.post(f"{shop.base}/mcp").status_code

    assert around(requests) == 200
    assert around(flow.login_sync).access_token == granted().json["access_token"]
    assert len(shown) == 1
    around(flow.logout_sync)
    assert [request.form["token"] for request in shop.shop.fake.to("/revoke")] == [[granted().json["refresh_token"]]]
    assert around(flow.login_sync) and len(shown) == 2, "it is forgotten here, too"


def test_all_scopes_are_those_of_the_resource(shop: AuthServer) -> None:
    shop.shop.polls(granted())
    shop.shop.resource["scopes_supported"] = ["a", "b", "c"]
    shop.shop.fake.on["/mcp"] = Reply(401, headers=(("www-authenticate", 'Bearer scope="a"'),))
    DeviceFlow(f"{shop.base}/mcp", scopes="all", show=lambda code: None).login_sync()
    DeviceFlow(f"{shop.base}/mcp", scopes="x y", show=lambda code: None).login_sync()
    asked = [request.form["scope"] for request in shop.shop.fake.to("/device_authorization")]
    assert asked == [["a b c"], ["a x y"]]


TWENTY = Money(2000)


def limits(shop: AuthServer) -> None:
    shop.shop.metadata["authorization_details_types_supported"] = ["shop_spending"]


def test_a_limit_is_asked_for_and_what_comes_without_one_is_not_kept(shop: AuthServer) -> None:
    limits(shop)
    details = [{"type": "shop_spending", "limit": {"amount": 2000, "currency": "USD"}}]
    shop.shop.polls(granted(authorization_details=details))
    flow = DeviceFlow(f"{shop.base}/mcp", spending=TWENTY, show=lambda code: None)
    assert flow.login_sync().spending_limit == TWENTY
    assert '"amount": 2000' in shop.shop.fake.to("/device_authorization")[0].form["authorization_details"][0]
    shop.shop.polls(granted())
    store = MemoryStore()
    with pytest.raises(OAuthRefused):
        DeviceFlow(f"{shop.base}/mcp", spending=TWENTY, show=lambda code: None, store=store).login_sync()
    assert store.at(f"{shop.base}/mcp").get("agent") is None


def test_a_limit_that_nobody_would_keep_is_refused_before_anybody_is_asked(shop: AuthServer) -> None:
    with pytest.raises(OAuthRefused) as refused:
        DeviceFlow(f"{shop.base}/mcp", spending=TWENTY, show=lambda code: None).login_sync()
    assert (refused.value.oauth_error, codes(shop), shop.registered) == ("unsupported", 0, [])


class Memory:
    """The SDK's `TokenStorage`, as its documentation has a user write it."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


def test_a_token_in_the_sdks_storage_serves_the_next_process_and_is_renewed_there(shop: AuthServer) -> None:
    storage = Memory()
    shop.shop.metadata["dpop_signing_alg_values_supported"] = ["ES256"]
    shop.shop.resource["dpop_signing_alg_values_supported"] = ["ES256"]
    shop.shop.polls(granted())
    url = f"{shop.base}/mcp"
    asyncio.run(DeviceFlow(url, store=storage, show=lambda code: None).login())
    assert storage.tokens is not None and storage.tokens.access_token == granted().json["access_token"]
    assert storage.client is not None and (storage.client.client_id, storage.client.issuer) == ("client-1", shop.base)
    assert "dpop" not in shop.shop.fake.to("/token")[0].headers, "there is no place for its key"
    shop.shop.fake.on["/mcp"] = lambda request: (
        Reply(200, json={}) if "renewed" in request.headers.get("authorization", "") else Reply(401)
    )
    shop.shop.polls(granted(access_token="renewed-0123456789"))
    flow = DeviceFlow(url, store=storage)
    with httpx2.Client(verify=False, auth=flow) as http:
        assert http.post(url).status_code == 200
    assert shop.forms[-1]["grant_type"] == ["refresh_token"]
    assert storage.tokens.access_token == "renewed-0123456789"
    with pytest.raises(OAuthRefused, match="may not be revoked"):
        asyncio.run(flow.logout())  # this authorization server has no endpoint for it
    assert not storage.tokens.access_token
    with pytest.raises(LoginPending):
        shop.shop.polls(PENDING)
        DeviceFlow(url, store=storage, patience=0, show=lambda code: None).login_sync()


def test_a_store_of_ours_serves_the_sdks_own_client(tmp_path: Path) -> None:
    url = "https://shop.example/mcp"
    tokens = OAuthToken(access_token="access-0123456789", refresh_token="refresh-0123", expires_in=300)
    client = OAuthClientInformationFull(client_id="client-1", redirect_uris=None)

    async def main() -> None:
        storage: TokenStorage = AsTokenStorage(TokenStore.open(tmp_path, server=url, use_keyring=False))
        assert (await storage.get_tokens(), await storage.get_client_info()) == (None, None)
        await storage.set_tokens(tokens)
        await storage.set_client_info(client)
        again: TokenStorage = AsTokenStorage(TokenStore.open(tmp_path, server=url, use_keyring=False))
        assert (await again.get_tokens(), await again.get_client_info()) == (tokens, client)

    asyncio.run(main())
