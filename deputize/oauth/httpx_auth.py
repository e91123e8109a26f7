"""Logins that any program can use: each an `httpx2.Auth` for the HTTP client that it gives the MCP SDK.

A flow presents the stored token, renews it when it is due, answers a 401 with a login and a 403 `insufficient_scope`
with one for more (MCP 2026-07-28, authorization), a bounded number of times, and binds tokens to a key where both
sides take part in DPoP (RFC 9449). Discovery, registration and login go over a client of their own.
"""

from __future__ import annotations

import sys
import threading
import webbrowser
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from functools import partial
from typing import Any

import httpx2

from deputize.evidence import Challenge, DeviceCode
from deputize.http.connection import Connection
from deputize.http.origins import origin
from deputize.oauth.authorizer import Authorizer
from deputize.oauth.browser_flow import BROWSER
from deputize.oauth.challenge import read_challenge, scopes_of, union
from deputize.oauth.device_flow import DEVICE
from deputize.oauth.machine_flow import TokenRequest
from deputize.oauth.step_up import StepUp
from deputize.oauth.token_auth import presented
from deputize.tokens.identity import ClientIdentity
from deputize.tokens.store import MemoryStore, Store
from deputize.tokens.stored import StoredToken

Work = Callable[[], Any]


class OAuthFlow(httpx2.Auth, ABC):
    """What all flows share; use one of its subclasses.

    Args:
        server: the MCP server's URL. Requests to another origin go out without a token.
        store: where tokens and registrations are kept; in memory by default, so that they end with the process.
        name: the program's name, for the human at the consent page.
        client: who it is where it is pre-registered; None for a client ID metadata document or registration.
        metadata_url: where the program's client ID metadata document is hosted.
        redirect_port: the loopback port that is pre-registered.
        scopes: asked for beside those that the server names.
        timeout: seconds for one exchange with the authorization server.
        login_timeout: seconds for which a human is waited for.

    Raises, out of the request that it belongs to:
        AuthorizationRefused: the human said no, or the authorization server refuses.
        ServerUnreachable: the authorization server does not answer.
    """

    def __init__(
        self,
        server: str,
        *,
        store: Store | None = None,
        name: str = "MCP client",
        client: ClientIdentity | None = None,
        metadata_url: str | None = None,
        redirect_port: int | None = None,
        scopes: Sequence[str] = (),
        timeout: float = 15.0,
        login_timeout: float = 600.0,
    ) -> None:
        self.connection = Connection(server, timeout)
        self.authorizer = Authorizer(
            self.connection,
            # What belongs to one server is kept, and found, under its name alone.
            (store if store is not None else MemoryStore()).at(server),
            slot="agent",
            name=name,
            ask=None,  # a login follows a refusal, and goes by the challenge in it
            identity=client,
            metadata_url=metadata_url,
            redirect_port=redirect_port,
        )
        self._scopes = tuple(scopes)
        self._login_timeout = login_timeout
        self._one_at_a_time = threading.Lock()

    @abstractmethod
    def login(self, scopes: tuple[str, ...], given_up: threading.Event) -> StoredToken:
        """Get a token for these scopes, and keep it.

        Args:
            given_up: set when nobody waits for it any more.
        """

    def sync_auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """For an `httpx2.Client`."""
        steps = self._steps(request, threading.Event())
        answer: Any = None
        while (step := _next(steps, answer)) is not None:
            answer = step() if callable(step) else (yield step)

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """For an `httpx2.AsyncClient`: what waits for people or other servers does so in a thread of its own."""
        from anyio import to_thread

        given_up = threading.Event()
        steps = self._steps(request, given_up)
        answer: Any = None
        try:
            while (step := _next(steps, answer)) is not None:
                if callable(step):
                    answer = await to_thread.run_sync(step, abandon_on_cancel=True)
                else:
                    answer = yield step
        except BaseException:
            given_up.set()
            raise

    def _steps(self, request: httpx2.Request, given_up: threading.Event) -> Generator[httpx2.Request | Work, Any, None]:
        """Requests to send, and work to do between them; each is answered with its response or its result."""
        if origin(str(request.url)) != origin(self.connection.server):
            yield request
            return
        attempts = StepUp(self.authorizer, lambda scopes: self.login(union(scopes, self._scopes), given_up))
        held: StoredToken | None = yield attempts.held
        while True:
            response = yield from _sent(request, held)
            if response.status_code not in (401, 403):
                return
            challenge = read_challenge(response.status_code, response.headers.get_list("www-authenticate"))
            held = yield partial(self._answer, attempts, response.status_code, challenge, held)
            if held is None:
                return

    def _answer(
        self, attempts: StepUp, status: int, challenge: Challenge | None, used: StoredToken | None
    ) -> StoredToken | None:
        with self._one_at_a_time:
            # Several requests may have been refused at once: one of them asks the human, the others take what came.
            now = self.authorizer.credentials.stored()
            newer = now is not None and now.access_token != (used.access_token if used else None)
            if newer and now and (status == 401 or set(scopes_of(challenge)) <= set(now.scope)):
                return now
            return attempts.after(status, challenge, used)


