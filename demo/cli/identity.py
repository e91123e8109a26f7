"""Commands about identity, a la carte: login, whoami, token, logout."""

from __future__ import annotations

import re
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from demo.cli.context import cast_for, console_for, say_json, settings_of
from demo.errors import OK, AuthorityRefused, UsageError

if TYPE_CHECKING:
    from demo.evidence import Money

SCOPES = ("openid", "shop:read", "orders:read", "shop:buy", "demo:mode", "offline_access")


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (login, whoami, token, logout):
        app.command()(command)


def login(
    context: typer.Context,
    device: Annotated[bool, typer.Option("--device", help="The device flow (RFC 8628); the only one so far.")] = False,
    scope: Annotated[list[str] | None, typer.Option("--scope", help="A scope to ask for; may be repeated.")] = None,
    spend: Annotated[str | None, typer.Option("--spend", help="A spending limit to ask for, as 60.00.")] = "60.00",
    account: Annotated[str, typer.Option(help="The sample human, when no person decides.")] = "alice@example.com",
    deny: Annotated[bool, typer.Option("--deny", help="Without a terminal: let the sample human deny.")] = False,
) -> int:
    """Ask a human for authority; without a terminal the sample human answers."""
    del device
    settings = settings_of(context)
    cast = cast_for(settings)
    from demo import panels
    from talk.keys import interactive
    from talk.stage import Stage

    person = interactive() and not settings.json
    stage = Stage(console_for(settings), person=person, plain=settings.plain)
    agent = cast.agent()
    pending = agent.start_login(tuple(scope or SCOPES), spending=_money(spend))
    stage.show("device", panels.device(pending.code, time.time()))
    human = cast.human(account) if cast.is_local else None
    if human is None and not person:
        sys.stderr.write(f"open {pending.code.verification_uri} and enter {pending.code.user_code}\n")
    decider = stage.decider(pending.code, human, approve=not deny, ask=True)
    try:
        with decider:
            stored = agent.finish_login(pending, on_wait=decider.tick, give_up=decider.failed)
    except AuthorityRefused:
        if decider.answer.error is not None:
            raise decider.answer.error from None
        raise
    view = agent.view(stored)
    if settings.json:
        say_json({"schema": 1, "granted": True, "scopes": list(view.scopes), "expires_at": stored.expires_at})
    else:
        stage.show("token", panels.token(view, time.time()))
    _say_notice(cast.store.notice)
    return OK


def whoami(context: typer.Context) -> int:
    """The human, the agent, the session and the scopes, read from the token itself and checked."""
    settings = settings_of(context)
    agent = cast_for(settings).agent()
    stored = agent.token()
    view = agent.view(stored)
    if settings.json:
        claims = {claim.name: claim.value for claim in view.claims}
        say_json(
            {
                "schema": 1,
                "verified": view.signature is not None and not view.problems,
                "problems": list(view.problems),
                "claims": claims,
                "scopes": list(view.scopes),
            }
        )
        return OK
    from demo import panels

    console_for(settings).print(panels.chain(agent.chain(stored)))
    return OK


def token(
    context: typer.Context,
    show: Annotated[bool, typer.Option("--show", help="Print the whole access token: it is a secret.")] = False,
) -> int:
    """The stored access token, explained; printed whole only with --show."""
    settings = settings_of(context)
    agent = cast_for(settings).agent()
    stored = agent.token()
    if show:
        if settings.json:
            say_json({"schema": 1, "access_token": stored.access_token, "expires_at": stored.expires_at})
        else:
            sys.stdout.write(stored.access_token + "\n")
        return OK
    view = agent.view(stored)
    if settings.json:
        say_json({"schema": 1, "token": view.masked, "problems": list(view.problems), "expires_at": stored.expires_at})
        return OK
    from demo import panels

    console_for(settings).print(panels.token(view, time.time()))
    return OK


def logout(context: typer.Context) -> int:
    """Give the authority back: revoke the token at the server (RFC 7009), then forget it."""
    settings = settings_of(context)
    agent = cast_for(settings).agent()
    had = agent.stored() is not None
    confirmed = agent.logout() if had else False
    if settings.json:
        say_json({"schema": 1, "had_token": had, "revoked_at_server": confirmed})
        return OK
    said = "There was no token to give back."
    if had:
        said = "Revoked at the authority, and forgotten here."
        if not confirmed:
            said = "Forgotten here. The authority did not confirm a revocation: the token may live until it expires."
    console_for(settings).print(said, markup=False)
    return OK


def _money(text: str | None) -> Money | None:
    if text is None or text == "0":
        return None
    from demo.evidence import Money  # twenty dataclasses: not before they are needed

    written = re.fullmatch(r"([0-9]{1,7})(?:\.([0-9]{2}))?", text)
    if written is None:
        raise UsageError(f"--spend is {text!r}", do="write an amount in USD, such as 60.00; or 0 for none")
    return Money(int(written[1]) * 100 + int(written[2] or 0))


def _say_notice(notice: str | None) -> None:
    if notice:
        sys.stderr.write(f"{notice}\n")
