"""The browser login: where the human is sent, where the answer comes back to, and who asks for what."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

from demo.evidence.shop import Purchase
from demo.panels.grants import asking, one_purchase, wishes
from demo.panels.page import Canvas, Page
from deputize.evidence import AuthorizationRequest


def browser(
    given: AuthorizationRequest, now: float, held: Sequence[str] = (), purchase: Purchase | None = None
) -> Page:
    """An authorization request (RFC 6749 section 4.1.1), taken apart; no QR code, since the answer comes back here.

    Args:
        given: the request; of its URL's query only what protects it is shown, never `state` itself.
        now: POSIX seconds.
        held: the scopes that the agent has already; what it asks for beside them stands out.
        purchase: the one purchase that it asks to make; None where it asks for a grant.
    """

    def draw(canvas: Canvas) -> None:
        over = given.expires_at <= now
        what = asking(given.scopes, held) if purchase is None else f"to spend {purchase.price} once"
        asks = f"{given.client or 'An agent'} asks {what}, in the browser"
        answer = "Nobody decided in time" if over else asks
        canvas.title("refused" if over else "waiting", answer)
        canvas.field("decide at", _place(given.url), "strong")
        canvas.field("comes back", given.redirect_uri)
        canvas.gap()
        if purchase is not None:
            one_purchase(purchase, canvas)
        else:
            wishes(given.scopes, held, canvas, at_most=max(2, canvas.left - 7))
        if given.spending_limit:
            canvas.field("spend", f"up to {given.spending_limit}")
        for resource in _query(given.url, "resource")[:1]:
            canvas.field("only at", resource)
        canvas.gap()
        for done, words in _protections(given.url):
            state = "allowed" if done else "unverified"
            canvas.line((f"{canvas.glyphs.mark('allowed' if done else 'unverified')} ", state), *_fit(words, canvas))

    return Page(draw)


def _place(url: str) -> str:
    """The address without its query, which is long and not for people."""
    return url.partition("?")[0].partition("#")[0]


def _query(url: str, name: str) -> list[str]:
    try:
        return parse_qs(urlsplit(url).query).get(name, [])
    except ValueError:
        return []


def _protections(url: str) -> list[tuple[bool, str]]:
    """What the request carries so that nobody else can use its answer; what is missing is said to be missing."""
    method = _query(url, "code_challenge_method")
    return [
        (
            method == ["S256"] and bool(_query(url, "code_challenge")),
            "the code is asked for this agent only: PKCE S256 (RFC 7636)"
            if method == ["S256"]
            else "nothing binds the code to this agent: no PKCE S256 (RFC 7636)",
        ),
        (
            bool(_query(url, "state")),
            "an answer to another request will be refused: state (RFC 6749)"
            if _query(url, "state")
            else "an answer to somebody else's request could not be told: no state (RFC 6749)",
        ),
        (
            bool(_query(url, "resource")),
            "the token is asked for one server only: resource (RFC 8707)"
            if _query(url, "resource")
            else "the token is asked for no server in particular: no resource (RFC 8707)",
        ),
    ]


def _fit(words: str, canvas: Canvas) -> list[tuple[str, str]]:
    return [("".join(canvas.wrapped(words, canvas.room - 2, 1)), "quiet")]
