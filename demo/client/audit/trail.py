"""The whole trail in the order of time: what the shop decided, what the human granted and denied, what was handed on,
what was revoked.

Two servers have it: the shop its decisions and the revocations that reached it, the authorization server the consents,
what was handed on and what it revoked. Pure: nothing is fetched here but by `read`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

from demo.client.audit.reading import Trail
from demo.client.human.console import Console
from demo.client.mcp.reading import read_decision
from demo.evidence.audit import TrailEvent
from demo.evidence.grants import AnswerView, SessionView, SubAgentView
from demo.evidence.shop import Decision
from deputize.errors import AuthorizationRefused, ServerUnreachable, UsageError

MOST: Final = 1000
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SAME_REVOCATION: Final = 30.0
"""Seconds between the two servers' notes of one revocation: it is answered when both know."""


_AFTER: Final[dict[str, Literal["sent", "cancelled", "unclear"]]] = {
    "dispatch.sent": "sent",
    "dispatch.cancelled": "cancelled",
    "dispatch.unclear": "unclear",
}
"""What became of an order, by the rule of its entry."""


@dataclass(frozen=True)
class Filter:
    """What of the trail is asked for; whatever is set must fit.

    Attributes:
        user: a human, by id or e-mail address.
        agent: an agent by its id or its own name, or its software by client id or name.
        verdict: `allow` has what was allowed, granted, approved, handed on and sent, `deny` what was refused, denied,
            revoked and not sent.
        since: the first moment, in POSIX seconds.
        limit: how many events at most, the newest.
    """

    user: str | None = None
    agent: str | None = None
    verdict: Literal["allow", "deny"] | None = None
    since: float | None = None
    limit: int = 200

    def fits(self, event: TrailEvent) -> bool:
        """Whether an event is asked for."""
        good = event.said in ("allow", "granted", "approved", "delegated", "sent")
        return (
            (self.user is None or self.user in (event.user, event.username))
            and (self.agent is None or self.agent in (event.agent, event.client, event.client_name, event.agent_name))
            and (self.verdict is None or good == (self.verdict == "allow"))
            and (self.since is None or (event.at or 0.0) >= self.since)
        )


@dataclass(frozen=True)
class WholeTrail:
    """The trail as both servers gave it: the entries of the shop's log, all events, and what neither could say."""

    entries: tuple[Decision, ...]
    events: tuple[TrailEvent, ...]
    unknown: str | None = None
    """Why the consents are not all there; None where they are."""


def read(console: Console, wanted: Filter) -> WholeTrail:
    """Ask both servers.

    Raises:
        AuthorizationRefused, ServerUnreachable: the shop does not open its log, or does not answer.
    """
    entries = console.audit(
        limit=wanted.limit, user=wanted.user, agent=wanted.agent, verdict=wanted.verdict, since=wanted.since
    )
    by_name = wanted.agent is not None and not entries
    if by_name:
        # The shop knows agents by their ids alone: where a name was given, the authorization server says whose it is.
        entries = console.audit(limit=MOST, user=wanted.user, verdict=wanted.verdict, since=wanted.since)
    told = _whole(entries, console)
    events = [event for event in told.events if wanted.fits(event)][-wanted.limit :]
    kept = {event.decision.audit_id for event in events if event.decision is not None}
    shown = tuple(one for one in told.entries if not by_name or one.audit_id in kept)
    return replace(told, entries=shown, events=tuple(events))


def fitting(entries: Sequence[Decision], console: Console, wanted: Filter) -> tuple[Decision, ...]:
    """Those of the shop's entries that fit, also by the name of an agent, which the authorization server alone knows.

    Raises:
        AuthorizationRefused, ServerUnreachable: the human's token does not stand, or cannot be renewed.
    """
    return tuple(
        event.decision for event in _whole(entries, console).events if event.decision is not None and wanted.fits(event)
    )


def _whole(entries: Sequence[Decision], console: Console) -> WholeTrail:
    sessions: Sequence[SessionView] = ()
    answers: Sequence[AnswerView] | None = None
    unknown = None
    try:
        sessions = console.sessions()
        answers = console.answers()
        if answers is None:
            unknown = f"{console.issuer} does not list what was denied"
    except (AuthorizationRefused, ServerUnreachable) as error:
        unknown = f"{console.issuer} does not list the consents ({error.what})"
    return WholeTrail(tuple(entries), merged(entries, sessions, answers or (), own=_own(entries, console)), unknown)


def whole(trail: Trail, console: Console) -> WholeTrail:
    """All of a trail that was read whole, with what the authorization server tells."""
    entries = [read_decision(item.get("entry")) for log in trail.logs for item in log.entries]
    return _whole([entry for entry in entries if entry is not None], console)


