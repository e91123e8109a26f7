"""Who a command acts as: the agent, or a sub-agent to which it handed on."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from deputize.errors import UsageError

if TYPE_CHECKING:
    from demo.client.agent import Agent
    from deputize.evidence import Chain
    from deputize.tokens.stored import StoredToken
    from talk.cast import Cast

SubAgentOption = Annotated[
    str | None,
    typer.Option("--sub-agent", metavar="NAME", help="Act as this sub-agent, to which demo hand-on handed on."),
]


def acting(cast: Cast, sub_agent: str | None) -> Agent:
    """The agent, or the sub-agent of this name.

    Raises:
        UsageError: nothing was handed on to it.
    """
    agent = cast.agent()
    if sub_agent is None:
        return agent
    check_name(sub_agent)
    below = agent.sub_agent(sub_agent)
    if below is None:
        raise UsageError(f"nothing was handed on to {sub_agent}", do=f"hand on first: demo hand-on {sub_agent}")
    return below


def named(chain: Chain, token: StoredToken, below: Agent, agent: Agent) -> Chain:
    """A sub-agent's chain with what those in it are called: the human as the ID token of the agent's login said, the
    agents as this program calls them."""
    human = token.human_address or chain.human
    top = ((chain.handed_on_by[-1], agent.name),) if chain.handed_on_by else ()
    return replace(chain, names=((chain.human_id, human), (chain.agent, below.name), *top))


def check_name(name: str) -> None:
    """See that a sub-agent may be called so.

    Raises:
        UsageError: it may not.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,39}", name):
        raise UsageError(
            "a sub-agent's name is of letters, digits, spaces, - and _, 40 at most", do="choose another name"
        )
