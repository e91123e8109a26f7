"""What an environment needs is made once, and a registered server is one that tokens are issued for."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from demo.client.workos.environment import Environment
from demo.client.workos.preparing import SCOPES, permissions, prepare, resources, role_permissions
from demo.client.workos.tenant import Tenant, WorkOSRefused
from deputize.errors import EnvironmentNotReady, ServerUnreachable
from deputize.http.errors import OAuthRefused
from tests.unit.workos.conftest import World, claim

ELSEWHERE = "https://shop.example/mcp"


def test_prepared_twice_is_prepared_once(world: World, tenant: Tenant) -> None:
    first = {one.what: one.made for one in prepare(tenant, ELSEWHERE)}
    assert first[f"resource {ELSEWHERE}"] is True
    assert first["audit log schema shop.order.placed"] is True
    assert not any(one.made for one in prepare(tenant, ELSEWHERE))
    assert resources(tenant)[0] == ELSEWHERE
    assert prepare(tenant, world.shop)[0].made is False, "the local shop is there from the start"
    assert set(SCOPES) <= permissions(tenant)


def test_a_token_names_a_server_in_aud_only_once_it_is_registered(world: World, tenant: Tenant) -> None:
    with pytest.raises(OAuthRefused) as refused:
        world.agent(resource=ELSEWHERE)
    assert refused.value.oauth_error == "invalid_target"
    prepare(tenant, ELSEWHERE)
    agent = world.agent(resource=ELSEWHERE)
    assert claim(agent, "aud") == ELSEWHERE


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "shop",
        "ftp://x/",
        "http://evil.example/mcp",
        "https://*.example/",
        "https://a.example/#b",
        "https://a.example/?b",
        "https://u@a.example",
    ],
)
def test_what_is_no_server_is_a_422(tenant: Tenant, uri: str) -> None:
    with pytest.raises(WorkOSRefused) as refused:
        tenant.ask("no", lambda sdk: sdk.user_management.create_authkit_oauth_resource(uri=uri))
    assert refused.value.status == 422


def test_there_is_one_default_resource_at_most(tenant: Tenant) -> None:
    for uri in ("https://a.example/mcp", "https://b.example/mcp"):
        tenant.ask("no", lambda sdk: sdk.user_management.create_authkit_oauth_resource(uri=uri, default=True))  # noqa: B023  # called at once
    told = tenant.every("no", lambda sdk: sdk.user_management.list_authkit_oauth_resources())
    assert [one.uri for one in told if one.default] == ["https://b.example/mcp"]
    assert {"https://a.example/mcp", "https://b.example/mcp"} < {one.uri for one in told}


def test_roles_grant_what_their_holders_may_hand_on(tenant: Tenant) -> None:
    granted = {role: role_permissions(tenant, role) for role in ("admin", "customer", "member")}
    assert "audit:read" in granted["customer"] and "audit:read" not in granted["member"]
    with pytest.raises(WorkOSRefused) as refused:
        tenant.ask("no", lambda sdk: sdk.authorization.get_environment_role("king"))
    assert refused.value.status == 404


def test_a_permission_is_made_once(tenant: Tenant) -> None:
    made = tenant.ask("no", lambda sdk: sdk.authorization.create_permission(slug="shop:gift", name="Give away"))
    assert made.slug in permissions(tenant)
    for slug, status in (("shop:gift", 409), ("shop:buy", 409), ("Shop Buy", 422)):
        with pytest.raises(WorkOSRefused) as refused:
            tenant.ask("no", lambda sdk: sdk.authorization.create_permission(slug=slug, name="x"))  # noqa: B023  # called at once
        assert refused.value.status == status


def test_the_only_organization_is_found(world: World, tenant: Tenant) -> None:
    named = tenant.environment.organization_id
    assert world.tenant(organization_id="").organization_id == named


def test_without_a_local_server_there_is_no_key(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(EnvironmentNotReady) as missing:
        Environment.of_local(world.base, tmp_path_factory.mktemp("empty"))
    assert "demo next" in missing.value.do


def test_a_server_that_is_no_workos_is_told_apart(world: World) -> None:
    with pytest.raises(ServerUnreachable):
        world.tenant(base_url=f"{world.base}/device").ask("no", lambda sdk: sdk.user_management.get_user("x"))
    with pytest.raises(ServerUnreachable):
        world.tenant(base_url="http://127.0.0.1:9").ask("no", lambda sdk: sdk.user_management.get_user("x"))


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 14\r\n\r\n<html>hi</html",
        b"HTTP/1.1 302 Found\r\nlocation: https://login.example/\r\ncontent-length: 0\r\n\r\n",
        b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n{"object": "x"}',
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n[]",
        b"HTTP/1.1 403 Forbidden\r\ncontent-type: text/html\r\ncontent-length: 4\r\n\r\nnope",
        b"HTTP/1.1 503 Busy\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}",
    ],
)
def test_no_odd_answer_is_taken_for_one(answer: bytes) -> None:
    with answering(answer) as url, pytest.raises(ServerUnreachable):
        Tenant(Environment(url, "sk_key")).ask("no", lambda sdk: sdk.user_management.get_user("x"))


def test_a_server_that_never_answers_is_given_up() -> None:
    with answering(b"") as url, pytest.raises(ServerUnreachable) as late:
        Tenant(Environment(url, "sk_key"), timeout=0.5).ask("no", lambda sdk: sdk.user_management.get_user("x"))
    assert "0.5 s" in late.value.what


@contextlib.contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A server that says the same to everybody; nothing at all for no bytes."""
    stopped = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)

        def serve() -> None:
            held = []
            while not stopped.is_set():
                with contextlib.suppress(TimeoutError):
                    connection, _ = listener.accept()
                    held.append(connection)
                    connection.recv(65536)
                    if answer:
                        connection.sendall(answer)
                        connection.close()
            for connection in held:
                connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            stopped.set()
            thread.join(5)
