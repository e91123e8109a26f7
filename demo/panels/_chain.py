"""A delegation chain, Human -> Agent -> Action, with where each link was read."""

from __future__ import annotations

from rich.cells import cell_len

from demo.evidence.audit import Dispatched
from demo.panels.page import Canvas, Page
from demo.panels.people import name_of, named
from demo.panels.theme import State
from demo.panels.values import clock, pad
from deputize.evidence import Chain, GrantStanding


def chain(given: Chain, standing: GrantStanding | None = None, behind: Dispatched | None = None) -> Page:
    """The chain drawn by names, and below it the consent, session, limit and scopes that hold it together.

    Args:
        standing: whether the grant still stands, where that was asked: a chain whose signature is good may be broken.
        behind: what was told behind the shop of the order at its end.
    """

    def draw(canvas: Canvas) -> None:
        links = [large for _, large, _ in _columns(given)]
        whole: State = "allowed" if given.human and (given.agent or given.client) else "unverified"
        state, finding = (whole, "") if standing is None or standing.stands else _broken(standing)
        canvas.title(state, finding + f" {canvas.glyphs.arrow} ".join(links))
        if canvas.narrow:
            _stacked(given, canvas)
        elif len(links) > 4:
            _listed(given, canvas)
        else:
            _drawn(given, canvas)
        canvas.gap()
        limit = f"up to {given.spending_limit}" if given.spending_limit else "nothing: no limit granted"
        canvas.field("may spend", limit, "strong")
        canvas.list("may", given.scopes)
        _whole_ids(given, canvas)
        for label, value in (("consent", given.consent), ("session", given.session)):
            canvas.field(label, value or "none", "quiet" if value else "unverified", whole=True)
        canvas.field("token", given.token_id or "none", "quiet", whole=True)
        if behind is not None:
            told = f"{behind.txn}, a token for this order alone" if behind.txn else f"no token for it: {behind.state}"
            canvas.field("behind", told, "strong" if behind.txn else "unverified")
        canvas.gap()
        if standing is not None:
            _grant(standing, canvas)
        convention = given.convention if standing is None or standing.stands else ""
        below = len(canvas.wrapped(convention, canvas.room - canvas.label, 2))
        # Where the grant has more to say, the source has less room: at the design size a panel stays on one screen.
        usual = 3 if standing is None and behind is None and len(links) < 5 else 1
        at_most = max(usual, min(3, canvas.left - below))
        canvas.field("read from", given.source, "quiet", prose=True, at_most=at_most)
        if convention:
            canvas.field("read by", convention, "quiet", prose=True, at_most=2)

    return Page(draw)


def _broken(standing: GrantStanding) -> tuple[State, str]:
    """The verdict on a chain whose grant does not stand for certain, and what comes before its links in the title."""
    if standing.stands is None:
        return "unverified", "Signature valid, grant not known to stand: "
    return "refused", f"Signature valid, {'grant revoked' if standing.revoked else 'refused by the server'}: "


def _grant(standing: GrantStanding, canvas: Canvas) -> None:
    state: State = "unverified" if standing.stands is None else "allowed" if standing.stands else "refused"
    word = {"allowed": "stands", "unverified": "not known", "refused": "revoked" if standing.revoked else "refused"}
    canvas.field("grant", f"{canvas.glyphs.mark(state)} {word[state]}: {standing.answer}", f"strong {state}")
    if standing.reason:
        canvas.field("why", standing.reason, prose=True, at_most=2)
    if standing.remedy:
        canvas.field("to pass", standing.remedy, "strong", prose=True, at_most=2)
    canvas.field("asked", standing.asked, "quiet")


