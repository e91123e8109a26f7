"""The browser flow: authorization code with PKCE and a loopback redirect (OAuth 2.1 section 4.1, RFC 8252)."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from deputize import access_tokens
from deputize.errors import ExplainedError, Remedy
from deputize.evidence import AuthorizationRequest, AuthorizationServerMetadata
from deputize.http.bounded import TICK
from deputize.http.errors import GrantNotAllowed, OAuthRefused, no_answer
from deputize.http.fetch import own_words
from deputize.http.sanitizing import safe_text
from deputize.oauth import token_endpoint
from deputize.oauth.challenge import OFFLINE
from deputize.oauth.login_flow import HumanFlow, Login, LoginPending, LoginRequest, Waiting
from deputize.tokens.stored import StoredToken

if TYPE_CHECKING:
    import httpx2

LASTS = 600.0
"""Seconds for which a login is waited for."""

LONGEST = 16 * 1024
"""Characters of a redirect that are read at all."""


@dataclass(frozen=True, kw_only=True)
class BrowserLogin(Login):
    """A login in the browser under way."""

    request: AuthorizationRequest
    """What to open."""
    state: str = field(repr=False)
    verifier: str = field(repr=False)

    @property
    def flow(self) -> BrowserFlow:
        """The flow that it was begun by."""
        return BROWSER

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown."""
        return (self.verifier,)

    @property
    def url(self) -> str:
        """The page to open."""
        return self.request.url

    @property
    def begins_at(self) -> str:
        """What to have this machine's browser open: an address for one browser, since a program's arguments are read by
        every user of a machine. It leads to `url`."""
        return self.url if self.asked.listener is None else self.asked.listener.begin_at(self.url)

    @property
    def ended(self) -> bool:
        """Whether it is too late for the browser to come back."""
        return self.request.expires_at <= time.time()

    @property
    def redirect_uri(self) -> str:
        """Where the browser comes back to."""
        return self.request.redirect_uri

    def conclude(self, error: BaseException | None) -> None:
        """Tell the page that the browser has come back to, and stop listening."""
        ended = (False, "The login was given up", "Nothing was granted. You can close this page.")
        if error is None:
            ended = (
                True,
                f"{self.request.client} may act for you",
                "You can close this page and go back to the terminal.",
            )
        elif isinstance(error, ExplainedError):
            what, why = error.what, error.why or "nothing was granted"
            ended = (False, what[:1].upper() + what[1:], f"{why[:1].upper()}{why[1:]}.")
        if self.asked.listener is not None:
            self.asked.listener.conclude(*ended)
        self.close()

    async def finish(self, http: httpx2.AsyncClient, waiting: Waiting) -> StoredToken:
        """Wait for the browser to come back, and exchange the code for a token (OAuth 2.1 section 4.1.3)."""
        import anyio

        code = await self._code(waiting)
        waiting.guard(code)
        form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.redirect_uri),
            ("code_verifier", self.verifier),
        ]
        patience = http.timeout.read or 0
        try:
            with anyio.fail_after(patience):
                answer = await self.asked.ask_token(http, form)
        except TimeoutError:
            raise no_answer(self.asked.metadata.token_endpoint, patience) from None
        if not answer.granted:
            raise token_endpoint.refused(
                answer,
                f"{self.asked.metadata.issuer} gives no token for the code",
                "log in once more: a code is good for one exchange, and for a short time",
                self.identity,
            )
        return self.asked.token(answer)

    async def _code(self, waiting: Waiting) -> str:
        """The code in the redirect, when the browser has come back or the human has pasted where it went."""
        import anyio

        until = time.monotonic() + min(waiting.seconds, self.request.expires_at - time.time())
        state = "pending"
        while (left := until - time.monotonic()) > 0:
            if waiting.on_wait is not None:
                waiting.on_wait(left, state)
            if waiting.give_up is not None and waiting.give_up():
                raise self.left("the login was given up", oauth_error="given_up")
            if self.asked.listener is not None and self.asked.listener.contested:
                raise OAuthRefused(
                    "two browsers came to begin this login",
                    oauth_error="contested",
                    why="its address is for one, so somebody else may have it, and may finish the login in your place",
                    do="log in again; if it happens again, see who else uses this machine, or use the device flow",
                    remedy=Remedy("log_in", flow="device"),
                )
            if self.asked.listener is not None and self.asked.listener.found is not None:
                return self.read_redirect(self.asked.listener.found)
            if waiting.pasted is not None and (line := waiting.pasted()) is not None:
                try:
                    return self.read_redirect(line)
                except NotOurs:
                    state = "not_ours"  # a slip of the clipboard ends nothing
            await anyio.sleep(min(TICK / 2, max(left, 0.0)))
        raise self.left(f"nobody finished the login within {waiting.seconds:g} s", oauth_error="timeout")

    def left(self, why: str, *, oauth_error: str) -> LoginPending:
        """What to raise where nobody waits for it any more."""
        return LoginPending(
            why,
            oauth_error=oauth_error,
            why="the browser has not come back; if its page showed an error, the authorization server may have "
            "forgotten this client, which registers again next time",
            do="log in again, and decide on the page that opens",
            remedy=Remedy("approve", page=self.url),
        )

    def read_redirect(self, url: str) -> str:
        """The code in an authorization response, after every check that comes before using it.

        Args:
            url: the redirect as the browser got it, or only its query.

        Raises:
            OAuthRefused: it is another login's, another server's (RFC 9207), or an error.
        """
        url = url.strip()
        if len(url) > LONGEST:
            raise _not_ours("it is far too long to be one")
        try:
            query = urlsplit(url).query if "?" in url else url
            given = {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}
            url.encode()
        except ValueError:  # no URL, or no text that could be one
            raise _not_ours("it is no URL") from None
        if not secrets.compare_digest(given.get("state", "").encode(), self.state.encode()):
            raise _not_ours("its state is not the one that was sent (RFC 6749 section 10.12)")
        told = given.get("iss")
        if told is None and self.asked.metadata.iss_in_response:
            raise _mixed_up(f"it lacks the iss that {self.asked.metadata.issuer} says it always sends")
        # Simple string comparison: "https://a" and "https://a/" are two issuers (RFC 9207 section 2.4).
        if told is not None and told != self.asked.metadata.issuer:
            raise _mixed_up(f"it comes from {safe_text(told, one_line=True)}, not from {self.asked.metadata.issuer}")
        if "error" in given:
            raise _ended(self, safe_text(given["error"], one_line=True), own_words("", given))
        if not given.get("code"):
            raise _not_ours("there is neither a code nor an error in it")
        return given["code"]


