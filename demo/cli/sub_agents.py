"""Who a command acts as: the agent, or a sub-agent to which it handed on."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from deputize.errors import UsageError

if TYPE_CHECKING:
    from demo.client.agent import Agent
    from demo.evidence.shop import Decision
    from demo.panels.people import Names
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


def names_in(decision: Decision | None, acting: Agent, agent: Agent) -> Names:
    """What those are called whom a decision or an order names by their ids: the human as the shop's decision has it,
    else as the ID token of the login said, the agents as this program calls them.

    Args:
        decision: the shop's word on the call; None where it gave none.
        acting: who called.
        agent: the agent that the human authorized; `acting` itself where no sub-agent called.
    """
    if decision is None or decision.user is None:
        return ()
    from deputize.tokens import claims

    human, stored = decision.username, agent.stored()
    if human is None and stored is not None:
        # One purchase may be approved by another human than the one who logged in.
        jwt = claims.take_apart(stored.access_token)
        human = stored.human_address if jwt is not None and jwt.claims.get("sub") == decision.user else None
    top = (decision.handed_on_by or "").split()[-1:]
    named = [(decision.user, human), (decision.agent, acting.name), *((one, agent.name) for one in top)]
    return tuple((id, name) for id, name in named if id and name)


def check_name(name: str) -> None:
    """See that a sub-agent may be called so.

    Raises:
        UsageError: it may not.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,39}", name):
        raise UsageError(
            "a sub-agent's name is of letters, digits, spaces, - and _, 40 at most", do="choose another name"
        )