def _columns(given: Chain) -> list[tuple[str, str, str]]:
    """(heading, the name that stands large, the id that stands below) for each link."""
    known = dict(given.names).get(given.human, given.human)
    human = name_of(known)
    # Of the two the id is what the agent is, and the other what its software is called.
    agent, id = (given.client, given.agent) if given.agent.startswith("agent_") else (given.agent, given.client)
    links = [("HUMAN", human or "nobody", known if human != known else given.human_id)]
    if given.handed_on_by:
        # The human consented to the first; each handed on less than it has. By names where there are any.
        names = dict(given.names)
        for number, above in enumerate(reversed(given.handed_on_by)):
            name = names.get(above, above)
            links.append(("SUB-AGENT" if number else "AGENT", name, above if name != above else ""))
        name = names.get(given.agent, given.agent)
        links.append(("SUB-AGENT", name, given.agent if name != given.agent else ""))
    else:
        links.append(("AGENT", agent or id or "no agent", id if agent else ""))
    if given.action:
        links.append(("ACTION", given.action, clock(given.at) if given.at is not None else ""))
    return links


def _whole_ids(given: Chain, canvas: Canvas) -> None:
    """What had no room in the chain and is typed (`demo revoke --id`), once more and whole."""
    links = _columns(given)
    rooms = [canvas.room - 7] * len(links) if canvas.narrow else _widths(links, canvas)
    shown = {
        text
        for (_, large, below), room in zip(links, rooms, strict=True)
        for text in (large, below)
        if cell_len(text) <= room
    }
    # Of a sub-agent that is the software of the one above.
    software = "" if given.handed_on_by else given.client
    for label, value in (("user", given.human_id), ("agent", given.agent), ("software", software)):
        if value and value not in shown and canvas.typed(value):
            canvas.field(label, value, "quiet", whole=True)


def _widths(links: list[tuple[str, str, str]], canvas: Canvas) -> list[int]:
    """Columns for each link of the chain: the same for all; of a long one the last has what the others leave."""
    room = canvas.room - len(_shaft(canvas)) * (len(links) - 1)
    each = room // len(links)
    if len(links) < 4:
        return [each] * len(links)
    widths = [min(each, max(cell_len(heading), cell_len(large))) for heading, large, _ in links[:-1]]
    return [*widths, room - sum(widths)]


def _shaft(canvas: Canvas) -> str:
    return f"  {canvas.glyphs.shaft * 2}{canvas.glyphs.head}  "


def _stacked(given: Chain, canvas: Canvas) -> None:
    for number, (heading, large, below) in enumerate(_columns(given)):
        if number:
            canvas.line((canvas.glyphs.down, "quiet"))
        canvas.line((pad(heading, 7), "quiet"), (canvas.short(large, canvas.room - 7), "strong"))
        if below:
            canvas.line((canvas.short(below, canvas.room - 7), "quiet"), indent=9)


def _listed(given: Chain, canvas: Canvas) -> None:
    """A chain of more links than stand beside each other: a line for each."""
    for heading, large, below in _columns(given):
        named(canvas, heading.lower(), large, (below,))


def _drawn(given: Chain, canvas: Canvas) -> None:
    links = _columns(given)
    shaft, widths = _shaft(canvas), _widths(links, canvas)
    cells = [
        canvas.wrapped(large, width, 2) if heading == "ACTION" else [canvas.short(large, width)]
        for (heading, large, _), width in zip(links, widths, strict=True)
    ]
    canvas.line(
        *[(pad(heading, width + len(shaft)), "quiet") for (heading, _, _), width in zip(links, widths, strict=True)]
    )
    first: list[tuple[str, str]] = []
    for number, lines in enumerate(cells):
        first.append((pad(lines[0], widths[number]), "strong"))
        if number < len(cells) - 1:
            first.append((shaft, "quiet"))
    canvas.line(*first)
    second: list[tuple[str, str]] = []
    for (_, _, below), lines, width in zip(links, cells, widths, strict=True):
        more = len(lines) > 1
        # An id that has no room here stands whole in a row of its own, and is not cut.
        small = "" if cell_len(below) > width and canvas.typed(below) else canvas.short(below, width)
        second.append((pad(lines[1] if more else small, width + len(shaft)), "strong" if more else "quiet"))
    canvas.line(*second)
