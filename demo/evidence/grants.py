"""What a human granted and revoked: answers, sessions, the sub-agents below them, revocations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from demo.evidence.shop import Decision, Purchase
from deputize.evidence import Money


@dataclass(frozen=True)
class Answer:
    """What became of a request that a human was asked to approve."""

    human: str
    """Who answered, by name or address; who was asked, where nobody answered."""
    agent: str
    """Who asked, by name."""
    said: Literal["yes", "no", "nothing", "other"]
    """"nothing": nobody decided in time; "other": somebody decided who was not the one that was asked."""
    amount: Money | None = None
    """The spending limit that was granted; with a yes only."""
    scopes: tuple[str, ...] = ()
    """The scopes that were granted; with a yes only."""
    purchase: Purchase | None = None
    """The one purchase that was asked for; None where a grant was."""


@dataclass(frozen=True)
class SubAgentView:
    """A sub-agent, to which what a session grants was handed on; times in POSIX seconds."""

    id: str
    parent: str
    """The agent above it."""
    name: str
    """What it calls itself; nobody verified that."""
    scopes: tuple[str, ...]
    spending_limit: Money | None
    expires_at: float
    """When its last token ends."""
    revoked_at: float | None
    """Of what was revoked of it alone; None where only something above it was, or nothing."""
    created_at: float | None = None
    """When it was first handed something; None where that was not told."""


@dataclass(frozen=True)
class SessionView:
    """One session that a human's consent opened, as the authorization server lists it to that human."""

    id: str
    consent: str
    agent: str
    client: str
    client_name: str
    scopes: tuple[str, ...]
    created_at: float | None
    """POSIX seconds; None where the authorization server does not say."""
    revoked_at: float | None
    spending_limit: Money | None = None
    expires_at: float | None = None
    """When it ends by itself; None where that was not told."""
    revoked_by_kind: str | None = None
    """What was revoked of it: `session`, `agent`, `user` or `token`; None where nothing was, or that was not told."""
    sub_agents: tuple[SubAgentView, ...] = ()
    """To whom it was handed on, the one above before those below it."""


@dataclass(frozen=True)
class AnswerView:
    """A human's answer to a request that opened no session, as the authorization server lists it to that human: no, or
    yes to one purchase."""

    said: Literal["denied", "approved"]
    client: str
    client_name: str
    agent: str
    scopes: tuple[str, ...]
    at: float
    session: str = ""
    """The grant in which a purchase was to be approved; empty where a grant was asked for, or that one is somebody
    else's."""
    amount: Money | None = None
    purchase: bool = False
    """Whether it was asked to approve one purchase."""


@dataclass(frozen=True)
class UserView:
    """A human as WorkOS knows them, with the sessions and consents that stand there."""

    id: str
    email: str
    name: str
    signed_in_at: float | None
    """When they last signed in; None where they never did."""
    sessions: tuple[tuple[str, str], ...]
    """(id, what acts in it by the human's own console; empty where no agent does)"""
    consents: tuple[tuple[str, str, tuple[str, ...]], ...]
    """(id, software, scopes)"""
    asked: str
    """Whose API answered, by URL."""
    against: str
    """What it was held against, e.g. "the list at her own console"."""
    differences: tuple[str, ...] = ()
    """What the two do not agree on; empty where they agree."""


@dataclass(frozen=True)
class PermissionView:
    """One permission at each place that it must pass: wished by the agent, in the blueprint's ceiling, in the human's
    role, and in the token that was minted."""

    slug: str
    wished: bool
    ceiling: bool
    role: bool
    held: bool


@dataclass(frozen=True)
class Delivery:
    """How one resource server came to know of a revocation before it was answered, as the authorization server says."""

    event: str
    """The event's `jti`."""
    resource: str
    acknowledged: bool
    """False: it answered nothing for as long as it may have relied on what it was told before."""
    seconds: float


@dataclass(frozen=True)
class Revocation:
    """What was revoked, and the same call just before and just after."""

    kind: Literal["agent", "session", "user", "token"]
    id: str
    before: Decision | None
    after: Decision | None
    seconds: float
    """From the answer to the revocation to the refusal of the next call."""
    delivered: tuple[Delivery, ...] = ()
