"""One HTTP request of the OAuth side: bounded, redirects within the origin only, JSON expected."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urljoin

from deputize.errors import Remedy, ServerUnreachable
from deputize.http.errors import CHECK_SERVER, no_answer, unreachable, web_page
from deputize.http.exchange import parse_object
from deputize.http.origins import origin, refused_url
from deputize.http.redaction import mask_text
from deputize.http.sanitizing import safe_text

if TYPE_CHECKING:
    import httpx2

REDIRECTS = 3
"""Redirects that one request follows, all within its origin."""

WORDS = 200
"""Characters of a server's own words that are repeated at most."""

_TITLE = re.compile(r"<title[^>]*>([^<]{1,1000})", re.IGNORECASE)


@dataclass(frozen=True)
class Answer:
    """An HTTP answer: `json` is the parsed object, None where the body was no JSON object.

    A member that is null is left out of `json`: the OAuth documents know no value of that kind, and many servers write
    what they do not have so (RFC 7591 section 2 and RFC 8414 section 2 omit it).
    """

    status: int
    headers: Mapping[str, str]
    text: str
    json: dict[str, Any] | None
    url: str

    @property
    def granted(self) -> bool:
        """Whether it is a success: some authorization servers send an error with HTTP 200."""
        return self.status == 200 and self.json is not None and not self.oauth_error

    @property
    def oauth_error(self) -> str:
        """The `error` of RFC 6749 section 5.2, or the empty string."""
        error = (self.json or {}).get("error")
        return safe_text(error, one_line=True) if isinstance(error, str) else ""

    @property
    def oauth_why(self) -> str:
        """What it says in its own words, or the status where it says nothing."""
        return own_words(self.text, self.json) or f"HTTP {self.status}"

    @property
    def retry_after(self) -> float | None:
        """Seconds after which to come again, None where it does not say (RFC 9110 section 10.2.3)."""
        return retry_seconds(self.headers.get("retry-after", ""), self.headers.get("date", ""), time.time())


def own_words(text: str, json: Mapping[str, Any] | None) -> str:
    """What an answer that is no success says, in the server's own words: one safe line, empty where it says nothing.

    Args:
        text: its body.
        json: the body as a JSON object, None where it is none.
    """
    told: Any = None
    if json is not None:
        error = json.get("error")
        # RFC 6749 section 5.2, RFC 9457 section 3.1, JSON-RPC 2.0 section 5.1, and what many others write.
        named = (json.get("error_description"), json.get("detail"), json.get("title"), json.get("message"))
        nested = error.get("message") if isinstance(error, dict) else error
        told = next((one for one in (*named, nested) if isinstance(one, str) and one.strip()), None)
    elif is_html("", text):
        title = _TITLE.search(text)
        told = html.unescape(title[1]) if title else None
    elif not text.lstrip().startswith(("{", "[")):
        told = text
    if not isinstance(told, str):
        return ""
    line = safe_text(mask_text(" ".join(told.split())), one_line=True)
    return line if len(line) <= WORDS else f"{line[: WORDS - 3]}..."


def retry_seconds(told: str, date: str, received_at: float) -> float | None:
    """`Retry-After` in seconds, also where it is a date (RFC 9110 section 10.2.3); None where it says nothing usable.

    Args:
        told: the header's value.
        date: the answer's `Date`, by whose clock a date is meant.
        received_at: POSIX seconds by our clock, for an answer without `Date`.
    """
    told = told.strip()
    if told.isdecimal() and len(told) < 10:
        return float(told)
    try:
        ends = parsedate_to_datetime(told).timestamp() if told else None
        begins = parsedate_to_datetime(date).timestamp() if date else received_at
    except (ValueError, TypeError, OverflowError):
        return None
    return None if ends is None else max(0.0, ends - begins)


def joined(base: str, onward: str) -> str:
    """`onward` as seen from `base`; as it is where it is no URL at all."""
    try:
        return urljoin(base, onward)
    except ValueError:
        return onward


def is_html(content_type: str, body: str) -> bool:
    """Whether an answer is a web page."""
    return "html" in content_type.lower() or body.lstrip()[:15].lower().startswith(("<!doctype html", "<html"))


async def fetch(
    client: httpx2.AsyncClient,
    method: str,
    url: str,
    *,
    server: str,
    form: list[tuple[str, str]] | None = None,
    body: dict[str, Any] | None = None,
    auth: httpx2.Auth | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send one request.

    Args:
        server: the MCP server on whose behalf it goes out (`refused_url`).
        form, body: what to send, as a form or as JSON.
        auth: what puts a token on it, None for none.
        headers: more of them.

    Raises:
        TimedOut: no complete answer in the client's time.
        ServerUnreachable: no answer, a redirect that must not be followed, or a web page in JSON's place.
    """
    import httpx2

    from deputize.http.environment import NotSent

    sent = {"accept": "application/json", **(headers or {})}
    content = None if form is None else urlencode(form)  # keeps repeated names (RFC 8707 section 2)
    if form is not None:
        sent["content-type"] = "application/x-www-form-urlencoded"
    target = url
    for _ in range(REDIRECTS + 1):
        if (reason := refused_url(target, server=server)) is not None:
            raise ServerUnreachable(
                f"{safe_text(target, one_line=True)} is not fetched",
                why=reason,
                do="check the server's URL, and what its metadata says",
                remedy=CHECK_SERVER,
            )
        try:
            response = await client.request(method, target, headers=sent, content=content, json=body, auth=auth)
        except httpx2.TimeoutException:
            raise no_answer(target, client.timeout.read or 0) from None
        except NotSent as unsent:
            raise unsent.fault from None
        except (httpx2.RequestError, httpx2.InvalidURL) as error:
            raise unreachable(target, str(error) or type(error).__name__) from None
        if not response.has_redirect_location:
            break
        onward = joined(target, response.headers["location"])
        if origin(onward) != origin(target) or (method != "GET" and response.status_code not in (307, 308)):
            raise ServerUnreachable(
                f"{safe_text(target, one_line=True)} redirects to {safe_text(onward, one_line=True)}",
                why="a redirect away from its own origin, or one that would drop the request, is not followed",
                do="use the URL that it redirects to, if that is the one you mean",
                remedy=Remedy("check_server", server=safe_text(onward, one_line=True)),
            )
        target = onward
    else:
        raise unreachable(url, f"it redirects without end (more than {REDIRECTS} times)")
    # JSON is UTF-8 (RFC 8259 section 8.1), whatever charset a header claims.
    text = response.content.decode("utf-8", errors="replace")
    exchange = response.extensions.get("exchange")
    found = parse_object(text) if exchange is None else exchange.json
    # The body says what it is: some send their JSON as text/html.
    if found is None and is_html(response.headers.get("content-type", ""), text) and response.status_code < 400:
        raise web_page(target, response.status_code)
    given = None if found is None else {name: value for name, value in found.items() if value is not None}
    return Answer(response.status_code, response.headers, text, given, target)
