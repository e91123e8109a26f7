"""The device flow (RFC 8628) with resource indicators (RFC 8707) and a spending limit (RFC 9396)."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from deputize import access_tokens
from deputize.errors import Remedy, ServerUnreachable
from deputize.evidence import AuthorizationServerMetadata, DeviceCode
from deputize.http.bounded import TICK
from deputize.http.errors import OAuthRefused
from deputize.http.fetch import Answer, own_words
from deputize.http.origins import origin
from deputize.http.sanitizing import safe_text
from deputize.net import is_loopback
from deputize.oauth import token_endpoint
from deputize.oauth.login_flow import HumanFlow, Login, LoginPending, LoginRequest, Waiting
from deputize.tokens.stored import StoredToken, duration

if TYPE_CHECKING:
    import httpx2

ODD_ANSWERS = 3
"""Answers without an OAuth error code that are taken for a passing fault of the network."""

_SLOWEST = 60.0
"""Seconds up to which polls back off from a server that does not answer."""


@dataclass(frozen=True)
class Pace:
    """How a login is polled: seconds between two polls, and what the last one told.

    Args:
        odd: answers so far that were neither the authorization server's word nor its trouble.
        state: a word for the last answer, as `Waiting.on_wait` is told it.
        trouble: why there was no answer, where that is known.
    """

    interval: float
    odd: int = 0
    state: str = "pending"
    trouble: ServerUnreachable | None = None


@dataclass(frozen=True, kw_only=True)
class DeviceLogin(Login):
    """A device login under way."""

    code: DeviceCode
    """What to show."""
    device_code: str = field(repr=False)

    @property
    def flow(self) -> DeviceFlow:
        """The flow that it was begun by."""
        return DEVICE

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown."""
        return (self.device_code,)

    @property
    def remedy(self) -> Remedy:
        """What the human has to do."""
        page = self.code.verification_uri_complete or self.code.verification_uri
        return Remedy("approve", page=page, code=self.code.user_code)

    def left(self, why: str, *, oauth_error: str) -> LoginPending:
        """What to raise where nobody waits for it any more."""
        return LoginPending(
            why,
            oauth_error=oauth_error,
            why="the consent page is still waiting for a decision",
            do=f"open {self.code.verification_uri} and enter {self.code.user_code}; then try again",
            remedy=self.remedy,
        )

    async def poll(self, http: httpx2.AsyncClient, pace: Pace) -> StoredToken | Pace:
        """Ask once whether the human has decided (RFC 8628 sections 3.4 and 3.5): the token, or how to go on.

        Raises:
            OAuthRefused: it has ended without one; its `oauth_error` says how.
        """
        import anyio

        try:
            # For one poll: a dripping answer would else hold up all the others.
            with anyio.fail_after(http.timeout.read):
                answer = await self.asked.ask_token(
                    http, [("grant_type", DEVICE.grant_types[0]), ("device_code", self.device_code)]
                )
        except (ServerUnreachable, TimeoutError) as error:
            # Exponential backoff, "such as doubling the polling interval on each such connection timeout"; a web page
            # or a redirect in the answer's place is a network's, and may be gone at the next poll.
            trouble = error if isinstance(error, ServerUnreachable) else None
            return replace(pace, interval=_backed_off(pace.interval), state="no_answer", trouble=trouble)
        if answer.granted:
            return self.asked.token(answer)
        if answer.oauth_error == "authorization_pending":
            return replace(pace, state="pending", trouble=None)
        if answer.oauth_error == "slow_down":
            # "the interval MUST be increased by 5 seconds for this and all subsequent requests"
            return replace(pace, interval=pace.interval + 5, state="slow_down", trouble=None)
        busy = answer.status == 429 or answer.status >= 500
        if busy or (not answer.oauth_error and pace.odd < ODD_ANSWERS):
            # Only an error code of section 3.5 or of RFC 6749 section 5.2 is the server's own word.
            interval = max(_backed_off(pace.interval), min(answer.retry_after or 0, _SLOWEST))
            return replace(pace, interval=interval, odd=pace.odd + (not busy), state="no_answer", trouble=None)
        raise _ended(self, answer)

    async def finish(self, http: httpx2.AsyncClient, waiting: Waiting) -> StoredToken:
        """Poll until the human has decided (RFC 8628 sections 3.4 and 3.5)."""
        import anyio

        # Waits go by the monotonic clock: a corrected wall clock must neither end nor prolong one.
        expires = time.monotonic() + self.code.expires_at - time.time()
        until = min(expires, time.monotonic() + waiting.seconds)
        pace = Pace(self.code.interval)
        outcome: StoredToken | None = None

        async def poll() -> None:
            nonlocal pace, outcome
            while True:
                await (waiting.pause or anyio.sleep)(pace.interval)
                found = await self.poll(http, pace)
                if isinstance(found, StoredToken):
                    outcome = found
                    tasks.cancel_scope.cancel()
                    return
                pace = found

        async def watch() -> None:
            while True:
                left = until - time.monotonic()
                if waiting.on_wait is not None:
                    waiting.on_wait(max(0.0, left), pace.state)
                if waiting.give_up is not None and waiting.give_up():
                    raise self.left("the login was given up", oauth_error="given_up")
                if left <= 0:
                    if pace.trouble is not None:
                        raise pace.trouble
                    if expires <= time.monotonic():
                        raise expired()
                    raise self.left(f"nobody approved the login within {waiting.seconds:g} s", oauth_error="timeout")
                await anyio.sleep(min(TICK, max(left, 0.01)))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(poll)
            tasks.start_soon(watch)
        assert outcome is not None  # the group ends with a token or raises
        return outcome