def merged(
    entries: Sequence[Decision],
    sessions: Sequence[SessionView],
    answers: Sequence[AnswerView],
    *,
    own: tuple[str | None, str | None] = (None, None),
) -> tuple[TrailEvent, ...]:
    """All that is known, oldest first. A revocation that both servers tell of is one event, the shop's.

    Args:
        own: the id and the readable name of the human whose sessions and answers they are.
    """
    by_id = {session.id: session for session in sessions}
    told = [_of_entry(entry, by_id.get(entry.session or "")) for entry in entries]
    revoked = [event for event in told if event.kind == "revocation"]
    for session in sessions:
        if not session.agent:
            continue  # the human's own console: nobody was deputized
        told.append(_of_session(session, own))
        told += [_of_sub_agent(one, session, own) for one in session.sub_agents if one.created_at is not None]
        if session.revoked_at is not None and not any(_tells_of(event, session) for event in revoked):
            told.append(_end_of(session, own))
    told += [_of_answer(answer, own, by_id.get(answer.session)) for answer in answers]
    return tuple(sorted(told, key=lambda event: event.at or 0.0))


def _of_entry(entry: Decision, session: SessionView | None) -> TrailEvent:
    event, after = entry.gate == "event", _AFTER.get(entry.rule) if entry.gate == "dispatch" else None
    return TrailEvent(
        at=entry.at,
        kind="revocation" if event else "dispatch" if after else "decision",
        said="revoked" if event else after or entry.verdict,
        told_by="shop",
        what=entry.rule.removeprefix("revoked.")
        if event
        else (entry.order_id if after else entry.tool) or ("policy" if entry.gate == "policy" else "request"),
        user=entry.user,
        username=entry.username,
        # The shop is told which session was revoked, and the authorization server knows whose that was.
        agent=entry.agent or (session.agent if session is not None else None),
        client=entry.client or (session.client if session is not None else None),
        client_name=session.client_name if session is not None else "",
        agent_name=_sub_agent(entry.agent, session) if session is not None else "",
        session=entry.session,
        consent=entry.consent or (session.consent if session is not None else None),
        scopes=session.scopes if session is not None and event else (),
        decision=entry,
    )


def _sub_agent(agent: str | None, session: SessionView) -> str:
    return next((one.name for one in session.sub_agents if one.id == agent), "")


def _of_session(session: SessionView, own: tuple[str | None, str | None]) -> TrailEvent:
    return TrailEvent(
        at=session.created_at,
        kind="consent",
        said="granted",
        told_by="authorization server",
        what=" ".join(session.scopes),
        user=own[0],
        username=own[1],
        agent=session.agent or None,
        client=session.client,
        client_name=session.client_name,
        session=session.id,
        consent=session.consent,
        scopes=session.scopes,
        spending_limit=session.spending_limit,
    )


def _of_sub_agent(one: SubAgentView, session: SessionView, own: tuple[str | None, str | None]) -> TrailEvent:
    return replace(
        _of_session(session, own),
        at=one.created_at,
        kind="delegation",
        said="delegated",
        what=" ".join(one.scopes),
        agent=one.id,
        agent_name=one.name,
        scopes=one.scopes,
        spending_limit=one.spending_limit,
    )


def _end_of(session: SessionView, own: tuple[str | None, str | None]) -> TrailEvent:
    return replace(
        _of_session(session, own),
        at=session.revoked_at,
        kind="revocation",
        said="revoked",
        what=session.revoked_by_kind or "session",
        spending_limit=None,
    )


def _of_answer(answer: AnswerView, own: tuple[str | None, str | None], session: SessionView | None) -> TrailEvent:
    return TrailEvent(
        at=answer.at,
        kind="purchase" if answer.purchase else "consent",
        said=answer.said,
        told_by="authorization server",
        what=" ".join(answer.scopes),
        user=own[0],
        username=own[1],
        agent=answer.agent or None,
        client=answer.client,
        client_name=answer.client_name,
        agent_name=_sub_agent(answer.agent, session) if session is not None else "",
        scopes=answer.scopes,
        session=answer.session or None,
        spending_limit=answer.amount,
    )


def _tells_of(event: TrailEvent, session: SessionView) -> bool:
    if session.revoked_at is None or event.at is None or abs(event.at - session.revoked_at) > _SAME_REVOCATION:
        return False
    return event.session == session.id or (bool(event.agent) and event.agent == session.agent) or event.what == "user"


def _own(entries: Sequence[Decision], console: Console) -> tuple[str | None, str | None]:
    from deputize.tokens import claims

    token = console.agent.token()
    jwt = claims.take_apart(token.access_token)
    reader = jwt.claims.get("sub") if jwt is not None else None
    reader = reader if isinstance(reader, str) else None
    named = next((entry.username for entry in entries if entry.user == reader and entry.username), None)
    return reader, named or token.human_address


def moment(given: str, now: Callable[[], float] = time.time) -> float:
    """A moment as somebody types it: "30s", "10m", "2h" or "3d" ago, a date, or a date and time (ISO 8601; of this
    machine's time zone where it names none), or POSIX seconds.

    Raises:
        UsageError: it is none of them.
    """
    text = given.strip()
    if (ago := re.fullmatch(r"([0-9]{1,9})([smhd])", text)) is not None:
        return max(0.0, now() - int(ago[1]) * _UNITS[ago[2]])
    if re.fullmatch(r"[0-9]{9,12}(\.[0-9]+)?", text):
        return float(text)
    try:
        return max(0.0, datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"{given!r} is no moment", do="give 10m, 2h or 3d (ago), or a date like 2026-11-30 or 2026-11-30T10:00"
        ) from None
