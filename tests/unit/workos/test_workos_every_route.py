"""Every route of the local WorkOS API is asked by the SDK, read by the SDK's own models, and shut without the key."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from starlette.routing import Route

from demo.auth_server.context import AuthorizationServerConfig, Context
from demo.client.workos.agents import AgentIdentity
from demo.client.workos.audit import ORDER_PLACED
from demo.client.workos.tenant import Tenant
from demo.workos_emulator.routes import workos_routes
from tests.conftest import HANGS
from tests.unit.workos.conftest import World


def routes(folder: Path) -> list[tuple[str, Route]]:
    """Each route with its method, of an authorization server made for looking at only."""
    folder.mkdir(exist_ok=True)
    config = AuthorizationServerConfig(
        "http://127.0.0.1:1", folder / "a.sqlite3", ("http://127.0.0.1:1/mcp",), ("shop", "secret")
    )
    found = workos_routes(Context(config))
    return [(method, route) for route in found for method in (route.methods or ()) - {"HEAD"}]


def walk(world: World, tenant: Tenant) -> list[Any]:
    """One call of each kind; what the SDK made of the answers."""
    from workos.audit_logs.models import (
        AuditLogEvent,
        AuditLogEventActor,
        AuditLogEventContext,
        AuditLogEventTarget,
        AuditLogSchemaTargetInput,
    )

    world.agent()
    console = world.console()
    now = datetime.now(UTC)
    event = AuditLogEvent(
        action=ORDER_PLACED,
        occurred_at=now,
        actor=AuditLogEventActor(id="user_alice", type="user"),
        targets=[AuditLogEventTarget(id="order_1", type="order")],
        context=AuditLogEventContext(location="here"),
    )
    organization = tenant.organization_id

    def ask(question: Callable[[Any], Any]) -> Any:
        return tenant.ask("no", question)

    export = (organization, now, now)
    identity = AgentIdentity.ensure(tenant, name="Walker", permissions=["shop:read"])
    blueprint = identity.blueprint
    held = identity.deputize(console.access_token)
    schema = [AuditLogSchemaTargetInput(type="order")]
    questions: list[Callable[[Any], Any]] = [
        lambda sdk: sdk.user_management.list_users(),
        lambda sdk: sdk.user_management.get_user("user_alice"),
        lambda sdk: sdk.user_management.list_sessions("user_alice"),
        lambda sdk: sdk.user_management.list_user_authorized_applications("user_alice"),
        lambda sdk: sdk.organization_membership.list_organization_memberships(user_id="user_alice"),
        lambda sdk: sdk.user_management.create_authkit_oauth_resource(uri="https://shop.example/mcp"),
        lambda sdk: sdk.user_management.list_authkit_oauth_resources(),
        lambda sdk: sdk.organizations.list_organizations(),
        lambda sdk: sdk.authorization.list_permissions(),
        lambda sdk: sdk.authorization.create_permission(slug="shop:walk", name="Walk about"),
        lambda sdk: sdk.authorization.get_environment_role("admin"),
        lambda sdk: sdk.audit_logs.create_schema(ORDER_PLACED, targets=schema),
        lambda sdk: sdk.audit_logs.list_actions(),
        lambda sdk: sdk.audit_logs.create_event(organization_id=organization, event=event),
        lambda sdk: sdk.audit_logs.get_export(
            sdk.audit_logs.create_export(organization_id=export[0], range_start=export[1], range_end=export[2]).id
        ),
        lambda sdk: sdk.events.list_events(events=["session.created"]),
        lambda sdk: sdk.agents.update_blueprint(blueprint, description="Walks about"),
        lambda sdk: sdk.agents.validate_blueprint_token(blueprint, agent_access_token=held.access_token),
        lambda sdk: identity.view(held),
        lambda sdk: sdk.agents.revoke_session(held.session),
    ]
    told = [ask(question) for question in questions]
    world.agent("grace@example.com")
    session = ask(lambda sdk: sdk.user_management.list_sessions("user_alice")).data[0].id
    ends: list[Callable[[Any], Any]] = [
        lambda sdk: sdk.user_management.delete_user_authorized_application("demo-agent", "user_grace"),
        lambda sdk: sdk.user_management.revoke_session(session_id=session),
    ]
    assert all(ask(question) is None or question is ends[1] for question in ends)
    return told


def test_the_sdk_asks_every_route_and_reads_every_answer(world: World, tenant: Tenant, tmp_path: Path) -> None:
    told = walk(world, tenant)
    assert None not in told
    for answer in told:
        module = type(answer).__module__
        assert module.startswith(("workos.", "demo.", "deputize.")), "what the SDK could not read comes as it was"
    asked = {(exchange.method, urlsplit(exchange.url).path) for exchange in tenant.recorder.exchanges}
    assert all(exchange.status in (200, 201, 204) for exchange in tenant.recorder.exchanges)
    for method, route in routes(tmp_path / "look"):
        if route.path.endswith("events.csv"):
            continue  # the link of an export: a browser's, not the SDK's
        pattern = re.compile(re.sub(r"\{[^}]+\}", "[^/]+", route.path))
        assert any(method == one and pattern.fullmatch(path) for one, path in asked), f"{method} {route.path}"


def test_no_route_opens_without_the_key(world: World, tmp_path: Path) -> None:
    key = world.tenant().environment.api_key
    wrong = [None, "Bearer sk_local_wrong", f"Basic {key}", key, "Bearer", f"Bearer {key}x"]
    with httpx2.Client(base_url=world.base, timeout=HANGS, trust_env=False, verify=False) as http:
        for method, route in routes(tmp_path / "look"):
            path = re.sub(r"\{[^}]+\}", "x", route.path)
            for given in wrong if route.path == "/events" else wrong[:2]:
                answer = http.request(method, path, headers={} if given is None else {"Authorization": given})
                if path.endswith("events.csv") or path.startswith("/sso/jwks/"):
                    assert answer.status_code == (403 if path.endswith(".csv") else 404)
                    continue  # a signed link, and public keys
                assert (answer.status_code, answer.json()) == (401, {"message": "Unauthorized", "code": "unauthorized"})
                assert answer.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "invalid_request_body"),
        (b"[]", 400, "invalid_request_body"),
        (b"[" * 100_000, 413, "request_too_large"),
        (b"[" * 60_000, 400, "invalid_request_body"),
        (b'{"session_id": 7}', 400, "invalid_request"),
        (b"{}", 400, "invalid_request"),
    ],
)
def test_a_body_that_is_none_is_told_so(world: World, body: bytes, status: int, code: str) -> None:
    key = world.tenant().environment.api_key
    answer = httpx2.post(
        f"{world.base}/user_management/sessions/revoke",
        content=body,
        headers={"Authorization": f"Bearer {key}"},
        timeout=10,
        trust_env=False,
    )
    assert (answer.status_code, answer.json()["code"]) == (status, code)
