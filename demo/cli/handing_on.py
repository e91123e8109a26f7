"""The command by which the agent hands a part of what it has on to a sub-agent."""

from __future__ import annotations

from typing import Annotated

import typer

from demo.cli.context import cast_for, console_for, say_json, settings_of
from demo.cli.identity import money
from demo.cli.sub_agents import check_name, named
from demo.errors import OK


def hand_on(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What the sub-agent is called.", show_default=False)],
    scope: Annotated[
        list[str] | None, typer.Option("--scope", help="Hand on this scope; may be repeated; shop:read by default.")
    ] = None,
    spend: Annotated[
        str | None, typer.Option("--spend", metavar="USD", help="Hand on this spending limit, e.g. 30.00.")
    ] = None,
) -> int:
    """Hand a part of what the agent has on to a sub-agent (RFC 8693); demo call --sub-agent NAME acts as it."""
    settings = settings_of(context)
    check_name(name)
    limit = money(spend)
    scopes = tuple(scope or ("shop:read",))
    if limit is not None and "shop:buy" not in scopes:
        scopes += ("shop:buy",)
    cast = cast_for(settings)
    agent = cast.agent()
    below = agent.hand_on(name, scopes=scopes, spending=limit)
    token = below.token()
    chain = below.chain(token)
    if settings.json:
        say_json(
            {
                "schema": 1,
                "agent": chain.agent,
                "handed_on_by": list(chain.handed_on_by),
                "scopes": list(token.scope),
                "expires_at": token.expires_at,
            }
        )
        return OK
    from demo import panels

    console_for(settings).print(panels.chain(named(chain, token, below, agent)))
    return OK
