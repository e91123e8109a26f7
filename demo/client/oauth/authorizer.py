"""One agent's authority at one server: found, asked for in one flow or another, kept, and given back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from demo import access_tokens
from demo.client.http import bounded
from demo.client.http.bounded import OnWait
from demo.client.http.connection import Connection, connect
from demo.client.http.errors import GrantNotAllowed, OAuthRefused, no_answer
from demo.client.oauth import browser, credentials, device
from demo.client.oauth.browser import BrowserLogin
from demo.client.oauth.challenge import scopes_wanted, union
from demo.client.oauth.credentials import Credentials
from demo.client.oauth.device import DeviceLogin
from demo.client.oauth.discovery import Anonymous, Discovery
from demo.client.oauth.dpop import ALGORITHM, ProofKey
from demo.client.oauth.metadata import same_identifier
from demo.client.oauth.registrar import Flow, Registrar
from demo.client.tokens.identity import ClientIdentity
from demo.client.tokens.store import Store
from demo.client.tokens.stored import StoredToken
from demo.errors import DemoError, EnvironmentNotReady, ServerUnreachable
from demo.evidence import AuthorityMetadata, Money

if TYPE_CHECKING:
    from demo.client.oauth.loopback import Listener
    from demo.client.oauth.machine import TokenRequest

NO_RESOURCE = "none"
"""In the place of a resource: that none is named."""


@dataclass(frozen=True)
class LoginWay:
    """Which flow to log in by, and why: one sentence; `named` where a person chose it, who wants no other."""

    kind: Literal["device", "browser"]
    why: str
    named: bool = False


class Authorizer:
    """What the agent and the `httpx2.Auth` flows share.

    Args:
        connection: to the server.
        store: where tokens and registrations are kept.
        slot: under which name.
        name: the agent's name, for the human.
        ask: asks the server for something without a token, for its challenge; None to go by its well-known places.
        identity: who it is where it is pre-registered, None to find out.
        metadata_url: where our client ID metadata document is hosted, None where it is not.
        redirect_port: the loopback port that is pre-registered; None for any.
        resource: what tokens are asked for (RFC 8707) in the place of what the server's metadata names; `NO_RESOURCE`
            for an authorization server that refuses the parameter.
    """

    def __init__(
        self,
        connection: Connection,
        store: Store,
        *,
        slot: str,
        name: str,
        ask: Callable[[], Anonymous] | None,
        identity: ClientIdentity | None = None,
        metadata_url: str | None = None,
        redirect_port: int | None = None,
        resource: str | None = None,
    ) -> None:
        self._connection = connection
        self._resource = resource
        self._name = name
        self._redirect_port = redirect_port
        self.credentials = Credentials(connection, store, slot, name, lambda issuer: self.registrar.forget_at(issuer))
        self.discovery = Discovery(connection, ask, self._known_at)
        self.registrar = Registrar(connection, store, slot=slot, name=name, known=identity, metadata_url=metadata_url)

    def _known_at(self, issuer: str) -> bool:
        held = self.credentials.stored()
        return self.registrar.known_at(issuer) or (held is not None and same_identifier(held.issuer, issuer))

    def authority(self) -> AuthorityMetadata:
        """The server's authority: the one of the stored token, else found by asking without one.

        Raises:
            AuthorityRefused: there is none, or its metadata must not be trusted.
            ServerUnreachable: the server or the authority does not answer.
        """
        return self.discovery.find(self.credentials.stored())

    def wanted(self) -> tuple[str, ...]:
        """The scopes that a first login asks for here: as the server's challenge and metadata have them.

        Raises:
            AuthorityRefused, ServerUnreachable: as `authority`.
        """
        authority = self._asked_afresh()
        return scopes_wanted(self.discovery.challenge, authority)

    def way(self) -> LoginWay:
        """Which flow this authority's metadata offers.

        Raises:
            AuthorityRefused: neither.
            ServerUnreachable: as `authority`.
        """
        authority = self._asked_afresh()
        why = browser.problem(authority)
        if authority.device_authorization_endpoint is not None:
            refused = self.registrar.refused_grant(authority, "device")
            if refused is not None and why is None:
                return LoginWay("browser", f"the device flow (RFC 8628) is not for this client: {refused}")
            if why is None and access_tokens.is_authkit(authority.issuer):
                # workos.com/docs/reference/workos-connect/cli-auth has no `resource`, and a token that was asked for
                # without one is for the environment's client id, so that an MCP server must refuse it.
                return LoginWay("browser", "AuthKit documents no `resource` (RFC 8707) for its device flow")
            return LoginWay("device", "the authority offers the device flow (RFC 8628): no browser is needed here")
        if why is None:
            return LoginWay(
                "browser", "the authority offers no device flow (RFC 8628), but authorization code with PKCE (RFC 7636)"
            )
        raise OAuthRefused(
            f"there is no way to log in at {authority.issuer}",
            oauth_error="unsupported",
            why=f"it offers no device flow (RFC 8628), and {why}",
            do="ask whoever runs it, or name another --server",
        )

    def instead(self, refused: GrantNotAllowed) -> LoginWay | None:
        """The code flow in the place of one that was refused to this client, where the authorization server offers it.

        Raises:
            AuthorityRefused, ServerUnreachable: as `authority`.
        """
        if browser.problem(self._asked_afresh()) is not None:
            return None
        return LoginWay("browser", f"the device flow (RFC 8628) is not for this client: {refused.why}")

    # The device flow

    def start_device(
        self, scopes: Sequence[str], *, resources: Sequence[str] | None, spending: Money | None
    ) -> DeviceLogin:
        """Ask for a device code (RFC 8628 section 3.1).

        Args:
            scopes: what to ask for.
            resources: what the token is for (RFC 8707); the server by default.
            spending: a limit to ask for (RFC 9396), None for none.

        Raises:
            AuthorityRefused: no device flow there, or the request is refused.
            ServerUnreachable: no answer.
        """
        authority = self._asked_afresh()
        key = self._key(authority)

        def ask(identity: ClientIdentity) -> DeviceLogin:
            return self._connection.http(
                lambda http: device.ask(
                    http,
                    authority,
                    server=self._connection.endpoint(),
                    identity=identity,
                    name=self._name,
                    scopes=scopes,
                    resources=self._resources(resources),
                    spending=spending,
                    key=key,
                )
            )

        device.require(authority)  # before anything is registered there
        with self._proving(authority.issuer, "device"):
            login = self._as_client(authority, "device", ask, self._registrable(scopes))
        self._connection.recorder.guard(login.device_code)
        return login

    def finish_device(
        self,
        login: DeviceLogin,
        *,
        on_wait: OnWait | None,
        give_up: Callable[[], bool] | None,
        timeout: float,
    ) -> StoredToken:
        """Poll until the human has decided (RFC 8628 section 3.4), and keep the tokens.

        Args:
            on_wait: told the seconds left, and "pending", "slow_down" or "no_answer".
            give_up: asked as often; True ends the wait.
            timeout: seconds to wait at most, beside the code's own life.

        Raises:
            AuthorityRefused: denied, expired, given up, refused; its `oauth_error` says which.
            ServerUnreachable: what answers is not the authority.
        """

        async def poll() -> StoredToken:
            async with connect(self._connection.recorder, seconds=self._connection.timeout) as http:
                return await device.wait(http, login, on_wait=on_wait, give_up=give_up, seconds=timeout)

        with self._proving(login.issuer, "device"):
            token = bounded.run(poll, None, lambda: no_answer(login.token_endpoint, timeout))
        self.registrar.learn_grant(login.issuer, "device", None)
        self.credentials.keep(token)
        return token

    # The browser flow

    def start_browser(
        self, scopes: Sequence[str], *, resources: Sequence[str] | None, spending: Money | None
    ) -> BrowserLogin:
        """Listen on this machine, and make the URL for the browser (OAuth 2.1 section 4.1, RFC 8252).

        Args:
            as `start_device`. Whoever starts one finishes it, or closes it.

        Raises:
            AuthorityRefused: no code flow with PKCE there, or the agent is no client of the authority.
            EnvironmentNotReady: the one port that was registered is taken.
            ServerUnreachable: no answer.
        """
        authority = self._asked_afresh()
        browser.require(authority)  # before anything is registered there
        listener = self._listen(authority)
        try:
            identity = self.registrar.identify(
                authority, "browser", redirect_uri=listener.redirect_uri, scopes=self._registrable(scopes)
            )
            login = browser.begin(
                authority,
                server=self._connection.endpoint(),
                identity=identity,
                name=self._name,
                scopes=scopes,
                resources=self._resources(resources),
                spending=spending,
                redirect_uri=listener.redirect_uri,
                listener=listener,
                key=self._key(authority),
            )
        except BaseException:
            listener.close()
            raise
        self._connection.recorder.guard(login.verifier)
        return login

    def finish_browser(
        self,
        login: BrowserLogin,
        *,
        on_wait: OnWait | None,
        give_up: Callable[[], bool] | None,
        pasted: Callable[[], str | None] | None,
        timeout: float,
    ) -> StoredToken:
        """Wait for the browser to come back, exchange the code, keep the tokens, and tell the waiting page.

        Args:
            on_wait: told the seconds left, and "pending", or "not_ours" after a paste that is something else.
            give_up, timeout: as in `finish_device`.
            pasted: asked as often; the authorization response's URL, when the human has pasted it.

        Raises:
            AuthorityRefused: denied, mixed up (RFC 9207), given up, refused; its `oauth_error` says which.
            ServerUnreachable: the authority does not answer.
        """
        ended = (False, "The login was given up", "Nothing was granted. You can close this page.")
        try:
            with self._proving(login.issuer, "browser"):
                code = browser.wait(login, on_wait=on_wait, give_up=give_up, pasted=pasted, seconds=timeout)
                self._connection.recorder.guard(code)
                token = self._connection.http(lambda http: browser.exchange(http, login, code))
            self.credentials.keep(token)
            ended = (True, f"{self._name} may act for you", "You can close this page and go back to the terminal.")
            return token
        except DemoError as error:
            ended = (False, _sentence(error.what), f"{_sentence(error.why or 'nothing was granted')}.")
            raise
        finally:
            if login.listener is not None:
                login.listener.conclude(*ended)
            login.close()

    def _asked_afresh(self) -> AuthorityMetadata:
        """A login goes by what the server says today, not by the token of yesterday."""
        if self.discovery.challenge is None:
            return self.discovery.ask()
        return self.discovery.settled(self.discovery.challenge)

    def _listen(self, authority: AuthorityMetadata) -> Listener:
        """Where the registration says: not every authority lets the port vary, as RFC 8252 section 7.3 wants."""
        from demo.client.oauth.loopback import HOST, Listener  # an HTTP server, which only a browser's login needs

        own = self.registrar.pre_registered(authority.issuer)
        if own is not None and own.redirect_uri is not None:
            where = urlsplit(own.redirect_uri)
            return Listener(where.port or 0, host=where.hostname or HOST, path=where.path or "/")
        prior = self.registrar.registered(authority, "browser") if own is None else None
        port = self._redirect_port or 0
        if prior is not None and prior.redirect_uri is not None:
            port = urlsplit(prior.redirect_uri).port or 0
        try:
            return Listener(port)
        except EnvironmentNotReady:
            if prior is None:
                raise
            self.registrar.forget(authority.issuer, "browser")
            return Listener(self._redirect_port or 0)

    # Without a human

    def by_machine(self, request: TokenRequest, scopes: Sequence[str]) -> StoredToken:
        """A token for the agent itself, with no human in it (RFC 6749 section 4.4, RFC 7523), kept.

        Raises:
            AuthorityRefused: the authority refuses, or the agent has no identity there.
            ServerUnreachable: it does not answer.
        """
        from demo.client.oauth import machine

        authority = self._asked_afresh()
        identity = self.registrar.identify(authority, "machine", scopes=tuple(scopes), grants=(machine.grant(request),))
        resources = self._resources(None)
        with self._proving(authority.issuer, "machine"):
            token = self._connection.http(
                lambda http: machine.ask(
                    http,
                    authority,
                    request,
                    server=self._connection.endpoint(),
                    identity=identity,
                    resource=resources[0] if resources else None,
                    scopes=scopes,
                    key=self._key(authority),
                )
            )
        self.credentials.keep(token)
        return token

    # Giving it back

    def revoke(self, token: StoredToken) -> str | None:
        """Have the authority revoke a token's login (RFC 7009): None when it confirmed, else why it did not."""
        try:
            endpoint = self.discovery.of(token).revocation_endpoint
            if endpoint is None:
                return "the authority offers no revocation endpoint (RFC 7009)"
            server = self._connection.endpoint()
            return self._connection.http(lambda http: credentials.revoke(http, token, endpoint, server=server))
        except (OAuthRefused, ServerUnreachable) as error:
            return error.what

    def _as_client(
        self,
        authority: AuthorityMetadata,
        flow: Flow,
        ask: Callable[[ClientIdentity], DeviceLogin],
        scopes: tuple[str, ...],
    ) -> DeviceLogin:
        """Ask as the client that we are there; where it has forgotten a registration, as one registered again, once."""
        kept = self.registrar.registered(authority, flow)
        identity = self.registrar.identify(authority, flow, scopes=scopes)
        try:
            return ask(identity)
        except OAuthRefused as error:
            if error.oauth_error != "invalid_client" or identity != kept:
                raise
        self.registrar.forget(authority.issuer, flow)
        return ask(self.registrar.identify(authority, flow, scopes=scopes))

    @contextmanager
    def _proving(self, issuer: str, flow: Flow) -> Iterator[None]:
        """See a login through: what ends it without a token makes the registration doubtful, and it is forgotten.

        An authorization server that no longer knows a client shows the human a page of its own, and may answer nothing
        at all to the client. The human's own no says nothing against the client.
        """
        try:
            yield
        except BaseException as error:
            if not isinstance(error, OAuthRefused) or error.oauth_error != "access_denied":
                self.registrar.forget(issuer, flow)
            if isinstance(error, GrantNotAllowed) and flow == "device" and not self.registrar.pre_registered(issuer):
                self.registrar.learn_grant(issuer, flow, error.why)
            raise

    def _registrable(self, scopes: Sequence[str]) -> tuple[str, ...]:
        """What a registration names: what is asked for now, and all that the resource knows, for a later step-up."""
        resource = self.discovery.challenge.resource if self.discovery.challenge is not None else None
        return union(scopes, resource.scopes_supported if resource is not None else ())

    def _resources(self, named: Sequence[str] | None) -> tuple[str, ...]:
        """What a token is asked for (RFC 8707): as the caller has it, the settings, else the server's metadata."""
        if named is not None:
            return tuple(named)
        if self._resource == NO_RESOURCE:
            return ()
        return (self._resource or self.discovery.resource,)

    def _key(self, authority: AuthorityMetadata) -> ProofKey | None:
        """A key where both sides take part in DPoP (RFC 9449): a bound token is of no use to a thief."""
        if self.discovery.dpop and ALGORITHM in authority.dpop_signing_alg_values_supported:
            return ProofKey.generate()
        return None


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]
