"""Flows as `httpx2.Auth`, in plain HTTP clients and in the MCP SDK's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from demo.client import SampleHuman
from deputize import BrowserFlow, ClientIdentity, DeviceFlow, ExplainedError, MachineFlow, MemoryStore, OAuthRefused
from deputize.evidence import DeviceCode, Money
from tests.conftest import HANGS, ROOT, serving
from tests.unit.client.fakes import ALICE, Reply, Request, faking, granted
from tests.unit.deputize.oauth.conftest import AuthServer, answered, come_back

LIST = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/list",
    "params": {
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    },
}
HEADERS = {
    "accept": "application/json, text/event-stream",
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": "tools/list",
}


class Person:
    """Decides on the real pages, in a thread of her own, as often as she is asked."""

    def __init__(self, approve: bool = True) -> None:
        self.approve, self.asked = approve, 0

    def code(self, code: DeviceCode) -> None:
        self.asked += 1
        human = SampleHuman(ALICE)
        where = code.verification_uri_complete or code.verification_uri
        threading.Thread(target=human.decide, args=(where, code.user_code, self.approve), daemon=True).start()

    def page(self, url: str) -> None:
        self.asked += 1

        def browse() -> None:
            come_back(SampleHuman(ALICE).authorize(url, self.approve)[1])

        threading.Thread(target=browse, daemon=True).start()


def test_the_device_flow_logs_a_plain_client_in(server: str) -> None:
    person = Person()
    with httpx2.Client(verify=False, auth=DeviceFlow(f"{server}/mcp", show=person.code)) as http:
        first = http.post(f"{server}/mcp", json=LIST, headers=HEADERS)
        second = http.post(f"{server}/mcp", json=LIST, headers=HEADERS)
    assert (first.status_code, second.status_code) == (200, 200)
    assert "listMcpShopInventory" in first.text
    assert person.asked == 1


def test_the_browser_flow_logs_the_sdks_client_in_and_steps_up(server: str) -> None:
    from mcp.client import Client
    from mcp.client.streamable_http import streamable_http_client

    person = Person()

    async def main() -> tuple[list[str], Any]:
        flow = BrowserFlow(f"{server}/mcp", open=person.page, name="Somebody's program")
        async with (
            httpx2.AsyncClient(verify=False, auth=flow) as http,
            Client(streamable_http_client(f"{server}/mcp", http_client=http)) as client,
        ):
            tools = (await client.list_tools()).tools
            return [tool.name for tool in tools], await client.call_tool("getUserInfo", {})

    names, result = asyncio.run(asyncio.wait_for(main(), 60))
    assert "getUserInfo" in names
    assert not result.is_error
    assert result.structured_content["username"] == ALICE
    assert person.asked == 2, "once for the list, once for one scope more"


def test_a_no_reaches_the_program_as_what_it_is(server: str) -> None:
    with (
        httpx2.Client(verify=False, auth=DeviceFlow(f"{server}/mcp", show=Person(approve=False).code)) as http,
        pytest.raises(OAuthRefused, match="said no"),
    ):
        http.post(f"{server}/mcp", json=LIST, headers=HEADERS)


def test_a_no_comes_out_of_the_sdks_client_in_a_group_as_the_readme_says(server: str) -> None:
    from mcp.client import Client
    from mcp.client.streamable_http import streamable_http_client

    async def main() -> None:
        flow = DeviceFlow(f"{server}/mcp", show=Person(approve=False).code)
        async with (
            httpx2.AsyncClient(verify=False, auth=flow) as http,
            Client(streamable_http_client(f"{server}/mcp", http_client=http)) as client,
        ):
            await client.list_tools()

    found: list[Exception] = []
    try:
        asyncio.run(asyncio.wait_for(main(), 60))
    except* ExplainedError as group:
        found += group.exceptions
    assert [getattr(one, "oauth_error", None) for one in found] == ["access_denied"]


def test_requests_refused_at_once_ask_the_human_once(server: str) -> None:
    person = Person()

    async def main() -> list[int]:
        async with httpx2.AsyncClient(
            verify=False, auth=DeviceFlow(f"{server}/mcp", show=person.code), timeout=30
        ) as http:
            requests = (http.post(f"{server}/mcp", json=LIST, headers=HEADERS) for _ in range(4))
            return [response.status_code for response in await asyncio.gather(*requests)]

    assert asyncio.run(asyncio.wait_for(main(), 60)) == [200] * 4
    assert person.asked == 1


def test_a_store_outlives_the_flow(server: str) -> None:
    store, person = MemoryStore(), Person()
    for _ in range(2):
        with httpx2.Client(verify=False, auth=DeviceFlow(f"{server}/mcp", show=person.code, store=store)) as http:
            assert http.post(f"{server}/mcp", json=LIST, headers=HEADERS).status_code == 200
    assert person.asked == 1


def test_two_servers_with_one_store_never_see_each_others_tokens(auth_server: AuthServer) -> None:
    store = MemoryStore()
    auth_server.shop.fake.on["/mcp"] = lambda request: (
        Reply(200, json={}) if "authorization" in request.headers else Reply(401)
    )
    identity = ClientIdentity("robot", issuer=auth_server.base)
    with httpx2.Client(verify=False, auth=MachineFlow(f"{auth_server.base}/mcp", client=identity, store=store)) as http:
        assert http.post(f"{auth_server.base}/mcp").status_code == 200
    with faking() as other:
        other.on["/mcp"] = Reply(200, json={})
        with httpx2.Client(verify=False, auth=MachineFlow(f"{other.base}/mcp", client=identity, store=store)) as http:
            http.post(f"{other.base}/mcp")
        assert all("authorization" not in request.headers for request in other.requests)


def test_a_request_that_failed_spoils_no_later_login(auth_server: AuthServer) -> None:
    script = [Reply(401), Reply(200, json={})]

    async def main() -> int:
        flow = MachineFlow(f"{auth_server.base}/mcp", client=ClientIdentity("robot", issuer=auth_server.base))
        async with httpx2.AsyncClient(verify=False, auth=flow) as http:
            with pytest.raises(httpx2.TransportError):
                await http.post(f"{auth_server.base}/mcp", timeout=0.2)
            auth_server.shop.fake.on["/mcp"] = script
            return (await http.post(f"{auth_server.base}/mcp")).status_code

    auth_server.shop.fake.on["/mcp"] = Reply(200, wait=1.0)
    assert asyncio.run(asyncio.wait_for(main(), 30)) == 200


def test_one_request_given_up_does_not_end_anothers_login(server: str) -> None:
    shown: list[DeviceCode] = []
    flow = DeviceFlow(f"{server}/mcp", show=shown.append)

    async def main() -> int:
        async with httpx2.AsyncClient(verify=False, auth=flow, timeout=HANGS) as http:
            first = asyncio.create_task(http.post(f"{server}/mcp", json=LIST, headers=HEADERS))
            while not shown:
                await asyncio.sleep(0.02)
            second = asyncio.create_task(http.post(f"{server}/mcp", json=LIST, headers=HEADERS))
            await asyncio.sleep(0.3)
            second.cancel()
            Person().code(shown[0])
            return (await first).status_code

    assert asyncio.run(asyncio.wait_for(main(), 60)) == 200
    assert len(shown) == 1


@pytest.fixture
def elsewhere() -> Iterator[Any]:
    with faking() as one:
        one.on["/"] = Reply(401, headers=(("www-authenticate", "Bearer"),))
        yield one


def test_the_token_goes_to_its_own_server_only(server: str, elsewhere: Any) -> None:
    person = Person()
    with httpx2.Client(verify=False, auth=DeviceFlow(f"{server}/mcp", show=person.code)) as http:
        assert http.post(f"{server}/mcp", json=LIST, headers=HEADERS).status_code == 200
        assert http.get(f"{elsewhere.base}/").status_code == 401
    (seen,) = elsewhere.requests
    assert "authorization" not in seen.headers
    assert person.asked == 1


def test_a_wait_that_is_cut_short_stops_asking(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[DeviceCode] = []
    flow, ended = DeviceFlow(f"{server}/mcp", show=shown.append), threading.Event()
    obtain = flow._obtain

    def watched(*given: Any, **named: Any) -> Any:
        try:
            return obtain(*given, **named)
        finally:
            ended.set()

    monkeypatch.setattr(flow, "_obtain", watched)

    async def main() -> None:
        async with httpx2.AsyncClient(verify=False, auth=flow) as http:
            asking = asyncio.create_task(http.post(f"{server}/mcp", json=LIST, headers=HEADERS))
            while not shown:
                await asyncio.sleep(0.02)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking

    asyncio.run(asyncio.wait_for(main(), 60))
    assert ended.wait(60), "nobody has decided, and the code is good for minutes"


def test_a_browser_that_cannot_be_opened_leaves_no_listener(auth_server: AuthServer) -> None:
    def broken(url: str) -> None:
        raise RuntimeError("no display")

    before = threading.active_count()
    with (
        httpx2.Client(verify=False, auth=BrowserFlow(f"{auth_server.base}/mcp", open=broken)) as http,
        pytest.raises(RuntimeError, match="no display"),
    ):
        http.post(f"{auth_server.base}/mcp")
    assert threading.active_count() <= before + 1


def test_a_machine_presents_its_own_credentials(auth_server: AuthServer) -> None:
    auth_server.shop.fake.on["/mcp"] = lambda request: (
        Reply(200, json={}) if "authorization" in request.headers else Reply(401)
    )
    identity = ClientIdentity("robot", secret="s3cret & more", method="client_secret_basic", issuer=auth_server.base)
    with httpx2.Client(
        verify=False, auth=MachineFlow(f"{auth_server.base}/mcp", client=identity, scopes=("jobs:run",))
    ) as http:
        assert http.post(f"{auth_server.base}/mcp").status_code == 200
    (request,) = auth_server.shop.fake.to("/token")
    assert request.form["grant_type"] == ["client_credentials"]
    assert request.form["scope"] == ["jobs:run"]
    assert request.form["resource"] == [f"{auth_server.base}/mcp"]
    import base64

    pair = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
    assert pair == "robot:s3cret%20%26%20more", "both halves are form-encoded (RFC 6749 section 2.3.1)"


def test_the_browser_flow_answers_a_scripted_authorization_server(auth_server: AuthServer) -> None:
    def script(request: Request) -> Reply:
        return Reply(200, json={}) if request.headers.get("authorization") else Reply(401)

    auth_server.shop.fake.on["/mcp"] = script
    auth_server.shop.polls(granted())

    def open_page(url: str) -> bool:
        threading.Thread(target=come_back, args=(answered(url),), daemon=True).start()
        return True

    with httpx2.Client(verify=False, auth=BrowserFlow(f"{auth_server.base}/mcp", open=open_page)) as http:
        assert http.post(f"{auth_server.base}/mcp").status_code == 200


@pytest.fixture(scope="module")
def dear(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A shop that wants a human to approve each purchase above ten dollars."""
    folder = tmp_path_factory.mktemp("dear")
    policy = (ROOT / "demo" / "policy.toml").read_text("utf-8")
    (folder / "policy.toml").write_text(policy.replace("above = 5000", "above = 1000"), "utf-8")
    with serving(folder / "server.sqlite3", policy_folder=folder) as url:
        yield url


@pytest.mark.parametrize("kind", ["device", "browser"])
def test_a_dear_purchase_is_approved_by_itself_and_its_token_is_not_kept(dear: str, kind: str) -> None:
    from mcp.client import Client
    from mcp.client.streamable_http import streamable_http_client

    person = Person()
    flow: DeviceFlow | BrowserFlow = (
        DeviceFlow(f"{dear}/mcp", show=person.code, spending=Money(6000))
        if kind == "device"
        else BrowserFlow(f"{dear}/mcp", open=person.page, spending=Money(6000))
    )
    shirt = {"company": "Acme", "mailingAddress": "1 Main St", "tshirtSize": "M"}

    async def main() -> list[int]:
        async with (
            httpx2.AsyncClient(verify=False, auth=flow) as http,
            Client(streamable_http_client(f"{dear}/mcp", http_client=http)) as client,
        ):
            token = await flow.login()
            asked = [person.asked]
            for _ in range(2):
                assert not (await client.call_tool("buyMcpShopItem", shirt)).is_error
                asked.append(person.asked)
            assert (await flow.login()).access_token == token.access_token
            return asked

    assert asyncio.run(asyncio.wait_for(main(), 60)) == [1, 2, 3], "once to log in, and once for each purchase"
