"""Commands by which the agent uses a server: tools, call, orders."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from demo.cli.context import cast_for, console_for, repeated, say_json, say_notice, settings_of
from demo.cli.sub_agents import SubAgentOption, acting, names_in
from demo.errors import EXPECTATION, OK, REFUSED, UNREACHABLE, perhaps_bought
from deputize.errors import ExplainedError, ServerUnreachable, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from demo.client.agent import Agent
    from demo.client.mcp.outcome import CallOutcome, Refused
    from demo.panels.people import Names
    from demo.settings import Settings
    from deputize.evidence import Money
    from deputize.oauth.step_up import Approve, Obtain
    from deputize.tokens.stored import StoredToken
    from talk.cast import Cast
    from talk.stage.screen import Stage

ELSEWHERE = 60.0
"""Seconds to wait for a busy server that is not the bundled one, all tries together."""

OpenOption = Annotated[bool, typer.Option("--open", help="Use the door without auth, as anonymous.")]

_ALL = 100_000
"""Rows: a list that was asked for by itself is whole, and scrolls."""


def tools(context: typer.Context, open_: OpenOption = False) -> int:
    """List the tools that the server offers."""
    settings = settings_of(context)
    agent = cast_for(settings).agent()
    outcome = agent.tools(door="open" if open_ else "protected", token=_token(agent, open_))
    from demo import panels

    console = console_for(settings)
    if settings.wire:
        for exchange in outcome.exchanges:
            console.print(panels.exchange(exchange))
    if outcome.status != 200:
        from demo.client.mcp.outcome import refused, unavailable

        why = _here(refused(outcome), settings)
        if settings.json:
            answer = why.to_dict() if why is not None else None
            say_json({"schema": 1, "status": outcome.status, "tools": [], "refused": answer})
        elif outcome.decision is not None:
            console.print(panels.decision(outcome.decision))
        else:
            if outcome.challenge is not None:
                console.print(panels.challenge(outcome.challenge))
            if why is not None:
                _say_refused(console, why)
        return UNREACHABLE if unavailable(outcome.status) else REFUSED
    if settings.json:
        listed = [
            {"name": one.name, "description": one.description, "arguments": list(one.arguments), "scope": one.scope}
            for one in outcome.tools
        ]
        said = {"schema": 1, "status": outcome.status, "tools": listed}
        say_json(said | {"left_out": outcome.left_out, "more": outcome.more})
        return OK
    console.print(panels.tools(outcome.tools).within(_ALL))
    for name, reason in outcome.left_out.items():
        console.print(f"Left out: {name}: {reason}", markup=False, highlight=False)
    if outcome.more:
        console.print("The server's list goes on; it was not read to its end.", markup=False, highlight=False)
    return OK


def call(
    context: typer.Context,
    tool: Annotated[str, typer.Argument(help="The tool's name; see: demo tools.", show_default=False)],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[K=V]...", help="Its arguments; NAME:=JSON for what is not text.")
    ] = None,
    open_: OpenOption = False,
    step_up: Annotated[
        bool,
        typer.Option(
            "--step-up",
            help="Where the server asks for more scopes, or for a human's approval, ask the human, and call again.",
        ),
    ] = False,
    patience: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Wait for a busy server (429, 503); 0 at the bundled one, 60 elsewhere.",
            min=0,
            max=600,
        ),
    ] = None,
    sub_agent: SubAgentOption = None,
) -> int:
    """Call a tool as the agent, and show the decision."""
    settings = settings_of(context)
    if sub_agent is not None and open_:
        raise UsageError(
            "--sub-agent and --open exclude each other", why="the open door asks nobody who calls", do="choose one"
        )
    given = _arguments(arguments or [])
    return _call(settings, tool, given, open_, step_up=step_up, patience=patience, sub_agent=sub_agent)


def orders(context: typer.Context, open_: OpenOption = False) -> int:
    """List the human's orders; at the open door everybody's, with their addresses."""
    return _call(settings_of(context), "listMcpShopOrders", {}, open_)


def _call(
    settings: Settings,
    verb: str,
    given: dict[str, Any],
    open_: bool,
    *,
    step_up: bool = False,
    patience: float | None = None,
    sub_agent: str | None = None,
) -> int:
    """Call a tool by the shop's word for it, or by the server's own where demo.toml's [tools] has none."""
    from talk.stage.keys import interactive
    from talk.stage.screen import Stage

    cast = cast_for(settings)
    agent = acting(cast, sub_agent)
    tool, arguments = cast.tools.call(verb, given)
    door = cast.door("open" if open_ else "protected")
    stage = Stage(console_for(settings), person=interactive() and not settings.json, plain=settings.plain)
    if patience is None:
        # The bundled shop's limits are what is to be seen; elsewhere they are in the way.
        patience = 0.0 if cast.server.ours else ELSEWHERE
    try:
        outcome = agent.call(
            tool,
            arguments,
            door=door,
            token=_token(agent, open_),
            # A sub-agent has the scopes that were handed on to it: a human is asked for this one purchase alone.
            obtain=asking(cast, stage) if step_up and not open_ and sub_agent is None else None,
            approve=approving(cast, agent, stage) if step_up and not open_ else None,
            patience=patience,
            on_wait=lambda left, why: stage.waiting(f"the server to be free ({why})", left),
        )
    except ServerUnreachable as error:
        raise perhaps_bought(error) if tool == cast.tools.name("buyMcpShopItem") else error from None
    finally:
        stage.clear_status()
    names = () if open_ else names_in(outcome.decision, agent, cast.agent())
    return _show(settings, outcome, names, stepped_up=step_up)


