"""Commands of the shop's policy: show it, check a file, make one to change, explain what it would decide."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from demo.cli.context import cast_for, console_for, say_json, settings_of
from demo.errors import OK
from deputize.errors import AuthorizationRefused, EnvironmentNotReady, UsageError

if TYPE_CHECKING:
    from demo.evidence.grants import SessionView
    from demo.policy_file import Written
    from demo.settings import Settings
    from talk.cast import Cast

policy = typer.Typer(
    name="policy",
    help="Show, check and change the local shop's policy, and explain what it decides.",
    add_completion=False,
)


@policy.command()
def show(
    context: typer.Context,
    shipped: Annotated[bool, typer.Option("--shipped", help="Show the policy that the demo ships.")] = False,
) -> int:
    """Show the policy of the local shop: the state folder's file, or the one that ships."""
    from demo import policy_file

    settings = settings_of(context)
    written, source = (policy_file.SHIPPED, "shipped") if shipped else _of_state(settings)
    if settings.json:
        say_json({"schema": 1, "source": source, "digest": written.digest, "text": written.text})
    else:
        sys.stdout.write(written.text)
    return OK


@policy.command()
def check(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Check this file; the state folder's by default.")
    ] = None,
) -> int:
    """Check a policy file: every fault with its line."""
    from demo import policy_file

    settings = settings_of(context)
    if file is not None:
        written, said = read_policy(file), f"{file} is a policy."
    else:
        written, source = _of_state(settings)
        path = settings.state / policy_file.NAME
        none = source == "shipped"
        said = f"There is no {path}: the policy that ships counts." if none else f"{path} is a policy."
    if settings.json:
        say_json({"schema": 1, "digest": written.digest})
    elif not settings.quiet:
        console_for(settings).print(said, markup=False, soft_wrap=True)
    return OK


@policy.command()
def init(context: typer.Context) -> int:
    """Put the shipped policy into the state folder, to be changed there."""
    from demo import policy_file
    from deputize import private

    settings = settings_of(context)
    path = settings.state / policy_file.NAME
    private.folder(settings.state)
    if path.exists() or path.is_symlink():
        raise UsageError(f"{path} is there already", do="change that, or remove it first")
    try:
        private.write(path.with_name(policy_file.SCHEMA.name), policy_file.SCHEMA.read_text("utf-8"))
        private.write(path, policy_file.SHIPPED.text)
    except OSError as error:
        raise EnvironmentNotReady(
            f"{path} cannot be written", why=error.strerror or str(error), do="choose another --state DIR"
        ) from error
    if settings.json:
        say_json({"schema": 1, "file": str(path), "digest": policy_file.SHIPPED.digest})
    elif not settings.quiet:
        said = (
            f"{path}: change it, and the shop goes by it within a second. demo policy check says what is wrong with it."
        )
        console_for(settings).print(said, markup=False, soft_wrap=True)
    return OK


@policy.command()
def explain(
    context: typer.Context,
    tool: Annotated[str, typer.Option(metavar="TOOL", help="Name the tool that would be called.")],
    user: Annotated[
        str | None,
        typer.Option(
            metavar="EMAIL",
            help="Suppose this human; by default the one who consented to the stored login.",
        ),
    ] = None,
    agent: Annotated[
        str | None, typer.Option(metavar="ID", help="Suppose this agent or client; the stored token's by default.")
    ] = None,
    scope: Annotated[
        str | None, typer.Option(metavar="SCOPES", help="Suppose these scopes, instead of those that were granted.")
    ] = None,
    account: Annotated[
        str | None,
        typer.Option(metavar="EMAIL", help="Let this sample human ask; only an admin may ask about others."),
    ] = None,
) -> int:
    """Explain what the shop would decide about a call, by which line of its policy, and what would make it pass."""
    from demo import panels
    from demo.settings.tools import VERBS

    settings = settings_of(context)
    if tool not in VERBS:
        raise UsageError(f"the shop has no tool {tool!r}", do=f"choose one of: {', '.join(VERBS)}")
    cast = cast_for(settings)
    if account is not None and not cast.server.ours:
        raise UsageError("--account takes a sample human of the bundled authorization server", do="leave it out")
    humans = cast.humans
    console = humans.console_of_grantor() if account is None else humans.console_of(account)
    oneself = account or ((humans.account_of_grantor() or humans.account()) if cast.server.ours else "")
    question = _question(
        cast, console.sessions(), tool, user or oneself, agent, scope, about_oneself=user in (None, oneself)
    )
    try:
        found = console.explain(question)
    except AuthorizationRefused as refused:
        if getattr(refused, "oauth_error", None) != "access_denied":
            raise
        raise AuthorizationRefused(
            "only an admin of this shop may ask about somebody else",
            why=f"{oneself or 'the human at this console'} is none",
            do="ask with: --account grace@example.com"
            if cast.server.ours
            else "sign in as an admin: demo login --console",
        ) from refused
    if settings.json:
        say_json({"schema": 1, **found.to_dict()})
    else:
        console_for(settings).print(panels.explanation(found))
    return OK


