"""One purchase to approve, as a rich authorization request (RFC 9396): the type `shop_purchase`.

It is asked for within a grant that stands, by the agent of that grant, or by a sub-agent to which it was handed on.
What is approved is the purchase and nothing else: the grant stays as it was, whatever the answer.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from deputize.text import OBEYED, bounded

from ..clients.client import Client
from ..context import Context
from ..state.sessions import find_session, session_revocation
from ..state.sub_agents import line_of
from .money import BUY, InvalidAuthorizationDetailsError, check_money
from .resources import served_resources

SHOP_PURCHASE = "shop_purchase"
_TEXTS = {"session": 80, "agent": 80, "item": 100, "size": 20, "company": 100, "mailingAddress": 300}
"""What it says in words, and how many characters of that the page has room for."""
_FIELDS = {"type", "actions", "locations", "price", *_TEXTS}
_HIDDEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
"""Categories of Unicode: controls, what turns the writing direction around, what nobody has a picture of, line ends."""
_BLANK = re.compile(r"[\u034f\u17b4\u17b5\u2800]|\s{3}")
"""Characters of which a page shows nothing, beside those that a terminal would obey or hide; and more spaces than stand
between two words, which would push what follows out of sight."""


def purchase_detail(context: Context, client: Client, detail: dict[str, Any], scope: tuple[str, ...]) -> dict[str, Any]:
    """A client's request for the approval of one purchase, checked.

    Raises:
        InvalidAuthorizationDetailsError: it is not as the type asks, or of a grant that is not this client's or does
            not stand.
    """
    if set(detail) != _FIELDS:
        raise InvalidAuthorizationDetailsError(f"{SHOP_PURCHASE} has {', '.join(sorted(_FIELDS))}")
    if detail["actions"] != ["buy"]:
        raise InvalidAuthorizationDetailsError("actions is one: buy")
    for name, most in _TEXTS.items():
        if not _is_readable(detail[name], most):
            raise InvalidAuthorizationDetailsError(f"{name} is a text of 1 to {most} characters that can be shown")
    check_money(detail["price"], "price")
    if scope != (BUY,):
        raise InvalidAuthorizationDetailsError(f"an approval is for one purchase: ask for {BUY} alone")
    with context.store.transaction(write=False) as connection:
        session = find_session(connection, detail["session"])
        line = None if session is None else line_of(connection, session, detail["agent"])
        revoked = None if session is None else session_revocation(connection, session, [one.id for one in line or ()])
    if session is None or session.client_id != client.client_id or line is None:
        raise InvalidAuthorizationDetailsError("session and agent are those of a grant of this client's")
    if revoked is not None:
        raise InvalidAuthorizationDetailsError(f"this {revoked.kind} was revoked: log in again")
    if line and line[0].until <= context.now():
        raise InvalidAuthorizationDetailsError("what was handed on to this sub-agent has ended: hand on again")
    # All the line: what was handed on last to who is above may not be to buy, and its limit is not known then.
    if any(BUY not in held for held in (session.scope, *(one.scope for one in line))):
        raise InvalidAuthorizationDetailsError("the grant does not hold this scope: ask for that first")
    places = [one for one in session.resources if one in served_resources(context) and one != context.account_resource]
    named = detail["locations"]
    if not isinstance(named, list) or [context.canonical(str(one)) for one in named] not in [[one] for one in places]:
        raise InvalidAuthorizationDetailsError("locations is one shop that the grant is for")
    return {**detail, "locations": [context.canonical(named[0])]}


def _is_readable(value: Any, most: int) -> bool:
    """Whether a text can be shown to a human just as a shop reads it: in one line, with nothing in it that hides, or
    that covers what stands above and below it."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= most
        and not any(unicodedata.category(one) in _HIDDEN for one in value)
        and not _BLANK.search(value)
        and not OBEYED.search(value)
        and bounded(value, lambda _: "") == value
    )