class DeviceFlow(HumanFlow[DeviceLogin]):
    """The human enters a code on any device."""

    name = "device"
    label = "device flow (RFC 8628)"
    grant_types = ("urn:ietf:params:oauth:grant-type:device_code", "refresh_token")

    def problem(self, metadata: AuthorizationServerMetadata) -> str | None:
        """RFC 8628 section 4."""
        if metadata.device_authorization_endpoint is None or not metadata.token_endpoint:
            return "its metadata names no device_authorization_endpoint (RFC 8628 section 4)"
        return None

    def doubt(self, metadata: AuthorizationServerMetadata) -> str | None:
        """At AuthKit a token that was asked for without a resource is not for an MCP server."""
        if access_tokens.is_authkit(metadata.issuer):
            # workos.com/docs/reference/workos-connect/cli-auth has no `resource`, and a token that was asked for
            # without one is for the environment's client id, so that an MCP server must refuse it.
            return "AuthKit documents no `resource` (RFC 8707) for its device flow"
        return None

    async def begin(self, http: httpx2.AsyncClient, asked: LoginRequest) -> DeviceLogin:
        """Ask for a device code (RFC 8628 section 3.1)."""
        metadata = asked.metadata
        form = [("scope", " ".join(asked.scopes))] if asked.scopes else []
        form += [("resource", resource) for resource in asked.resources]
        if (details := asked.authorization_details) is not None:
            form.append(("authorization_details", details))
        # Client authentication is the token endpoint's (RFC 8628 section 3.1).
        answer = await token_endpoint.ask(
            http,
            metadata.device_authorization_endpoint or "",
            form,
            server=asked.server,
            issuer=metadata.issuer,
            identity=asked.identity,
        )
        received = time.time()
        if not answer.granted or answer.json is None:
            raise token_endpoint.refused(
                answer,
                f"{metadata.issuer} refuses a device code to {asked.identity.client_id}",
                "ask its operator what this client may ask for",
                asked.identity,
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
            asked=replace(asked, identity=answer.identity),
            code=DeviceCode(
                user_code=safe_text(user_code, one_line=True),
                verification_uri=safe_text(uri, one_line=True),
                verification_uri_complete=safe_text(whole, one_line=True) if isinstance(whole, str) else None,
                expires_at=received + min(max(lasts, 0.0), 86400.0),
                # An answer without one means 5 (RFC 8628 section 3.2); zero must not become a flood.
                interval=5.0 if interval is None or interval < 0 else max(interval, TICK),
                client=asked.name,
                scopes=asked.scopes,
                spending_limit=asked.spending,
            ),
            device_code=device_code,
        )


DEVICE = DeviceFlow()


def _backed_off(interval: float) -> float:
    return max(interval, min(interval * 2, _SLOWEST))


def _ended(login: DeviceLogin, answer: Answer) -> OAuthRefused | ServerUnreachable:
    if answer.oauth_error == "access_denied":
        # Some deny by a rule of their own, and say so.
        what, words = "the human said no", own_words(answer.text, answer.json)
        return OAuthRefused(
            what,
            oauth_error="access_denied",
            why=words
            if words and words != what
            else "the request was denied on the consent page (RFC 8628 section 3.5)",
            do="if that was a slip: try again, and approve",
        )
    if answer.oauth_error == "expired_token":
        return expired()
    return token_endpoint.refused(
        answer,
        f"{login.asked.metadata.issuer} ends the login",
        "log in once more; if it stays so, ask its operator",
        login.identity,
    )


def expired() -> OAuthRefused:
    """The code was not used in time."""
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
    return OAuthRefused("the device code cannot be used", oauth_error="unsupported", why=why, do="ask its operator")
