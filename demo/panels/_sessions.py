"""What a human has granted and to whom, and which of it still stands."""

from __future__ import annotations

from rich.cells import cell_len
from rich.text import Text

from demo.evidence.grants import SessionView, SubAgentView
from demo.panels.page import Canvas, Page
from demo.panels.theme import State
from demo.panels.values import many, span

MOST_SUB_AGENTS = 3
"""Of one session that are shown, the newest."""


def sessions(given: tuple[SessionView, ...], now: float) -> Page:
    """A row for each session: whether it stands, which agent, what it may, since when.

    Args:
        given: sessions as the authorization server lists them to their human.
        now: POSIX seconds.
    """

    def draw(canvas: Canvas) -> None:
        live = sum(session.revoked_at is None for session in given)
        dead = len(given) - live
        if not given:
            canvas.title("none", "Nobody acts for you: no sessions")
        else:
            taken = f", {dead} revoked" if dead else ""
            canvas.title("allowed" if live else "refused", f"{many(live, 'session')} can act for you{taken}")
        drawn = [_session(session, now, canvas) for session in given]
        kept = len(drawn)
        while not canvas.narrow and kept > 1 and sum(map(len, drawn[-kept:])) + (kept < len(drawn)) > canvas.left:
            kept -= 1
        if kept < len(drawn):
            canvas.line((f"{canvas.glyphs.ellipsis} {many(len(drawn) - kept, 'earlier session')}", "quiet"))
        for rows in drawn[len(drawn) - kept :]:
            canvas.lines.extend(rows)

    return Page(draw)


def _session(session: SessionView, now: float, screen: Canvas) -> list[Text]:
    """A session's lines. Its id, its agent's and the scopes are typed (`demo revoke --id`), and so stand whole."""
    canvas = screen.apart(screen.width)
    revoked = session.revoked_at is not None
    state = "refused" if revoked else "allowed"
    mark = canvas.glyphs.refused if revoked else canvas.glyphs.allowed
    granted = "stands" if session.created_at is None else f"granted {_ago(session.created_at, now)}"
    since = f"revoked {_ago(session.revoked_at, now)}" if revoked else granted
    name = session.client_name or session.client
    if canvas.narrow:
        canvas.line((mark, f"strong {state}"), " ", (canvas.short(name, canvas.room - 2), "strong"))
        canvas.line((canvas.short(since, canvas.room - 2), "quiet"), indent=4)
        canvas.whole(session.id, "quiet", indent=4)
        return canvas.lines
    width = 20
    beside = cell_len(session.id) <= canvas.room - width - 32 or not canvas.typed(session.id)
    canvas.line(
        (mark, f"strong {state}"),
        " ",
        (canvas.cell(name, width), "strong"),
        "  ",
        canvas.cell(since, 28),
        (canvas.short(session.id, canvas.room - width - 32) if beside else "", "quiet"),
    )
    if not beside:
        canvas.whole(session.id, "quiet", indent=4)
    apart = cell_len(session.agent) > width and canvas.typed(session.agent)
    if apart:
        canvas.whole(session.agent, "quiet", indent=4)
    up_to = canvas.short(f", up to {session.spending_limit}", canvas.room // 3) if session.spending_limit else ""
    scopes = list(session.scopes) or ["no scopes"]
    room = canvas.room - width - 4 - cell_len(up_to)
    shown = " ".join(scopes)
    while cell_len(shown) > room and len(scopes) > 1:
        scopes.pop()
        shown = f"{' '.join(scopes)} +{len(session.scopes) - len(scopes)} more"
    agent = "" if apart else session.agent
    canvas.line((canvas.cell(agent, width), "quiet"), "  ", (canvas.short(shown, room) + up_to, "quiet"), indent=4)
    acting = [one for one in session.sub_agents if one.expires_at > now or one.revoked_at is not None]
    for one in acting[-MOST_SUB_AGENTS:]:
        _sub_agent(one, width, canvas, ended=revoked)
    if len(acting) > MOST_SUB_AGENTS:
        canvas.line(
            (f"{canvas.glyphs.ellipsis} {many(len(acting) - MOST_SUB_AGENTS, 'more sub-agent')}", "quiet"), indent=4
        )
    return canvas.lines


def _sub_agent(one: SubAgentView, width: int, canvas: Canvas, *, ended: bool) -> None:
    """A sub-agent's line, below the agent's: its id, by which it is revoked alone, its name, and what it may."""
    state: State = "refused" if ended or one.revoked_at is not None else "allowed"
    limit = f", up to {one.spending_limit}" if one.spending_limit else ""
    what = f"{one.name}: {' '.join(one.scopes) or 'no scopes'}{limit}"
    room = canvas.room - width - 8
    if cell_len(one.id) > width + 2 and canvas.typed(one.id):
        canvas.whole(one.id, "quiet", indent=6)
        canvas.line((canvas.glyphs.mark(state), state), " ", (canvas.short(what, canvas.room - 6), "quiet"), indent=4)
        return
    canvas.line(
        (canvas.glyphs.mark(state), state),
        " ",
        (canvas.cell(one.id, width + 2), "quiet"),
        "  ",
        (canvas.short(what, room), "quiet"),
        indent=4,
    )


def _ago(at: float | None, now: float) -> str:
    return f"{span(now - at)} ago" if at is not None and at <= now else "just now"
