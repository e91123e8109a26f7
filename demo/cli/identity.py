"""Commands about the agent's identity: login, whoami, token, logout."""

from __future__ import annotations

import re
import shlex
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from demo.cli.context import cast_for, console_for, repeated, say_json, say_notice, settings_of
from demo.cli.sub_agents import SubAgentOption, acting, named
from demo.errors import OK, REFUSED
from deputize.errors import AuthorizationRefused, ServerUnreachable, UsageError

if TYPE_CHECKING:
    from demo.client.agent import Agent
    from demo.settings import Settings
    from deputize.evidence import GrantStanding, Money
    from deputize.tokens.stored import StoredToken
    from talk.cast import Cast

SCOPES = ("openid", "shop:read", "orders:read", "shop:buy", "demo:mode", "offline_access")


SAMPLE = "alice@example.com"


def login(
    context: typer.Context,
    device: Annotated[bool, typer.Option("--device", help="Use the device flow (RFC 8628): no browser here.")] = False,
    browser: Annotated[
        bool, typer.Option("--browser", help="Use the authorization code flow with PKCE, in this machine's browser.")
    ] = False,
    scope: Annotated[list[str] | None, typer.Option("--scope", help="Ask for this scope; may be repeated.")] = None,
    spend: Annotated[
        str | None,
        typer.Option(
            "--spend", metavar="USD", help="Ask for this spending limit, e.g. 60.00; 0 leaves it to the human."
        ),
    ] = None,
    account: Annotated[
        str, typer.Option(metavar="EMAIL", help="Let this sample human decide, where no person does.")
    ] = SAMPLE,
    expected: Annotated[
        str | None,
        typer.Option(
            "--as", metavar="EMAIL", help="Accept the consent of this account only: an e-mail address or a sub."
        ),
    ] = None,
    deny: Annotated[bool, typer.Option("--deny", help="Let the sample human deny, where no person decides.")] = False,
    bearer: Annotated[
        bool,
        typer.Option("--bearer", help="Ask for a token that works without a key, such as for curl: also for a thief."),
    ] = False,
    console: Annotated[
        bool,
        typer.Option("--console", help="Sign in yourself, at your own console: to read the audit log and to revoke."),
    ] = False,
) -> int:
    """Log in: ask a human for consent. Without a terminal the sample human decides."""
    if device and browser:
        raise UsageError(
            "--device and --browser exclude each other", do="choose one, or neither: demo login then picks the flow"
        )
    if console and (device or deny or scope or spend is not None or account != SAMPLE or expected or bearer):
        raise UsageError(
            "--console takes no --device, --deny, --scope, --spend, --account, --as or --bearer",
            why="it is your own console that signs in, and it asks for what a console needs",
            do="leave them out",
        )
    settings = settings_of(context)
    cast = cast_for(settings)
    from demo import panels
    from talk.stage.keys import interactive
    from talk.stage.login import LoggingIn
    from talk.stage.screen import Stage

    hosted = cast.humans.hosted_console() if console and not cast.server.ours else None
    if console and hosted is None:
        cast.humans.console()  # at the bundled authorization server the sample human signs in at once
        return _signed_in(settings)
    agent = hosted.agent if hosted is not None else cast.agent()
    if expected is not None and "@" in expected and account == SAMPLE:
        account = expected  # a sample human who decides for another one would be asked in vain
    asked = LoggingIn(
        agent,
        Stage(console_for(settings), person=interactive() and not settings.json, plain=settings.plain),
        human=cast.humans.human(account) if cast.server.ours else None,
        approve=not deny,
        expected=expected,
        bound=not bearer,
        resources=None if hosted is None else (hosted.resource,),
        spending=None
        if hosted is not None
        else money(spend if spend is not None else "60.00" if cast.server.ours or agent.limits_spending() else "0"),
    )
    chosen = asked.choose("device" if device else "browser" if browser else None)
    try:
        granted = asked.by(chosen, tuple(scope) if scope else SCOPES if cast.server.ours else agent.wanted_scopes())
    finally:
        # Also where the login fails: who the agent is there is kept before anybody is asked.
        say_notice(cast)
    stored, chosen = granted.token, granted.chosen
    if hosted is not None:
        return _signed_in(settings)
    view = agent.view(stored)
    if settings.json:
        say_json(
            {
                "schema": 1,
                "granted": True,
                "scopes": list(view.scopes),
                "expires_at": stored.expires_at,
                "holder": view.holder,
                "human": list(stored.human),
                "flow": chosen.flow.name,
                "why": chosen.why,
            }
        )
    else:
        screen = console_for(settings)
        if stored.human and not settings.quiet:
            screen.print(f"Said yes: {stored.human[0]}", markup=False)
        screen.print(panels.token(view, time.time()))
    return OK


def _signed_in(settings: Settings) -> int:
    """The human is in at their own console."""
    if settings.json:
        say_json({"schema": 1, "granted": True, "console": True})
    elif not settings.quiet:
        said = repeated("Signed in at your own console: demo audit, demo revoke.", settings)
        console_for(settings).print(said, markup=False)
    return OK