def _question(
    cast: Cast,
    sessions: tuple[SessionView, ...],
    tool: str,
    user: str,
    agent: str | None,
    scope: str | None,
    *,
    about_oneself: bool,
) -> dict[str, Any]:
    """The question with what is known of the grant: at the authorization server only the human sees it."""
    found: dict[str, Any] = {"user": user, "tool": tool, "agent": agent, "client": None}
    if about_oneself:
        named = agent or _stored(cast)
        mine = [
            one
            for one in sessions
            if one.agent and (named is None or named in (one.agent, one.client, one.client_name))
        ]
        live = [one for one in mine if one.revoked_at is None and (one.expires_at or time.time() + 1) > time.time()]
        grant = max(live or [one for one in mine if one.revoked_at], key=lambda one: one.created_at or 0, default=None)
        if grant is not None:
            limit = grant.spending_limit
            found |= {
                "agent": grant.agent,
                "client": grant.client,
                "session": grant.id,
                "consent": grant.consent,
                "scope": " ".join(grant.scopes),
                "spending_limit": None if limit is None else {"amount": limit.amount, "currency": limit.currency},
                "revoked": grant.revoked_by_kind or ("session" if grant.revoked_at is not None else None),
            }
    elif scope is None:
        raise UsageError(
            f"which scopes does {user} grant?",
            why="what somebody granted is theirs to see",
            do="suppose some: --scope 'shop:read shop:buy'",
        )
    if scope is not None:
        found["scope"] = scope
    return {name: value for name, value in found.items() if value is not None}


def _stored(cast: Cast) -> str | None:
    """The agent, or the client, of the stored token, whether that is good or not; None where there is none."""
    held = (agent := cast.agent()).stored()
    chain = agent.chain(held) if held is not None else None
    return (chain.agent or chain.client) if chain is not None else None


def read_policy(path: Path) -> Written:
    """The policy in a file.

    Raises:
        UsageError: it cannot be read, or is no policy.
    """
    from demo import policy_file

    try:
        content = policy_file.content_of(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read", why=error.strerror or str(error), do="name a file") from error
    return _read(content, path)


def _of_state(settings: Settings) -> tuple[Written, str]:
    from demo import policy_file

    try:
        content = policy_file.of_folder(settings.state)
    except OSError as error:
        raise EnvironmentNotReady(
            f"{settings.state / policy_file.NAME} cannot be read",
            why=error.strerror or str(error),
            do="demo policy show --shipped",
        ) from error
    if content is None:
        return policy_file.SHIPPED, "shipped"
    return _read(content, settings.state / policy_file.NAME), policy_file.NAME


def _read(content: bytes, path: Path) -> Written:
    from demo import policy_file

    try:
        return policy_file.read(content)
    except policy_file.PolicyWrong as wrong:
        raise UsageError(
            f"{path} is no policy",
            why="; ".join(map(str, wrong.faults[:5])),
            do="fix it, then: demo policy check",
        ) from None