class DeviceFlow(OAuthFlow):
    """The device flow (RFC 8628): for programs on machines without a browser.

    Args:
        show: tells the human where to go and which code to enter; on stderr by default.
        given: as for every flow.
    """

    def __init__(self, server: str, *, show: Callable[[DeviceCode], None] | None = None, **given: Any) -> None:
        super().__init__(server, **given)
        self._show = show or _say_code

    def login(self, scopes: tuple[str, ...], given_up: threading.Event) -> StoredToken:
        """Get a code, show it, and poll until the human has decided."""
        login = self.authorizer.start(DEVICE, scopes)
        self._show(login.code)
        return self.authorizer.finish(login, give_up=given_up.is_set, timeout=self._login_timeout)


class BrowserFlow(OAuthFlow):
    """Authorization code with PKCE in the browser of this machine (OAuth 2.1 section 4.1, RFC 8252).

    Args:
        open: given the address of the login, opens it; by default the system's browser, which begins at an address that
            is worth nothing to who reads it among the browser's arguments.
        given: as for every flow.
    """

    def __init__(self, server: str, *, open: Callable[[str], object] | None = None, **given: Any) -> None:
        super().__init__(server, **given)
        self._open = open

    def login(self, scopes: tuple[str, ...], given_up: threading.Event) -> StoredToken:
        """Open the consent page, and wait for the browser to come back."""
        login = self.authorizer.start(BROWSER, scopes)
        try:
            opened = webbrowser.open(login.begins_at) if self._open is None else self._open(login.url)
            if opened is False:
                sys.stderr.write(f"Open this in a browser of this machine: {login.url}\n")
        except BaseException:
            login.close()
            raise
        return self.authorizer.finish(login, give_up=given_up.is_set, timeout=self._login_timeout)


class MachineFlow(OAuthFlow):
    """Tokens without a human (RFC 6749 section 4.4, RFC 7523, RFC 8693).

    Args:
        request: what stands behind the token; the client's own credentials by default.
        given: as for every flow; `client` says who it is and names its issuer.
    """

    def __init__(self, server: str, *, request: TokenRequest | None = None, **given: Any) -> None:
        super().__init__(server, **given)
        self._request = request or TokenRequest()

    def login(self, scopes: tuple[str, ...], given_up: threading.Event) -> StoredToken:
        """Present the credentials."""
        return self.authorizer.by_machine(self._request, scopes)


def _sent(
    request: httpx2.Request, held: StoredToken | None
) -> Generator[httpx2.Request, httpx2.Response, httpx2.Response]:
    request.headers.pop("authorization", None)
    request.headers.pop("dpop", None)
    if held is None:
        return (yield request)
    steps = presented(held).sync_auth_flow(request)
    step = next(steps)
    while True:
        response = yield step
        try:
            step = steps.send(response)
        except StopIteration:
            return response


def _next(steps: Generator[httpx2.Request | Work, Any, None], answer: Any) -> httpx2.Request | Work | None:
    try:
        return steps.send(answer)
    except StopIteration:
        return None


def _say_code(code: DeviceCode) -> None:
    sys.stderr.write(f"Open {code.verification_uri} and enter {code.user_code}\n")
