"""A person at the pages of somebody else's authorization server: a browser without script."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import httpx2

from demo.client.human.consent_page import Page

PAGES = 12
"""Pages that one login may take."""


def visit(url: str, /, **fill: str) -> httpx2.Response:
    """Open a page, submit each form as it stands, and follow each redirect, until a page has no form.

    Args:
        url: where the browser was sent.
        fill: what to write into the fields of these names, where a page has them.

    Returns:
        The last page: the one of the client's own listener, where all went well.
    """
    with httpx2.Client(timeout=20, trust_env=False) as browser:
        answer = browser.get(url)
        for _ in range(PAGES):
            if answer.has_redirect_location:
                answer = browser.get(urljoin(str(answer.url), answer.headers["location"]))
                continue
            page = Page(answer.text)
            if answer.status_code != 200 or not page.forms:
                return answer
            form = page.forms[0]
            button = next(iter(form.buttons), ("", ""))
            fields = dict([*form.fields, button] if button[0] else form.fields)
            fields |= {name: value for name, value in fill.items() if name in fields}
            where = urljoin(str(answer.url), form.action)
            origin = {"origin": "{0.scheme}://{0.netloc}".format(urlsplit(where))}
            answer = browser.post(where, data=fields, headers=origin)
    raise AssertionError(f"no end after {PAGES} pages: {answer.url}")
