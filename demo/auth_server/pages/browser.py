"""The browser of a human: a cookie, the account signed in with it, and the token that its forms must bring back."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from starlette.responses import Response

from ..context import Authority
from ..state.accounts import Account, account_by_sub
from ..state.store import digest

COOKIE = "authority_browser"
SIGNED_IN_SECONDS = 3600.0


@dataclass(frozen=True)
class Browser:
    """One browser. `secret` is its cookie; nothing about it is stored before somebody signs in."""

    secret: str
    account: Account | None = None
    signed_in_at: float = 0.0

    @property
    def csrf(self) -> str:
        """What this browser's forms carry. Who does not know the cookie cannot compute it."""
        return hmac.new(self.secret.encode(), b"csrf", hashlib.sha256).hexdigest()

    def brought(self, csrf: str) -> bool:
        """Whether `csrf` is this browser's; compared in constant time."""
        return hmac.compare_digest(self.csrf.encode(), csrf.encode())


def recognize(authority: Authority, cookie: str | None) -> Browser:
    """The browser with this cookie, or a new one."""
    if not cookie:
        return Browser(secrets.token_urlsafe(32))
    with authority.store.transaction(write=False) as connection:
        row = connection.execute(
            "SELECT sub, signed_in_at FROM authority_browser_sessions WHERE digest = ? AND expires_at > ?",
            (digest(cookie), authority.now()),
        ).fetchone()
    if row is None:
        return Browser(cookie)
    return Browser(cookie, account_by_sub(row["sub"]), row["signed_in_at"])


def signed_in(authority: Authority, before: Browser, account: Account) -> Browser:
    """A browser signed in as `account`, under a new cookie: whoever planted the old one has no part in it."""
    after = Browser(secrets.token_urlsafe(32), account, authority.now())
    with authority.store.transaction() as connection:
        connection.execute(
            "DELETE FROM authority_browser_sessions WHERE digest = ? OR expires_at <= ?",
            (digest(before.secret), authority.now()),
        )
        connection.execute(
            "INSERT INTO authority_browser_sessions (digest, sub, signed_in_at, expires_at) VALUES (?, ?, ?, ?)",
            (digest(after.secret), account.sub, after.signed_in_at, after.signed_in_at + SIGNED_IN_SECONDS),
        )
    return after


def signed_out(authority: Authority, before: Browser) -> Browser:
    """The same browser with nobody signed in, under a new cookie."""
    with authority.store.transaction() as connection:
        connection.execute("DELETE FROM authority_browser_sessions WHERE digest = ?", (digest(before.secret),))
    return Browser(secrets.token_urlsafe(32))


def set_cookie(authority: Authority, response: Response, browser: Browser) -> None:
    """Give the browser its cookie: for these pages only, out of scripts' reach, not sent along from elsewhere."""
    response.set_cookie(
        COOKIE,
        browser.secret,
        max_age=int(SIGNED_IN_SECONDS),
        path="/device",
        httponly=True,
        samesite="lax",
        secure=authority.issuer.startswith("https:"),
    )
