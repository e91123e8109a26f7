"""The login flows that a program can use, by who decides: a human on any device, a human in this browser, or nobody.

What they share, and what a request goes through, is `deputize.oauth.httpx_auth`.
"""

from __future__ import annotations

import sys
import threading
import time
import webbrowser
from collections.abc import Awaitable, Callable
from typing import Any, Unpack

from deputize.evidence import DeviceCode, Money
from deputize.http.callers import settled
from deputize.http.errors import OAuthRefused
from deputize.oauth.browser_flow import BROWSER, BrowserLogin
from deputize.oauth.device_flow import DEVICE, DeviceLogin
from deputize.oauth.httpx_auth import SLOT, FlowOptions, OAuthFlow
from deputize.oauth.login_flow import LoginPending
from deputize.oauth.machine_flow import TokenRequest
from deputize.oauth.pending import PendingLogins
from deputize.tokens.stored import SPENDING, StoredToken


class HumanOptions(FlowOptions, total=False):
    """The options of a flow in which a human decides, all by name."""

    spending: Money | None
    """A limit of money to ask for, such as `Money(5000)` for 50.00 USD (RFC 9396; its type `shop_spending` is that of
    this repository's shop); None, the default, for none."""
    patience: float
    """Seconds for which one request, or one `login`, waits for the human; 600 by default. The login itself stays open
    until its code expires."""


class HumanAuth(OAuthFlow):
    """What flows share in which a human decides; use one of its subclasses.

    Args:
        server: the MCP server's URL.
        spending, patience: `HumanOptions` says what each is.
        options: `FlowOptions`.

    Raises, beside what every flow does:
        LoginPending: the human has not decided in time.
    """

    def __init__(
        self, server: str, *, spending: Money | None = None, patience: float = 600.0, **options: Unpack[FlowOptions]
    ) -> None:
        super().__init__(server, **options)
        self._spending = spending
        self._patience = patience

    def _limit_is_known(self) -> None:
        """See that a limit is not asked for in vain: what does not know it might grant a token without one."""
        metadata = self._authorizer.metadata_today()
        if self._spending is not None and SPENDING not in metadata.authorization_details_types_supported:
            raise OAuthRefused(
                f"{metadata.issuer} knows no spending limit",
                oauth_error="unsupported",
                why=f"its metadata do not list {SPENDING} (RFC 9396 section 10)",
                do="log in without one, if this agent may spend without a limit",
            )

    def _limited(self, token: StoredToken) -> StoredToken:
        """A token that came without the limit that was asked for is not kept."""
        if self._spending is None or token.spending_limit is not None:
            return token
        self._authorizer.credentials.forget()
        self._authorizer.revoke(token)
        raise OAuthRefused(
            "the token came without the spending limit that was asked for",
            oauth_error="unsupported",
            why="its response names none (RFC 9396 section 7), so the token is not kept",
            do="log in without a limit, if this agent may spend without one",
        )


class DeviceFlow(HumanAuth):
    """The device flow (RFC 8628): for programs on machines without a browser.

    Args:
        server: the MCP server's URL. Requests to another origin go out without a token.
        show: tells the human where to go and which code to enter, a function of either kind; on stderr by default. It
            is called once for each code, and by `login` also for one that was shown before.
        options: `HumanOptions`: spending, patience; store, name, client, metadata_url, redirect_port, scopes, timeout.
    """

    def __init__(
        self,
        server: str,
        *,
        show: Callable[[DeviceCode], Awaitable[object] | object] | None = None,
        **options: Unpack[HumanOptions],
    ) -> None:
        super().__init__(server, **options)
        self._show = show or _say_code
        self._shown: str | None = None
        self._pending = PendingLogins(self._authorizer, self._store, SLOT)

    @property
    def pending(self) -> DeviceCode | None:
        """The code that waits for the human, also where another process has begun the login; None where none does."""
        login = self._pending.now()
        return None if login is None else login.code

    def _obtain(self, scopes: tuple[str, ...], given_up: threading.Event, *, asked: bool) -> StoredToken:
        self._limit_is_known()
        before = self._authorizer.credentials.stored()

        def begin() -> DeviceLogin:
            return self._authorizer.start(DEVICE, scopes, spending=self._spending, bound=self._bound)

        login = self._pending.join(self._authorizer.metadata_today(), scopes, self._spending, begin)
        if asked or self._shown != login.code.user_code:
            self._shown = login.code.user_code
            settled(self._show(login.code))
        return self._limited(self._pending.wait(login, before, self._patience, given_up.is_set))

    def _approve(
        self, details: tuple[dict[str, Any], ...], scopes: tuple[str, ...], given_up: threading.Event
    ) -> StoredToken:
        login = self._authorizer.start(DEVICE, scopes, details=details, bound=self._bound)
        settled(self._show(login.code))
        return self._authorizer.finish(login, give_up=given_up.is_set, timeout=self._patience, keep=False)


