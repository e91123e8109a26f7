"""The device flow (RFC 8628) with resource indicators (RFC 8707) and a spending limit (RFC 9396)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from demo.client.http.bounded import TICK, OnWait
from demo.client.http.errors import OAuthRefused
from demo.client.http.fetch import Answer, own_words
from demo.client.http.origins import origin
from demo.client.http.sanitizing import safe_text
from demo.client.oauth import browser, token_endpoint
from demo.client.oauth.dpop import ProofKey
from demo.client.tokens.identity import ClientIdentity
from demo.client.tokens.stored import StoredToken, duration, read_token_response, spending_details
from demo.errors import ServerUnreachable
from demo.evidence import AuthorityMetadata, DeviceCode, Money
from demo.net import is_loopback

if TYPE_CHECKING:
    import httpx2

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
STRANGE = 3
"""Answers without an OAuth error code that are taken for a passing fault of the network."""

_SLOWEST = 60.0
"""Seconds up to which polls back off from a server that does not answer."""


@dataclass(frozen=True)
class DeviceLogin:
    """A device login under way: the code to show, and what it takes to fetch the token."""

    code: DeviceCode
    device_code: str = field(repr=False)
    issuer: str
    token_endpoint: str
    identity: ClientIdentity
    resource: str | None
    server: str
    key: ProofKey | None = field(default=None, repr=False)


def require(authority: AuthorityMetadata) -> str:
    """The device authorization endpoint (RFC 8628 section 4).

    Raises:
        OAuthRefused: the authority offers no device flow.
    """
    endpoint = authority.device_authorization_endpoint
    if endpoint is None or not authority.token_endpoint:
        offered = ", ".join(authority.grant_types_supported)
        raise OAuthRefused(
            f"the authority {authority.issuer} offers no device login",
            oauth_error="unsupported",
            why=f"its metadata names no device_authorization_endpoint (RFC 8628 section 4); it offers {offered}",
            do="demo login --browser"
            if browser.problem(authority) is None
            else f"ask whoever runs {authority.issuer} how a client logs in there, or name another --server",
        )
    return endpoint


async def ask(
    client: httpx2.AsyncClient,
    authority: AuthorityMetadata,
    *,
    server: str,
    identity: ClientIdentity,
    name: str,
    scopes: Sequence[str],
    resources: Sequence[str],
    spending: Money | None,
    key: ProofKey | None = None,
) -> DeviceLogin:
    """Ask for a device code (RFC 8628 section 3.1).

    Args:
        authority: where; it must name a device authorization endpoint.
        identity: which client asks; the token is issued to it.
        name: this client's own name, for the code's record.
        resources: what the token is for; the first one becomes the first token's audience.
        spending: the limit to ask for, None for none.
        key: what the token is to be bound to (RFC 9449), None for a bearer token.

    Raises:
        OAuthRefused: the authority refuses, offers no device flow, or its answer cannot be used.
        ServerUnreachable: it does not answer.
    """
    endpoint = require(authority)
    form = [("scope", " ".join(scopes))] if scopes else []
    form += [("resource", resource) for resource in resources]
    if spending is not None and resources:
        form.append(("authorization_details", spending_details(spending, resources[0])))
    # Client authentication is the token endpoint's (RFC 8628 section 3.1).
    answer = await token_endpoint.ask(client, endpoint, form, server=server, issuer=authority.issuer, identity=identity)
    received = time.time()
    if not answer.granted or answer.json is None:
        raise token_endpoint.refused(
            answer,
            f"{authority.issuer} refuses a device code to {identity.client_id}",
            "ask whoever runs it what this client may ask for",
            identity,
        )
    given = answer.json
    device_code, user_code, uri = (given.get(key) for key in ("device_code", "user_code", "verification_uri"))
    uri = given.get("verification_url") if uri is None else uri  # an early draft's name, still in use
    lasts, interval = duration(given.get("expires_in")), duration(given.get("interval", 5))
    if not (isinstance(device_code, str) and isinstance(user_code, str) and isinstance(uri, str) and lasts):
        raise _unusable("a required field is missing (RFC 8628 section 3.2)")
    whole = given.get("verification_uri_complete")
    for url in (uri, whole):
        if isinstance(url, str) and (problem := _page_problem(url)):
            raise _unusable(problem)
    return DeviceLogin(
        code=DeviceCode(
            user_code=safe_text(user_code, one_line=True),
            verification_uri=safe_text(uri, one_line=True),
            verification_uri_complete=safe_text(whole, one_line=True) if isinstance(whole, str) else None,
            expires_at=received + min(max(lasts, 0.0), 86400.0),
            # An answer without one means 5 (RFC 8628 section 3.2); zero must not become a flood.
            interval=5.0 if interval is None or interval < 0 else max(interval, TICK),
            client=name,
            scopes=tuple(scopes),
            spending_limit=spending,
        ),
        device_code=device_code,
        issuer=authority.issuer,
        token_endpoint=authority.token_endpoint,
        identity=answer.identity,
        resource=resources[0] if resources else None,
        server=server,
        key=key,
    )


async def wait(
    client: httpx2.AsyncClient,
    login: DeviceLogin,
    *,
    on_wait: OnWait | None,
    give_up: Callable[[], bool] | None,
    seconds: float,
) -> StoredToken:
    """Poll until the human has decided (RFC 8628 sections 3.4 and 3.5).

    Args:
        on_wait: told the seconds left, and "pending", "slow_down" or "no_answer".
        give_up: asked as often; True ends the wait.
        seconds: how long to wait at most, beside the code's own life.

    Raises:
        OAuthRefused: denied, expired, given up, or anything else the authority refuses.
        ServerUnreachable: the time is over, and what answered last was not the authorization server.
    """
    import anyio

    state = "pending"
    patience = client.timeout.read  # for one poll; a dripping answer would else hold up all the others
    # Waits go by the monotonic clock: a corrected wall clock must neither end nor prolong one.
    expires = time.monotonic() + login.code.expires_at - time.time()
    until = min(expires, time.monotonic() + seconds)
    outcome: StoredToken | None = None
    trouble: ServerUnreachable | None = None

    async def poll() -> None:
        nonlocal state, outcome, trouble
        interval, strange = login.code.interval, 0
        while True:
            await anyio.sleep(interval)
            try:
                with anyio.fail_after(patience):
                    answer = await token_endpoint.ask(
                        client,
                        login.token_endpoint,
                        _form(login),
                        server=login.server,
                        issuer=login.issuer,
                        identity=login.identity,
                        key=login.key,
                    )
            except (ServerUnreachable, TimeoutError) as error:
                trouble = error if isinstance(error, ServerUnreachable) else None
                # Exponential backoff, "such as doubling the polling interval on each such connection timeout"; a web
                # page or a redirect in the answer's place is a network's, and may be gone at the next poll.
                interval, state = _backed_off(interval), "no_answer"
                continue
            if answer.granted and answer.json is not None:
                outcome = read_token_response(
                    answer.json,
                    received_at=time.time(),
                    issuer=login.issuer,
                    token_endpoint=login.token_endpoint,
                    identity=answer.identity,
                    dpop_key=login.key.to_json() if login.key else None,
                    resource=login.resource,
                    scope=login.code.scopes,
                )
                tasks.cancel_scope.cancel()
                return
            if answer.oauth_error == "authorization_pending":
                state = "pending"
            elif answer.oauth_error == "slow_down":
                # "the interval MUST be increased by 5 seconds for this and all subsequent requests"
                interval, state = interval + 5, "slow_down"
            elif answer.status == 429 or answer.status >= 500 or (not answer.oauth_error and strange < STRANGE):
                # Only an error code of section 3.5 or of RFC 6749 section 5.2 is the authorization server's own word.
                strange += answer.status < 500 and answer.status != 429
                interval, state = max(_backed_off(interval), min(answer.retry_after or 0, _SLOWEST)), "no_answer"
            else:
                raise _ended(login, answer)

    async def watch() -> None:
        while True:
            left = until - time.monotonic()
            if on_wait is not None:
                on_wait(max(0.0, left), state)
            if give_up is not None and give_up():
                raise OAuthRefused(
                    "the login was given up", oauth_error="given_up", do="log in again when you are ready"
                )
            if left <= 0:
                if trouble is not None and state == "no_answer":
                    raise trouble
                if expires <= time.monotonic():
                    raise _expired()
                raise OAuthRefused(
                    f"nobody approved the login within {seconds:g} s",
                    oauth_error="timeout",
                    why="the consent page is still waiting for a decision",
                    do="log in again, and approve it on the page that is named",
                )
            await anyio.sleep(min(TICK, max(left, 0.01)))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(poll)
        tasks.start_soon(watch)
    assert outcome is not None  # the group ends with a token or raises
    return outcome


def _backed_off(interval: float) -> float:
    return max(interval, min(interval * 2, _SLOWEST))


def _form(login: DeviceLogin) -> list[tuple[str, str]]:
    form = [("grant_type", GRANT), ("device_code", login.device_code)]
    # The token request names the resource again (RFC 8707 section 2.2).
    return [*form, ("resource", login.resource)] if login.resource else form


def _ended(login: DeviceLogin, answer: Answer) -> OAuthRefused | ServerUnreachable:
    if answer.oauth_error == "access_denied":
        # Some deny by a rule of their own, and say so.
        words = own_words(answer.text, answer.json)
        return OAuthRefused(
            "the human said no",
            oauth_error="access_denied",
            why=words or "the request was denied on the consent page (RFC 8628 section 3.5)",
            do="if that was a slip: log in again, and approve",
        )
    if answer.oauth_error == "expired_token":
        return _expired()
    return token_endpoint.refused(
        answer,
        f"{login.issuer} ends the login",
        "log in once more; if it stays so, ask whoever runs it",
        login.identity,
    )


def _expired() -> OAuthRefused:
    return OAuthRefused(
        "the code has expired",
        oauth_error="expired_token",
        why="nobody approved it in time (RFC 8628 section 3.5)",
        do="log in again, for a new code",
    )


def _page_problem(url: str) -> str | None:
    where = origin(url)
    if safe_text(url, one_line=True) != url:
        return "its verification_uri holds characters that no URL has (RFC 3986 section 2)"
    if where is None:
        return "its verification_uri is not an http or https URL"
    if where[0] == "http" and not is_loopback(where[1]):
        return "its verification_uri is plain http on another machine"
    return None


def _unusable(why: str) -> OAuthRefused:
    return OAuthRefused(
        "the authority's device code cannot be used", oauth_error="unsupported", why=why, do="check --server"
    )
