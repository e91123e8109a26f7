"""The agent's refusals and failures as errors a person can act on."""

from __future__ import annotations

import math
from typing import Final
from urllib.parse import urlsplit

from deputize.errors import AuthorizationRefused, Remedy, ServerUnreachable
from deputize.http.origins import origin
from deputize.http.redaction import mask_text
from deputize.http.sanitizing import safe_text
from deputize.net import is_loopback

CHECK_SERVER: Final = Remedy("check_server")


class OAuthRefused(AuthorizationRefused):
    """The authorization server refused, in OAuth's own words.

    Args:
        what, why, do, remedy: as in `ExplainedError`.
        oauth_error: the error code: RFC 6749 section 5.2, RFC 8628 section 3.5 (`access_denied`,
            `expired_token`), RFC 8707 (`invalid_target`), RFC 9396 (`invalid_authorization_details`), or, where
            the client itself stopped, `timeout`, `given_up`, `not_logged_in` or `unsupported`.
    """

    def __init__(
        self, what: str, *, oauth_error: str, why: str = "", do: str = "", remedy: Remedy | None = None
    ) -> None:
        super().__init__(what, why=why, do=do, remedy=remedy)
        self.oauth_error = oauth_error


class GrantNotAllowed(OAuthRefused):
    """This client may not use this grant at this authorization server; another flow may be open to it."""


class TimedOut(ServerUnreachable):
    """The time is over and there is no complete answer."""


class Unreadable(ServerUnreachable):
    """Something answered, and what came makes no sense."""


class NotMcp(ServerUnreachable):
    """Something answered, and it does not speak MCP."""


class NoConnection(ServerUnreachable):
    """No HTTP answer came at all."""


def not_logged_in(name: str) -> OAuthRefused:
    """Nothing is stored for this server."""
    return OAuthRefused(
        f"{name} has no token for this server",
        oauth_error="not_logged_in",
        why="no human has authorized it yet, or it logged out",
        do="log in",
        remedy=Remedy("log_in"),
    )


def web_page(url: str, status: int) -> ServerUnreachable:
    """A web page came where JSON was due, and no JSON is in it.

    A captive portal answers in the server's place as if all were well, or with 511 (RFC 6585 section 6); a page with
    any other error status is the server's own, or a proxy's in front of it.
    """
    what = f"{safe_text(url, one_line=True)} answered with a web page where JSON was due"
    if status < 400 or status == 511:
        return ServerUnreachable(
            what,
            why="a captive portal or a proxy of this network may answer in the server's place, or this is not its URL",
            do="open a web page in a browser to sign in to the network, or check the server's URL",
            remedy=CHECK_SERVER,
        )
    if status >= 500:
        return ServerUnreachable(
            what, why=f"HTTP {status}: the server, or a proxy in front of it, is in trouble", do="try again in a moment"
        )
    return ServerUnreachable(
        what,
        why=f"HTTP {status}: there is no MCP server at this URL",
        do="check the server's URL: it is the MCP endpoint's",
        remedy=CHECK_SERVER,
    )


def not_mcp(url: str, why: str) -> NotMcp:
    """Something answers, but it does not speak MCP."""
    return NotMcp(
        f"{safe_text(url, one_line=True)} does not answer as an MCP server",
        why=safe_text(why, one_line=True),
        do="check the server's URL: it is the MCP endpoint's, often ending in /mcp",
        remedy=CHECK_SERVER,
    )


def no_answer(url: str, seconds: float) -> TimedOut:
    """No complete answer in `seconds`."""
    host = urlsplit(url).hostname if origin(url) is not None else None
    here = host is not None and is_loopback(host)
    stays = "restart it" if here else "check the network, and whether the server is up"
    return TimedOut(
        f"{safe_text(url, one_line=True)} did not answer within {seconds:g} s",
        why="the answer did not come in time, or not to its end",
        do=f"try again; if it stays so, {stays}",
        remedy=Remedy("restart_server") if here else None,
    )


def unreachable(url: str, why: str) -> NoConnection:
    """No HTTP answer came."""
    return NoConnection(
        f"{safe_text(url, one_line=True)} cannot be reached",
        why=safe_text(why, one_line=True),
        do="check the server's URL, and the network",
        remedy=CHECK_SERVER,
    )


def unsent(url: str, trouble: BaseException | None) -> NoConnection:
    """The request was never sent: the session ended before."""
    told = mask_text(str(trouble)) if trouble is not None else ""
    return NoConnection(
        f"{safe_text(url, one_line=True)} was not asked",
        why=safe_text(f"the session ended before the request was sent{': ' if told else ''}{told}", one_line=True),
        do="try again; if it stays so, check the server's URL",
        remedy=CHECK_SERVER,
    )


def unreadable(url: str, why: str) -> Unreadable:
    """An answer came and cannot be read."""
    return Unreadable(
        f"the answer of {safe_text(url, one_line=True)} cannot be read",
        why=safe_text(why, one_line=True),
        do="try again; if it stays so, check the server's URL",
        remedy=CHECK_SERVER,
    )


def overloaded(url: str, status: int, why: str, retry_after: float | None = None) -> ServerUnreachable:
    """It answers that it cannot answer now (HTTP 429 or 5xx), which refuses nothing.

    Args:
        why: its own words.
        retry_after: seconds that it wants to be left alone, None where it does not say.
    """
    return ServerUnreachable(
        f"{safe_text(url, one_line=True)} cannot answer now",
        why=why if not why or why == f"HTTP {status}" else f"HTTP {status}: {why}",
        do="try again in a moment" if retry_after is None else f"try again in {math.ceil(retry_after)} s",
    )
