"""Commands of the human in control: revoke, reinstate, door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from demo.cli.context import cast_for, console_for, repeated, say_json, settings_of
from demo.cli.identity import SAMPLE
from demo.errors import OK
from deputize.errors import AuthorizationRefused, UsageError

if TYPE_CHECKING:
    from demo.settings import Settings
    from talk.cast import Cast

Kind = Literal["agent", "session", "user", "token"]
ADMIN = "grace@example.com"
"""The sample human who is an admin of the bundled shop."""


def revoke(
    context: typer.Context,
    agent: Annotated[bool, typer.Option("--agent", help="Revoke every grant of the human to this agent.")] = False,
    session: Annotated[bool, typer.Option("--session", help="Revoke what one consent granted (the default).")] = False,
    user: Annotated[bool, typer.Option("--user", help="Revoke every grant of the human to any agent.")] = False,
    token: Annotated[bool, typer.Option("--token", help="Let the agent revoke its own token (RFC 7009).")] = False,
    id_: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="Use this id instead of the stored token's.")
    ] = None,
    attendee: Annotated[
        str | None,
        typer.Option(
            "--attendee", metavar="NUMBER|all", help="Revoke the agent of an attendee of demo stage --audience, or all."
        ),
    ] = None,
) -> int:
    """Revoke what an agent was granted; the next call is refused."""
    settings = settings_of(context)
    chosen = [name for name, on in (("agent", agent), ("session", session), ("user", user), ("token", token)) if on]
    chosen += ["attendee"] if attendee is not None else []
    if len(chosen) > 1:
        raise UsageError(f"--{chosen[0]} and --{chosen[1]} exclude each other", do="choose one")
    if attendee is not None:
        return _revoke_in_the_room(settings, attendee)
    kind = chosen[0] if chosen else "session"
    cast = cast_for(settings)
    if kind == "token":
        held = cast.agent().stored()
        if held is None:
            raise AuthorizationRefused("there is no token to revoke", do="get one with: demo login")
        if (unconfirmed := cast.agent().revoke(held)) is not None:
            raise AuthorizationRefused(
                "the authorization server did not confirm the revocation", why=unconfirmed, do="demo doctor"
            )
        target = "The stored token"
    else:
        target = id_ or _target(cast, kind)
        cast.humans.console_of_grantor().revoke(kind, target)
    return _said(settings_of(context), kind, target, "revoked")


def reinstate(
    context: typer.Context,
    agent: Annotated[bool, typer.Option("--agent", help="Reinstate the agent (the default).")] = False,
    user: Annotated[bool, typer.Option("--user", help="Reinstate the human.")] = False,
    id_: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="Use this id instead of the stored token's.")
    ] = None,
) -> int:
    """Reinstate a revoked agent or user; a revoked session stays revoked: log in again."""
    if agent and user:
        raise UsageError("--agent and --user exclude each other", do="choose one")
    kind = "user" if user else "agent"
    cast = cast_for(settings_of(context))
    target = id_ or _target(cast, kind)
    if cast.humans.console_of_grantor().reinstate(kind, target):
        return _said(settings_of(context), kind, target, "reinstated")
    other = "" if user else " The user's standing is another matter: demo reinstate --user."
    why = f"{kind} {target} was not revoked. A session that was ended stays ended: demo login.{other}"
    return _said(settings_of(context), kind, target, "reinstated", instead=why)


def door(
    context: typer.Context,
    which: Annotated[Literal["open", "protected"], typer.Argument(help="Which door.")],
    stock: Annotated[
        int | None, typer.Option(min=0, max=1_000_000, metavar="N", help="Set how many shirts it has in stock.")
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Set the description in its listing; an empty one restores the shop's own."),
    ] = None,
    close: Annotated[bool, typer.Option("--close", help="Close the open door.")] = False,
    reopen: Annotated[bool, typer.Option("--reopen", help="Open it again.")] = False,
    account: Annotated[
        str | None,
        typer.Option(metavar="EMAIL", help="Let this sample human do it; the bundled shop's admin is Grace."),
    ] = None,
) -> int:
    """Restock a door of the shop, set the text of its listing, or close and reopen the open one; only an admin may."""
    if close and reopen:
        raise UsageError("--close and --reopen exclude each other", do="choose one")
    if which == "protected" and (close or reopen):
        raise UsageError(
            "the protected door cannot be closed", why="its gates decide who comes in", do="use: demo door open --close"
        )
    if stock is None and text is None and not (close or reopen):
        raise UsageError("nothing to do", do="use --stock N, --text TEXT, --close or --reopen")
    settings = settings_of(context)
    cast = cast_for(settings)
    if account is not None and not cast.server.ours:
        raise UsageError(
            "--account takes a sample human of the bundled authorization server",
            why="at this server an admin signs in at their own console",
            do="sign in as one: demo login --console",
        )
    console = cast.humans.console() if account is None else cast.humans.console_of(account)
    try:
        state = console.set_door(which, stock=stock, open=reopen if close or reopen else None, description=text)
    except AuthorizationRefused as refused:
        other = account not in (None, ADMIN)
        if getattr(refused, "oauth_error", None) != "access_denied" and not other:
            raise
        who = f"{account or SAMPLE} is none; {ADMIN} is" if cast.server.ours else "the human at this console is none"
        again = f"let {ADMIN} do it: the same command with --account {ADMIN}"
        raise AuthorizationRefused(
            "only an admin of this shop may set its doors",
            why=who,
            do=again if cast.server.ours else "sign in as an admin of the shop: demo login --console",
        ) from refused
    if settings.json:
        say_json({"schema": 1, **state})
    elif not settings.quiet:
        how = "" if state["open"] else ", and is switched off"
        said = f"The {which} door has {state['stock']} in stock{how}."
        if text is not None:
            said += f" Its listing says: {state['description']}"
        console_for(settings).print(said, markup=False)
    return OK


def _target(cast: Cast, kind: str) -> str:
    agent = cast.agent()
    held = agent.stored()
    if held is None:
        raise AuthorizationRefused(f"which {kind}? there is no stored token to read it from", do="name it with --id ID")
    from talk.playing.revoke import target_of

    return target_of(agent, kind)


def _revoke_in_the_room(settings: Settings, which: str) -> int:
    """Revoke attendees' agents, and say whose."""
    from demo.audience import life

    number = None if which == "all" else int(which) if which.isascii() and which.isdecimal() else 0
    if number == 0:
        raise UsageError(
            f"--attendee {which}: that is no attendee", do="use the number that their page shows, or: --attendee all"
        )
    revoked = life.revoke(settings.state, number)
    if settings.json:
        say_json({"schema": 1, "revoked": [{"number": one.number, "name": one.name} for one in revoked]})
    elif not settings.quiet:
        if number is not None:
            said = f"agent of number {number} revoked" if revoked else f"number {number} has no agent with authority"
        else:
            said = f"{len(revoked)} {'agent' if len(revoked) == 1 else 'agents'} of the room revoked"
        console_for(settings).print(f"{said[0].upper()}{said[1:]}.", markup=False, highlight=False)
    return OK


def _said(settings: Settings, kind: str, target: str, done: str, instead: str = "") -> int:
    """Say what was done to whom, or why there was nothing to do."""
    if settings.json:
        say_json({"schema": 1, "kind": kind, "id": target, done: not instead})
    elif not settings.quiet:
        said = repeated(instead, settings) or f"{kind} {target} {done}.".removeprefix("token ")
        console_for(settings).print(said, markup=False, highlight=False)
    return OK
