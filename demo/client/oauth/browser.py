"""The browser flow: authorization code with PKCE and a loopback redirect (OAuth 2.1 section 4.1, RFC 8252)."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from demo import access_tokens
from demo.client.http.bounded import TICK, OnWait
from demo.client.http.errors import GrantNotAllowed, OAuthRefused
from demo.client.http.fetch import own_words
from demo.client.http.sanitizing import safe_text
from demo.client.oauth import token_endpoint
from demo.client.oauth.challenge import OFFLINE
from demo.client.oauth.dpop import ProofKey
from demo.client.tokens.identity import ClientIdentity
from demo.client.tokens.stored import StoredToken, read_token_response, spending_details
from demo.errors import DemoError
from demo.evidence import AuthorityMetadata, AuthorizationRequest, Money

if TYPE_CHECKING:
    import httpx2

    from demo.client.oauth.loopback import Listener

Refusal = TypeVar("Refusal", bound=DemoError)

LASTS = 600.0
"""Seconds for which a login is waited for."""

LONGEST = 16 * 1024
"""Characters of a redirect that are read at all."""


@dataclass(frozen=True)
class BrowserLogin:
    """A login in the browser under way: the request to open, and what it takes to fetch the token afterwards."""

    request: AuthorizationRequest
    issuer: str
    iss_in_response: bool
    token_endpoint: str
    identity: ClientIdentity
    resource: str | None
    server: str
    state: str = field(repr=False)
    verifier: str = field(repr=False)
    key: ProofKey | None = field(default=None, repr=False)
    listener: Listener | None = field(default=None, repr=False)
    device: bool = False
    """Whether the authorization server offers the device flow, too."""

    @property
    def url(self) -> str:
        """The page to open."""
        return self.request.url

    @property
    def redirect_uri(self) -> str:
        """Where the browser comes back to."""
        return self.request.redirect_uri

    def close(self) -> None:
        """Stop listening: nobody waits for this login any more."""
        if self.listener is not None:
            self.listener.close()


def problem(authority: AuthorityMetadata) -> str | None:
    """Why no code flow can be begun at this authority, or None."""
    if authority.authorization_endpoint is None or not authority.token_endpoint:
        return "its metadata names no authorization_endpoint (RFC 8414 section 2)"
    if "S256" not in authority.code_challenge_methods_supported:
        offered = ", ".join(authority.code_challenge_methods_supported) or "none"
        return f"it does not support PKCE with S256 (code_challenge_methods_supported: {offered}; RFC 7636)"
    return None


def require(authority: AuthorityMetadata) -> None:
    """See that a code flow can be begun at this authority.

    Raises:
        OAuthRefused: it has none, or none with PKCE.
    """
    if (why := problem(authority)) is not None:
        raise OAuthRefused(
            f"no login in the browser at {authority.issuer}",
            oauth_error="unsupported",
            why=why,
            do="demo login --device"
            if authority.device_authorization_endpoint is not None
            else f"ask whoever runs {authority.issuer} how a client logs in there, or name another --server",
        )


def begin(
    authority: AuthorityMetadata,
    *,
    server: str,
    identity: ClientIdentity,
    name: str,
    scopes: Sequence[str],
    resources: Sequence[str],
    spending: Money | None,
    redirect_uri: str,
    listener: Listener | None,
    key: ProofKey | None = None,
) -> BrowserLogin:
    """The authorization request (OAuth 2.1 section 4.1.1) as a URL for the browser.

    Args:
        resources: what the token is for (RFC 8707).
        spending: the limit to ask for (RFC 9396), None for none.
        redirect_uri: where the browser comes back to.
        listener: what listens there; None where the human pastes the address.
        key: what the token is to be bound to (RFC 9449 section 10), None for a bearer token.
    """
    state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = [
        ("response_type", "code"),
        ("client_id", identity.client_id),
        ("redirect_uri", redirect_uri),
        ("code_challenge", challenge),
        ("code_challenge_method", "S256"),
        ("state", state),
    ]
    query += [("scope", " ".join(scopes))] if scopes else []
    query += [("resource", resource) for resource in resources]
    if spending is not None and resources:
        query.append(("authorization_details", spending_details(spending, resources[0])))
    if access_tokens.is_authkit(authority.issuer):
        # Required there (workos.com/docs/reference/workos-connect/authorize). No ID token is read here, so that nothing
        # of ours rests on it: what binds the answer to this request is PKCE, `state` and `iss`.
        query.append(("nonce", secrets.token_urlsafe(24)))
    if OFFLINE in scopes:
        # OpenID Connect Core section 11: without this prompt a provider ignores the scope. Providers keep to that also
        # where `openid` is not among the scopes, as the scopes of an MCP server seldom have it.
        query.append(("prompt", "consent"))
    parts = urlsplit(authority.authorization_endpoint or "")
    joined = "&".join(filter(None, (parts.query, urlencode(query))))
    if listener is not None:
        listener.expect(state)
    return BrowserLogin(
        request=AuthorizationRequest(
            url=urlunsplit((parts.scheme, parts.netloc, parts.path, joined, "")),
            redirect_uri=redirect_uri,
            expires_at=time.time() + LASTS,
            client=name,
            scopes=tuple(scopes),
            spending_limit=spending,
        ),
        issuer=authority.issuer,
        iss_in_response=authority.iss_in_response,
        token_endpoint=authority.token_endpoint,
        identity=identity,
        resource=resources[0] if resources else None,
        server=server,
        state=state,
        verifier=verifier,
        key=key,
        listener=listener,
        device=authority.device_authorization_endpoint is not None,
    )


def read_redirect(login: BrowserLogin, url: str) -> str:
    """The code in an authorization response, after every check that comes before using it.

    Args:
        url: the redirect as the browser got it, or only its query.

    Raises:
        OAuthRefused: it is another login's, another authority's (RFC 9207), or an error.
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
    if not secrets.compare_digest(given.get("state", "").encode(), login.state.encode()):
        raise _not_ours("its state is not the one that was sent (RFC 6749 section 10.12)")
    told = given.get("iss")
    if told is None and login.iss_in_response:
        raise _mixed_up(f"it lacks the iss that {login.issuer} says it always sends")
    # Simple string comparison: "https://a" and "https://a/" are two issuers (RFC 9207 section 2.4).
    if told is not None and told != login.issuer:
        raise _mixed_up(f"it comes from {safe_text(told, one_line=True)}, not from {login.issuer}")
    if "error" in given:
        raise _ended(login, safe_text(given["error"], one_line=True), own_words("", given))
    if not given.get("code"):
        raise _not_ours("there is neither a code nor an error in it")
    return given["code"]