def asking(cast: Cast, stage: Stage, limit: Money | None = None) -> Obtain:
    """A login for one thing more, by whichever flow the authorization server offers.

    Args:
        limit: the spending limit to ask for where the agent has no token yet; None for none.
    """
    from talk.stage.login import LoggingIn

    agent = cast.agent()
    held = agent.stored()
    spending = held.spending_limit if held is not None else limit
    logins = LoggingIn(agent, stage, human=cast.humans.human() if cast.server.ours else None, spending=spending)

    def obtain(scopes: tuple[str, ...]) -> StoredToken:
        more = [scope for scope in scopes if held is not None and scope not in held.scope]
        wanted = f"asks for more: {' '.join(more)}" if more else "wants a login"
        stage.note(f"The server {wanted}. The human is asked.")
        try:
            return logins.by(logins.choose(), scopes).token
        finally:
            say_notice(cast)

    return obtain


def approving(cast: Cast, agent: Agent, stage: Stage) -> Approve:
    """A human's approval of a single call, on the authorization server's page; its token is for that alone."""
    from talk.stage.login import LoggingIn

    def approve(details: tuple[dict[str, Any], ...], scopes: tuple[str, ...]) -> StoredToken:
        logins = LoggingIn(agent, stage, human=cast.humans.human() if cast.server.ours else None, details=details)
        what = f"spend {logins.purchase.price} once" if logins.purchase is not None else "approve this call"
        stage.note(f"The server wants a human to {what}. The human is asked.")
        return logins.by(logins.choose(), scopes).token

    return approve


def _token(agent: Any, open_: bool) -> str:
    # Without a stored token the call goes out without one: the refusal is the answer, and it says what to do.
    return "none" if open_ or agent.stored() is None else "stored"


def _arguments(pairs: list[str]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name:
            raise UsageError(f"{pair!r} is not an argument", do="write each argument as name=value")
        if name in given:
            raise UsageError(f"the argument {name!r} is given twice", do="give it once")
        # name:=JSON for anything but text, as HTTPie writes it.
        if name.endswith(":"):
            try:
                given[name[:-1]] = json.loads(value)
            except RecursionError:
                raise UsageError(
                    f"the argument {name[:-1]!r} cannot be sent",
                    why="it is nested too deeply to be read as JSON",
                    do="give JSON of ordinary depth",
                ) from None
            except ValueError as error:
                raise UsageError(
                    f"{value!r} is not JSON", why=str(error), do="write name:=JSON, or name=text"
                ) from error
        else:
            given[name] = value
    return given


def _show(settings: Settings, outcome: CallOutcome, names: Names, *, stepped_up: bool) -> int:
    from demo import panels
    from demo.client.mcp.outcome import refused, unavailable

    why = _here(refused(outcome, stepped_up=stepped_up), settings)
    denied = outcome.decision is not None and outcome.decision.verdict == "deny"
    code = REFUSED if denied or outcome.status in (401, 403) else EXPECTATION if outcome.is_error else OK
    if not denied and unavailable(outcome.status):
        code = UNREACHABLE
    if settings.json:
        say_json(
            {
                "schema": 1,
                "tool": outcome.tool,
                "status": outcome.status,
                "is_error": outcome.is_error,
                "decision": outcome.decision.to_dict() if outcome.decision else None,
                "result": outcome.structured,
                "text": outcome.said,
                "refused": why.to_dict() if why is not None else None,
            }
        )
        return code
    console = console_for(settings)
    if settings.wire:
        for exchange in outcome.exchanges:
            console.print(panels.exchange(exchange))
    if outcome.order is not None:
        console.print(panels.order(outcome.order, names))
    elif outcome.decision is not None and (denied or not outcome.text):
        console.print(panels.decision(outcome.decision, names))
    elif why is not None:
        _say_refused(console, why)
        return code
    if outcome.order is None and not denied:
        _show_result(console, outcome, settings)
    return code


def _show_result(console: Console, outcome: CallOutcome, settings: Settings) -> None:
    """What the tool gave: a shop's orders as the table that they are, anything else as fields and tables."""
    from demo import panels
    from demo.client.mcp.reading import read_orders

    data = outcome.structured or _as_data(outcome.text)
    listed = None if outcome.is_error or data is None or set(data) != {"orders"} else read_orders(data["orders"])
    if listed is not None and data is not None and len(listed) == len(data["orders"]):
        caller = outcome.decision
        names = ((caller.user, caller.username),) if caller and caller.user and caller.username else ()
        console.print(panels.orders(listed, names).within(_ALL))
        return
    console.print(panels.result(outcome.tool, data, outcome.text, outcome.is_error).within(_ALL))
    if outcome.is_error and "Unknown tool" in outcome.text:
        console.print(repeated("The server's tools: demo tools", settings), markup=False, highlight=False)


def _as_data(text: str) -> dict[str, Any] | None:
    """The JSON object that a text is: servers of before 2025-06-18 have no other place for data."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _here(why: Refused | None, settings: Settings) -> Refused | None:
    """With a next step that means the server of this command line."""
    return None if why is None else replace(why, do=repeated(why.do, settings))


def _say_refused(console: Console, why: Refused) -> None:
    """A refusal by a server that says nothing in the shop's own form."""
    from demo import panels

    console.print(panels.failure(ExplainedError(f"Refused: {why.error}", why=why.description, do=why.do)))
