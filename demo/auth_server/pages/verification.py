"""The verification page (RFC 8628 section 3.3): type the code that the device shows, or find it filled in."""

from __future__ import annotations

from starlette.responses import Response

from .device_question import device_question
from .rendering import page
from .visit import Visit, onward


def ask(visit: Visit) -> Response:
    """The form. A code in the link is only filled in (section 3.3.1): nothing is looked up or decided by it."""
    return _form(visit, visit.fields.get("user_code", "")[:32])


def look_up(visit: Visit) -> Response:
    """To the request with this code, by way of signing in."""
    question = device_question(visit)
    if question is None:
        return _form(visit, visit.fields.get("user_code", "")[:32], wrong=True)
    over = question.settled()
    if over is not None:
        return over
    return onward("/device/consent" if visit.browser.account else "/device/sign-in", user_code=question.code)


def _form(visit: Visit, code: str, *, wrong: bool = False) -> Response:
    return page("verification.html", 400 if wrong else 200, csrf=visit.browser.csrf, code=code, wrong=wrong)