async def exchange(client: httpx2.AsyncClient, login: BrowserLogin, code: str) -> StoredToken:
    """The code for a token (OAuth 2.1 section 4.1.3), with the verifier and the resource.

    Raises:
        OAuthRefused: the authority refuses.
        ServerUnreachable: it does not answer.
    """
    form = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", login.redirect_uri),
        ("code_verifier", login.verifier),
    ]
    if login.resource:
        form.append(("resource", login.resource))
    answer = await token_endpoint.ask(
        client,
        login.token_endpoint,
        form,
        server=login.server,
        issuer=login.issuer,
        identity=login.identity,
        key=login.key,
    )
    if not answer.granted or answer.json is None:
        error = token_endpoint.refused(
            answer,
            f"{login.issuer} gives no token for the code",
            "log in once more: a code is good for one exchange, and for a short time",
            login.identity,
        )
        raise _advised(login, error)
    return read_token_response(
        answer.json,
        received_at=time.time(),
        issuer=login.issuer,
        token_endpoint=login.token_endpoint,
        identity=answer.identity,
        resource=login.resource,
        scope=login.request.scopes,
        dpop_key=login.key.to_json() if login.key else None,
    )


def wait(
    login: BrowserLogin,
    *,
    on_wait: OnWait | None,
    give_up: Callable[[], bool] | None,
    pasted: Callable[[], str | None] | None,
    seconds: float,
) -> str:
    """Wait for the browser to come back, or for the human to paste where it went: the code.

    Args:
        on_wait: told the seconds left and the state ("pending", "not_ours" after a paste that is none) 4x a second.
        give_up: asked as often; True ends the wait.
        pasted: asked as often; a line that the human has pasted, or None.
        seconds: how long to wait at most, beside the login's own life.

    Raises:
        OAuthRefused: denied, mixed up, given up, or nobody came.
    """
    until = time.monotonic() + min(seconds, login.request.expires_at - time.time())
    state = "pending"
    while (left := until - time.monotonic()) > 0:
        if on_wait is not None:
            on_wait(left, state)
        if give_up is not None and give_up():
            raise OAuthRefused("the login was given up", oauth_error="given_up", do="log in again when you are ready")
        if login.listener is not None and login.listener.found is not None:
            return read_redirect(login, login.listener.found)
        if pasted is not None and (line := pasted()) is not None:
            try:
                return read_redirect(login, line)
            except NotOurs:
                state = "not_ours"  # a slip of the clipboard ends nothing
        time.sleep(min(TICK / 2, max(left, 0.0)))
    raise OAuthRefused(
        f"nobody finished the login within {seconds:g} s",
        oauth_error="timeout",
        why="the browser has not come back; if its page showed an error, the authorization server may have forgotten "
        "this client, which registers again next time",
        do="log in again, and decide on the page that opens",
    )


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
        "the answer to the login is another authority's",
        oauth_error="unsupported",
        why=f"{why} (RFC 9207)",
        do="do not go on; tell whoever runs the server",
    )


def _ended(login: BrowserLogin, error: str, description: str) -> OAuthRefused:
    if error == "access_denied":
        return OAuthRefused(
            "the human said no",
            oauth_error=error,
            why=description or "the request was denied on the consent page (RFC 6749 section 4.1.2.1)",
            do="if that was a slip: log in again, and approve",
        )
    kind = GrantNotAllowed if error in token_endpoint.NOT_BY_THIS_GRANT else OAuthRefused
    ended = kind(
        f"{login.issuer} ends the login",
        oauth_error=error,
        why=f"{error}: {description or 'no reason given'}",
        do=token_endpoint.advice(error, login.identity, "log in once more; if it stays so, ask whoever runs it"),
    )
    return _advised(login, ended)


def _advised(login: BrowserLogin, error: Refusal) -> Refusal:
    """The same error; where the code flow is not for this client, with the flow that is left."""
    if isinstance(error, GrantNotAllowed) and login.device:
        error.do = "demo login --device"
    return error
