"""Signing in: one of the sample accounts, without a password, and the page says so."""

from __future__ import annotations

from starlette.responses import Response

from .question import carried
from .rendering import page
from .visit import Visit, onward, signed_in, signed_out


def choose(visit: Visit) -> Response:
    """The accounts to choose from."""
    return page(
        "sign_in.html",
        csrf=visit.browser.csrf,
        carried=carried(visit),
        accounts=visit.offered,
        way_back=visit.context.config.way_back,
        current=visit.browser.account,
    )


def sign_in(visit: Visit) -> Response:
    """Sign in as `account`, or, with `switch`, sign out and choose again; then on to the question."""
    question = carried(visit)
    question.pop("tab", None)
    if "switch" in visit.fields:
        signed_out(visit.context, visit.browser)
        return onward("/device/sign-in", **question)
    wanted = visit.fields.get("account", "")
    account = next((one for one in visit.offered if one.email == wanted), None)
    if account is None:
        return choose(visit)
    browser = signed_in(visit.context, visit.browser, account)
    return onward("/device/consent" if question else "/device", **question, tab=browser.tab)
