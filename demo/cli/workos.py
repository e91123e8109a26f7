"""Commands about the WorkOS environment behind a server: prepare it, keep its key, list and revoke grants."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from demo.cli.context import console_for, say_json, settings_of
from demo.errors import OK
from deputize.errors import AuthorizationRefused, UsageError

if TYPE_CHECKING:
    from demo.client.workos.tenant import Tenant
    from demo.settings import Settings

workos = typer.Typer(
    name="workos",
    help="Prepare and look into the WorkOS environment behind the server.",
    add_completion=False,
)


@workos.command()
def prepare(
    context: typer.Context,
    resource: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Name the server as its RFC 9728 metadata does; by default it and its admin route are asked.",
        ),
    ] = None,
) -> int:
    """Make what is missing at WorkOS: the server as a resource, permissions, the audit log's schema."""
    settings = settings_of(context)
    tenant = tenant_for(settings)
    from demo.client.workos.preparing import prepare as make

    done = make(tenant, *((resource,) if resource is not None else _resources(settings)))
    if settings.json:
        say_json({"schema": 1, "prepared": [one.__dict__ for one in done]})
        return OK
    for one in done:
        console_for(settings).print(f"{'made' if one.made else 'there':<6} {one.what}", markup=False, soft_wrap=True)
    return OK


@workos.command()
def key(context: typer.Context) -> int:
    """Store the API key in the keyring: type it unseen, or pipe it to stdin."""
    settings = settings_of(context)
    given = typer.prompt("API key", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
    if not given.strip().startswith("sk_"):
        raise UsageError(
            "this is no WorkOS API key", why="they begin with sk_", do="copy it from the dashboard: API Keys"
        )
    from demo.client.workos.environment import keep_key
    from demo.logins import token_store

    store = token_store(settings.state, server=settings.workos.base_url)
    keep_key(store, given, base_url=settings.workos.base_url)
    console_for(settings).print(store.notice or "The key is kept.", markup=False)
    return OK


@workos.command()
def events(
    context: typer.Context,
    hours: Annotated[float, typer.Option(help="Look this many hours back.", min=0.01, max=720)] = 1.0,
) -> int:
    """List what WorkOS saw happen to sessions and agents, oldest first."""
    import time

    settings = settings_of(context)
    from demo.client.workos.audit import AuditLog

    found = AuditLog(tenant_for(settings), where="").events(since=time.time() - 3600 * hours)
    if settings.json:
        say_json({"schema": 1, "events": [one.__dict__ for one in found]})
        return OK
    for one in found:
        when = time.strftime("%H:%M:%S", time.localtime(one.at))
        console_for(settings).print(
            f"{when}  {one.event:<32} {one.about}  {one.user or ''}", markup=False, soft_wrap=True
        )
    if not found:
        console_for(settings).print(f"Nothing in the last {hours:g} h.", markup=False)
    return OK


@workos.command()
def grants(
    context: typer.Context,
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="The human.")],
    revoked: Annotated[
        str | None, typer.Option("--revoke", metavar="CLIENT", help="Revoke what this client was granted.")
    ] = None,
) -> int:
    """List which software acts for a human, by which consent; with --revoke, revoke it."""
    settings = settings_of(context)
    from demo.client.workos.people import People

    people = People(tenant_for(settings))
    user = people.find(email).id
    if revoked is not None:
        people.revoke_grant(user, revoked)
    found = people.grants(user)
    if settings.json:
        say_json({"schema": 1, "user": user, "revoked": revoked, "grants": [one.__dict__ for one in found]})
        return OK
    for one in found:
        line = (
            f"{one.name} ({one.client_id}): {' '.join(one.scopes)}, for {one.resource or 'no resource'}, {one.consent}"
        )
        console_for(settings).print(line, markup=False, soft_wrap=True)
    if not found:
        console_for(settings).print(f"No software acts for {user}.", markup=False)
    return OK


def tenant_for(settings: Settings) -> Tenant:
    """The environment that these settings mean: the account's of `[workos]`, else the local server's.

    Raises:
        EnvironmentNotReady: there is no key.
        UsageError: a server is named and no `[workos]` table says what stands behind it.
    """
    import os

    from demo.client.workos.environment import Environment
    from demo.client.workos.tenant import Tenant

    if settings.workos.used:
        return Tenant(Environment.of_account(settings.workos, settings.state, os.environ))
    if settings.server is not None:
        raise UsageError(
            f"nothing says that WorkOS stands behind {settings.server}",
            do='add a [workos] table with authkit = "https://NAME.authkit.app" to demo.toml',
        )
    from demo.local_server import local

    server, note = local.ensure(settings.state, port=settings.port)
    if note:
        sys.stderr.write(f"{note}\n")
    return Tenant(Environment.of_local(server.base_url, settings.state))


def _resources(settings: Settings) -> tuple[str, ...]:
    """The server's own name for itself (RFC 9728 `resource`), and its admin route's, where it has one."""
    from demo.client.agent import Agent
    from demo.client.human.console import admin_resource
    from deputize.tokens.store import MemoryStore

    base = settings.server
    if base is None:
        from demo.local_server import local

        base = local.ensure(settings.state, port=settings.port)[0].base_url
    agent = Agent(base, store=MemoryStore())
    finder = agent.authorizer.discovery
    # A shop that trusts no authorization server yet says what it is called all the same.
    with contextlib.suppress(AuthorizationRefused):
        finder.ask()
    found = finder.challenge.resource if finder.challenge is not None else None
    if found is None or found.problem is not None:
        why = (found and found.problem) or ""
        raise UsageError("the server does not say what it is called", why=why, do="name it with --resource URL")
    admin = admin_resource(agent)
    return (found.resource,) if admin is None else (found.resource, admin)
