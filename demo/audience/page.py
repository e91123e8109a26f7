"""The pages of the room: HTML from templates, every value escaped, and the headers that keep a page what it is.

They work without scripts: then a page loads itself again. With scripts, its parts are replaced as they change; each
part is made by the same template either way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from demo.audience.agents import MOST_ASKS, MOST_CALLS, Deputy
from demo.audience.attendees import Attendee
from demo.audience.feed import Room
from demo.panels.html import fragment
from demo.panels.people import name_of
from demo.panels.values import safe
from talk.recording.reader import Event, rebuild

HERE: Final = Path(__file__).parent
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # As the authorization server's pages: `no-referrer` would take the Origin from our own forms.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
WIDE, NARROW = 80, 42
"""Columns of a panel on a laptop and on a phone."""
LARGEST_PANEL: Final = 60_000
"""Characters of a panel's HTML; a larger one says that it is on stage."""


@dataclass(frozen=True)
class Totals:
    """The room in numbers."""

    humans: int = 0
    agents: int = 0
    shirts: int = 0
    spent: str = "0.00 USD"
    revoked: int = 0


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # A server's words may hold what turns the text beside them, which no markup is needed for.
        finalize=lambda value: safe(value) if isinstance(value, str) and not hasattr(value, "__html__") else value,
    )


def render(template: str, **values: Any) -> str:
    """What a template makes of values, escaped; what is no letter but a command is written out."""
    return _templates().get_template(template).render(values)


def page(template: str, status: int = 200, *, parts: Mapping[str, str] | None = None, **values: Any) -> Response:
    """A whole page. `parts` are rendered already, and so escaped."""
    return HTMLResponse(render(template, parts=parts or {}, **values), status, HEADERS)


@cache
def static(name: str) -> bytes:
    """The stylesheet or the script."""
    return (HERE / "templates" / name).read_bytes()


def parts(room: Room, totals: Totals) -> dict[str, str]:
    """The parts of the room's page that change, each by the id of its element. The newest panel is the first, as
    it is what the stage shows."""
    chain = replace(room.chain, human=name_of(room.chain.human))
    return {
        "now": render("now.html", room=room),
        "chain": render("chain.html", chain=chain),
        "panels": "".join(panel(one) for one in reversed(room.panels)) if room.curtain != "blank" else "",
        "closing": render("closing.html", room=room),
        "totals": render("totals.html", totals=totals),
    }


WORDS: Final = {
    "none": "Your agent has no authority.",
    "asking": "Your agent asks you.",
    "allowed": "Your agent may act for you.",
    "no": "You said no.",
    "expired": "The code has expired.",
    "failed": "Your agent could not ask.",
    "revoked": "Your agent's authority was revoked.",
}
"""How an attendee's agent stands, in a sentence."""


def own(attendee: Attendee, deputy: Deputy, csrf: str) -> str:
    """An attendee's own part of their page."""
    return render("own.html", attendee=attendee, deputy=deputy, csrf=csrf, most_calls=MOST_CALLS, most_asks=MOST_ASKS)


def panel(event: Event) -> str:
    """One panel, for both widths; a stylesheet shows one of them."""
    return _panel(_Key(event))


class _Key:
    """An event as a key: a panel is drawn once for all readers."""

    def __init__(self, event: Event) -> None:
        self.event = event

    def __hash__(self) -> int:
        return hash((self.event.line, self.event.at, self.event.get("name")))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.event == other.event


@lru_cache(maxsize=64)
def _panel(key: _Key) -> str:
    event = key.event
    if (link := _link(event)) is not None:
        return render("link.html", link=link)
    try:
        drawn = rebuild(event)
        wide, narrow = fragment(drawn, WIDE), fragment(drawn, NARROW)
    except Exception:  # whatever a panel stumbles over, the page goes on
        wide = narrow = ""
    if not wide or len(wide) + len(narrow) > LARGEST_PANEL:
        wide = narrow = "Look at the stage."
    return render("panel.html", wide=wide, narrow=narrow)


def _link(event: Event) -> Mapping[str, Any] | None:
    """What a panel says that is a link to somewhere: on a phone it is one, and no QR code."""
    first = next(iter(event["with"].values()), None) if event.get("name") == "link" else None
    url = first.get("url") if isinstance(first, Mapping) else None
    if not isinstance(first, Mapping) or not isinstance(url, str) or not url.startswith("https://"):
        return None
    return {"url": url, "title": str(first.get("title") or url), "note": str(first.get("note") or "")}