class BrowserFlow(HumanFlow[BrowserLogin]):
    """The human decides in the browser of this machine, which comes back with a code."""

    name = "browser"
    label = "authorization code with PKCE (RFC 7636)"
    grant_types = ("authorization_code", "refresh_token")

    def problem(self, metadata: AuthorizationServerMetadata) -> str | None:
        """RFC 8414 section 2; a server that does not say that it supports PKCE is not trusted to (OAuth 2.1)."""
        if metadata.authorization_endpoint is None or not metadata.token_endpoint:
            return "its metadata names no authorization_endpoint (RFC 8414 section 2)"
        if "S256" not in metadata.code_challenge_methods_supported:
            offered = ", ".join(metadata.code_challenge_methods_supported) or "none"
            return f"it does not support PKCE with S256 (code_challenge_methods_supported: {offered}; RFC 7636)"
        return None

    async def begin(self, http: httpx2.AsyncClient, asked: LoginRequest) -> BrowserLogin:
        """The authorization request (OAuth 2.1 section 4.1.1) as a URL for the browser; nothing is sent."""
        assert asked.listener is not None
        redirect_uri = asked.listener.redirect_uri
        state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = [
            ("response_type", "code"),
            ("client_id", asked.identity.client_id),
            ("redirect_uri", redirect_uri),
            ("code_challenge", challenge),
            ("code_challenge_method", "S256"),
            ("state", state),
        ]
        query += [("scope", " ".join(asked.scopes))] if asked.scopes else []
        query += [("resource", resource) for resource in asked.resources]
        if (details := asked.authorization_details) is not None:
            query.append(("authorization_details", details))
        if access_tokens.is_authkit(asked.metadata.issuer):
            # Required there (workos.com/docs/reference/workos-connect/authorize). No ID token is read here, so that
            # nothing of ours rests on it: what binds the answer to this request is PKCE, `state` and `iss`.
            query.append(("nonce", secrets.token_urlsafe(24)))
        if OFFLINE in asked.scopes:
            # OpenID Connect Core section 11: without this prompt a provider ignores the scope. Providers keep to that
            # also where `openid` is not among the scopes, as the scopes of an MCP server seldom have it.
            query.append(("prompt", "consent"))
        parts = urlsplit(asked.metadata.authorization_endpoint or "")
        joined = "&".join(filter(None, (parts.query, urlencode(query))))
        asked.listener.expect(state)
        return BrowserLogin(
            asked=asked,
            request=AuthorizationRequest(
                url=urlunsplit((parts.scheme, parts.netloc, parts.path, joined, "")),
                redirect_uri=redirect_uri,
                expires_at=time.time() + LASTS,
                client=asked.name,
                scopes=asked.scopes,
                spending_limit=asked.spending,
            ),
            state=state,
            verifier=verifier,
        )


BROWSER = BrowserFlow()


class NotOurs(OAuthRefused):
    """What came is not the answer to this login."""


def _not_ours(why: str) -> NotOurs:
    return NotOurs(
        "this is not the address that the login ends at",
        oauth_error="unsupported",
        why=why,
        do="copy the whole address from the browser, or start again",
    )


def _mixed_up(why: str) -> OAuthRefused:
    return OAuthRefused(
        "the answer to the login is another server's",
        oauth_error="unsupported",
        why=f"{why} (RFC 9207)",
        do="do not go on; tell the server's operator",
    )


def _ended(login: BrowserLogin, error: str, description: str) -> OAuthRefused:
    if error == "access_denied":
        return OAuthRefused(
            "the human said no",
            oauth_error=error,
            why=description or "the request was denied on the consent page (RFC 6749 section 4.1.2.1)",
            do="if that was a slip: try again, and approve",
        )
    kind = GrantNotAllowed if error in token_endpoint.NOT_BY_THIS_GRANT else OAuthRefused
    do, remedy = token_endpoint.advice(error, login.identity, "log in once more; if it stays so, ask its operator")
    return kind(
        f"{login.asked.metadata.issuer} ends the login",
        oauth_error=error,
        why=f"{error}: {description or 'no reason given'}",
        do=do,
        remedy=remedy,
    )