class BrowserFlow(HumanAuth):
    """Authorization code with PKCE in the browser of this machine (OAuth 2.1 section 4.1, RFC 8252).

    A login that nobody waits for stays open for ten minutes, in this process: the browser comes back to it.

    Args:
        server: the MCP server's URL. Requests to another origin go out without a token.
        open: given the address of the login, opens it, a function of either kind; by default the system's browser,
            which begins at an address that is worth nothing to who reads it among the browser's arguments. One that
            returns False has opened nothing, and the address is written to stderr.
        options: `HumanOptions`: spending, patience; store, name, client, metadata_url, redirect_port, scopes, timeout.
    """

    def __init__(
        self,
        server: str,
        *,
        open: Callable[[str], Awaitable[object] | object] | None = None,
        **options: Unpack[HumanOptions],
    ) -> None:
        super().__init__(server, **options)
        self._open = open
        self._under_way: BrowserLogin | None = None

    def _obtain(self, scopes: tuple[str, ...], given_up: threading.Event, *, asked: bool) -> StoredToken:
        self._limit_is_known()
        login, fresh = self._under_way, False
        if login is None or login.ended or not set(scopes) <= set(login.asked.scopes):
            self._leave()
            login, fresh = self._authorizer.start(BROWSER, scopes, spending=self._spending, bound=self._bound), True
        self._under_way = login
        if fresh or asked:
            try:
                self._show(login)
            except BaseException:
                self._leave()
                raise
        try:
            token = self._authorizer.finish(login, give_up=given_up.is_set, timeout=self._patience, kept=True)
        except LoginPending:
            closing = threading.Timer(max(0.0, login.request.expires_at - time.time()), login.close)
            closing.daemon = True
            closing.start()
            raise
        except BaseException:
            self._under_way = None
            raise
        self._under_way = None
        return self._limited(token)

    def _approve(
        self, details: tuple[dict[str, Any], ...], scopes: tuple[str, ...], given_up: threading.Event
    ) -> StoredToken:
        login = self._authorizer.start(BROWSER, scopes, details=details, bound=self._bound)
        try:
            self._show(login)
        except BaseException:
            login.close()
            raise
        return self._authorizer.finish(login, give_up=given_up.is_set, timeout=self._patience, keep=False)

    def _show(self, login: BrowserLogin) -> None:
        opened = webbrowser.open(login.begins_at) if self._open is None else settled(self._open(login.url))
        if opened is False:
            sys.stderr.write(f"Open this in a browser of this machine: {login.url}\n")

    def _leave(self) -> None:
        if self._under_way is not None:
            self._under_way.close()
            self._under_way = None


class MachineFlow(OAuthFlow):
    """Tokens without a human (RFC 6749 section 4.4, RFC 7523, RFC 8693).

    Args:
        server: the MCP server's URL. Requests to another origin go out without a token.
        request: what stands behind the token; the client's own credentials by default.
        options: `FlowOptions`; `client` says who it is and names its issuer.
    """

    def __init__(self, server: str, *, request: TokenRequest | None = None, **options: Unpack[FlowOptions]) -> None:
        super().__init__(server, **options)
        self._request = request or TokenRequest()

    def _obtain(self, scopes: tuple[str, ...], given_up: threading.Event, *, asked: bool) -> StoredToken:
        return self._authorizer.by_machine(self._request, scopes)

    def _approve(
        self, details: tuple[dict[str, Any], ...], scopes: tuple[str, ...], given_up: threading.Event
    ) -> StoredToken:
        raise OAuthRefused(
            "this call needs a human's approval",
            oauth_error="unsupported",
            why="no human stands behind this program's own credentials",
            do="have a human approve it, by DeviceFlow or BrowserFlow",
        )


def _say_code(code: DeviceCode) -> None:
    sys.stderr.write(f"Open {code.verification_uri} and enter {code.user_code}\n")