def whoami(
    context: typer.Context,
    sub_agent: SubAgentOption = None,
) -> int:
    """Show the human, the agent, the session and the scopes, verified, and whether the grant still stands."""
    settings = settings_of(context)
    cast = cast_for(settings)
    agent = acting(cast, sub_agent)
    stored = agent.token()
    view = agent.view(stored)
    standing = agent.standing(stored)
    verified = view.signature is not None and not view.problems
    code = REFUSED if standing.stands is False else OK
    if settings.json:
        claims = {claim.name: claim.value for claim in view.claims}
        say_json(
            {
                "schema": 1,
                "verified": verified,
                "problems": list(view.problems),
                "claims": claims,
                "scopes": list(view.scopes),
                "holder": view.holder,
                "grant": standing.to_dict(),
            }
        )
        return code
    from demo import panels

    if verified:
        standing = replace(standing, remedy=_remedy(standing, settings, sub_agent))
        chain = agent.chain(stored, seen=view, person=_person(cast, agent, stored))
        if sub_agent is not None:
            chain = named(chain, stored, agent, cast.agent())
        console_for(settings).print(panels.chain(chain, standing))
        return code
    # Nobody can say who is in a token that cannot be verified. Of an opaque one its issuer can (RFC 7662): what that
    # says is shown, and no chain is made of it.
    if standing.stands is False:
        view = replace(view, problems=(*view.problems, f"the server refuses it ({standing.answer}): {standing.reason}"))
    console_for(settings).print(panels.token(view, time.time()))
    return code


def _person(cast: Cast, agent: Agent, stored: StoredToken) -> dict[str, Any]:
    """Who the human is: to a grant that was revoked nobody tells a name any more, and their own console knows it."""
    person = agent.identify(stored)
    if "email" in person or not cast.server.ours:
        return person
    try:
        console = cast.humans.console_of_grantor().agent
        told = console.identify(console.token())
    except (AuthorizationRefused, ServerUnreachable):
        return person
    return told if told.get("sub") == person.get("sub") else person


def _remedy(standing: GrantStanding, settings: Settings, sub_agent: str | None) -> str:
    """What the server says would help, and the commands that do it at the bundled one."""
    rule = standing.answer.rpartition(" ")[2]
    commands = _AGAIN.get(rule, "") if settings.local else ""
    if sub_agent is not None and commands == _LOG_IN:
        # These say all that the server's words do, which would leave them no room.
        return repeated(f"demo login, then demo hand-on {shlex.quote(sub_agent)}", settings)
    if sub_agent is not None and commands == _REINSTATE:
        commands = "(demo reinstate --agent --id ID)"
    return repeated(" ".join(filter(None, (standing.remedy, commands))), settings)


_LOG_IN, _REINSTATE = "(demo login)", "(demo reinstate --agent)"
_AGAIN = {
    "standing.session": _LOG_IN,
    "standing.token": _LOG_IN,
    "standing.agent": _REINSTATE,
    "standing.user": "(demo reinstate --user)",
}


def token(
    context: typer.Context,
    show: Annotated[bool, typer.Option("--show", help="Print the whole access token: it is a secret.")] = False,
) -> int:
    """Explain the stored access token; print it whole only with --show."""
    settings = settings_of(context)
    agent = cast_for(settings).agent()
    stored = agent.token()
    if show:
        if settings.json:
            say_json({"schema": 1, "access_token": stored.access_token, "expires_at": stored.expires_at})
        else:
            sys.stdout.write(stored.access_token + "\n")
            if agent.view(stored).holder == "key":
                bound = "It is bound to a key and works with it alone. For curl and the like: demo login --bearer"
                sys.stderr.write(f"{repeated(bound, settings)}\n")
        return OK
    view = agent.view(stored)
    if settings.json:
        say_json(
            {
                "schema": 1,
                "token": view.masked,
                "problems": list(view.problems),
                "expires_at": stored.expires_at,
                "holder": view.holder,
            }
        )
        return OK
    from demo import panels

    console_for(settings).print(panels.token(view, time.time()))
    return OK


def logout(context: typer.Context) -> int:
    """Revoke the stored token at the authorization server (RFC 7009), and forget it."""
    settings = settings_of(context)
    agent = cast_for(settings).agent()
    had = agent.stored() is not None
    unconfirmed = agent.logout() if had else None
    if settings.json:
        say_json({"schema": 1, "had_token": had, "revoked_at_server": had and unconfirmed is None, "why": unconfirmed})
        return OK
    said = "There was no token to revoke."
    if had:
        said = "Revoked at the authorization server, and forgotten here."
        if unconfirmed is not None:
            said = f"Forgotten here only: {unconfirmed}. The token may live until it expires."
    console_for(settings).print(said, markup=False)
    return OK


def money(text: str | None) -> Money | None:
    if text is None or re.fullmatch(r"0(\.00)?", text):
        return None
    from deputize.evidence import Money  # twenty dataclasses: not before they are needed

    written = re.fullmatch(r"([0-9]{1,7})(?:\.([0-9]{2}))?", text)
    if written is None:
        raise UsageError(
            f"--spend is {text!r}", do="write an amount in USD, such as 60.00; or 0, and the human sets it"
        )
    return Money(int(written[1]) * 100 + int(written[2] or 0))
