"""One agent's authorization at one server: how it is obtained, by one flow or another, kept, and revoked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from deputize.errors import EnvironmentNotReady, Remedy, ServerUnreachable
from deputize.evidence import AuthorizationServerMetadata, Money
from deputize.http import bounded
from deputize.http.bounded import OnWait
from deputize.http.connection import Connection, connect
from deputize.http.errors import GrantNotAllowed, OAuthRefused, no_answer
from deputize.http.sanitizing import safe_text
from deputize.oauth import flows
from deputize.oauth.challenge import scopes_wanted, union
from deputize.oauth.credentials import Credentials
from deputize.oauth.device_flow import DeviceLogin, Pace
from deputize.oauth.discovery import Anonymous, Discovery
from deputize.oauth.dpop import ALGORITHM, ProofKey
from deputize.oauth.flows import ChosenFlow
from deputize.oauth.login_flow import HumanFlow, Login, LoginFlow, LoginPending, LoginRequest, Waiting
from deputize.oauth.machine_flow import TokenRequest, flow_for
from deputize.oauth.metadata import same_identifier
from deputize.oauth.registration import Registrations
from deputize.tokens.identity import ClientIdentity
from deputize.tokens.store import Store
from deputize.tokens.stored import StoredToken

if TYPE_CHECKING:
    from deputize.oauth.loopback import Listener

L = TypeVar("L", bound=Login)

NO_RESOURCE = "none"
"""In the place of a resource: that none is named."""


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
        self.credentials = Credentials(
            connection, store, slot, name, lambda issuer: self.registrations.forget_at(issuer)
        )
        self.discovery = Discovery(connection, ask, self._known_at)
        self.registrations = Registrations(
            connection, store, slot=slot, name=name, flows=flows.FLOWS, known=identity, metadata_url=metadata_url
        )

    def _known_at(self, issuer: str) -> bool:
        held = self.credentials.stored()
        return self.registrations.known_at(issuer) or (held is not None and same_identifier(held.issuer, issuer))

    def authorization_server(self) -> AuthorizationServerMetadata:
        """The authorization server: the issuer of the stored token, else found by asking without one.

        Raises:
            AuthorizationRefused: there is none, or its metadata must not be trusted.
            ServerUnreachable: the server or the authorization server does not answer.
        """
        return self.discovery.find(self.credentials.stored())

    def wanted(self) -> tuple[str, ...]:
        """The scopes that a first login asks for here: as the server's challenge and metadata have them.

        Raises:
            AuthorizationRefused, ServerUnreachable: as `authorization_server`.
        """
        metadata = self.metadata_today()
        return scopes_wanted(self.discovery.challenge, metadata)

    def choose_flow(self) -> ChosenFlow:
        """Which flow this authorization server's metadata offers, and why that one.

        Raises:
            AuthorizationRefused: none that a human decides in.
            ServerUnreachable: as `authorization_server`.
        """
        metadata = self.metadata_today()
        return flows.choose(metadata, lambda flow: self.registrations.refused(metadata, flow))

    def choose_other(self, flow: HumanFlow[Login], refused: GrantNotAllowed) -> ChosenFlow | None:
        """The flow to take in the place of one that was refused to this client, None where there is no other.

        Raises:
            AuthorizationRefused, ServerUnreachable: as `authorization_server`.
        """
        other = self._other(flow, self.metadata_today())
        return None if other is None else ChosenFlow(other, flows.not_for_this_client(flow, refused.why))

    def start(
        self,
        flow: HumanFlow[L],
        scopes: Sequence[str],
        *,
        resources: Sequence[str] | None = None,
        spending: Money | None = None,
        details: Sequence[dict[str, Any]] = (),
        bound: bool = True,
    ) -> L:
        """Begin a login in which a human decides. What is begun is to be finished, or closed.

        Args:
            scopes: what to ask for.
            resources: what the token is for (RFC 8707); the server by default.
            spending: a limit to ask for (RFC 9396), None for none.
            details: other authorization details to ask for (RFC 9396).
            bound: whether a key is proved where both sides take part in that (RFC 9449), so that the token is good for
                its holder alone.

        Raises:
            AuthorizationRefused: the flow is not offered, the agent is no client there, or the request is refused.
            EnvironmentNotReady: the one port that was registered is taken.
            ServerUnreachable: no answer.
        """
        metadata = self.metadata_today()
        flows.require(flow, metadata)  # before anything is registered there
        listener = self._listen(metadata, flow) if flow.redirects else None

        def begin(identity: ClientIdentity) -> L:
            asked = self._request(
                metadata, identity, scopes, resources, spending, listener, details=details, bound=bound
            )
            return self._connection.http(lambda http: flow.begin(http, asked))

        def identify() -> ClientIdentity:
            redirect_uri = listener.redirect_uri if listener is not None else None
            return self.registrations.identify(
                metadata, flow, redirect_uri=redirect_uri, scopes=self._registrable(scopes)
            )

        try:
            kept = self.registrations.registered(metadata, flow)
            with self._learning(metadata, flow):  # a registration that fails is no sign against the one that is kept
                identity = identify()
            with self._registration_in_doubt(metadata, flow):
                try:
                    login = begin(identity)
                except OAuthRefused as error:
                    if error.oauth_error != "invalid_client" or identity != kept:
                        raise
                    # The authorization server has forgotten a registration: once more as one registered again.
                    self.registrations.forget(metadata.issuer, flow)
                    login = begin(identify())
        except BaseException:
            if listener is not None:
                listener.close()
            raise
        self._connection.recorder.guard(*login.secrets)
        return login

    def finish(
        self,
        login: Login,
        *,
        on_wait: OnWait | None = None,
        give_up: Callable[[], bool] | None = None,
        pasted: Callable[[], str | None] | None = None,
        expected: str | None = None,
        keep: bool = True,
        timeout: float = 600.0,
        kept: bool = False,
    ) -> StoredToken:
        """Wait until the human has decided, and keep the token.

        Args:
            on_wait, give_up, pasted: as in `Waiting`.
            expected: the email address or `sub` of the human who is to say yes; None for anybody. Another one's
                token is not kept, and handed back.
            keep: False where the token is for one request, and takes no other token's place.
            timeout: seconds to wait at most, beside the login's own life.
            kept: whether the login stays open where the wait ends before the human has decided.

        Raises:
            LoginPending: given up, or the time is over.
            AuthorizationRefused: denied, mixed up (RFC 9207), expired, given up, refused; its `oauth_error` says which.
            ServerUnreachable: what answers is not the authorization server.
        """
        recorder, metadata = self._connection.recorder, login.asked.metadata
        waiting = Waiting(timeout, on_wait, give_up, pasted, recorder.guard)

        async def finish() -> StoredToken:
            async with connect(recorder, seconds=self._connection.timeout) as http:
                return await login.finish(http, waiting)

        try:
            with self._registration_in_doubt(metadata, login.flow, kept=kept):
                token = bounded.run(finish, None, lambda: no_answer(metadata.token_endpoint, timeout))
            self.registrations.learn(metadata.issuer, login.flow, None)
            if keep and expected is not None and expected.casefold() not in {name.casefold() for name in token.human}:
                raise _somebody_else(expected, token, self.revoke(token))
            if keep:
                self.credentials.keep(token)
            else:
                self._connection.recorder.guard(*token.secrets)
        except BaseException as error:
            if not (kept and isinstance(error, LoginPending)):
                login.conclude(error)
            raise
        login.conclude(None)
        return token

    def poll(self, login: DeviceLogin, pace: Pace) -> StoredToken | Pace:
        """Ask once whether the human has decided, and keep the token; else how to go on.

        Raises:
            AuthorizationRefused: the login has ended without a token.
        """
        recorder, metadata = self._connection.recorder, login.asked.metadata
        recorder.guard(*login.secrets)

        async def poll() -> StoredToken | Pace:
            async with connect(recorder, seconds=self._connection.timeout) as http:
                return await login.poll(http, pace)

        with self._registration_in_doubt(metadata, login.flow):
            found = bounded.run(poll, None, lambda: no_answer(metadata.token_endpoint, self._connection.timeout))
        if isinstance(found, StoredToken):
            self.registrations.learn(metadata.issuer, login.flow, None)
            self.credentials.keep(found)
        return found

    def by_machine(self, request: TokenRequest, scopes: Sequence[str] = ()) -> StoredToken:
        """A token for the agent itself, with no human in it (RFC 6749 section 4.4, RFC 7523), kept.

        Raises:
            AuthorizationRefused: the authorization server refuses, or the agent has no identity there.
            ServerUnreachable: it does not answer.
        """
        metadata, flow = self.metadata_today(), flow_for(request)
        identity = self.registrations.identify(metadata, flow, scopes=tuple(scopes))
        asked = self._request(metadata, identity, scopes)
        with self._registration_in_doubt(metadata, flow):
            token = self._connection.http(lambda http: flow.obtain(http, asked, request))
        self.credentials.keep(token)
        return token

    def revoke(self, token: StoredToken) -> str | None:
        """Have a token's issuer revoke its login (RFC 7009): None when it confirmed, else why it did not."""
        try:
            endpoint = self.discovery.of(token).revocation_endpoint
            if endpoint is None:
                return "the authorization server offers no revocation endpoint (RFC 7009)"
            return self.credentials.revoke(token, endpoint)
        except (OAuthRefused, ServerUnreachable) as error:
            return error.what

    def _request(
        self,
        metadata: AuthorizationServerMetadata,
        identity: ClientIdentity,
        scopes: Sequence[str],
        resources: Sequence[str] | None = None,
        spending: Money | None = None,
        listener: Listener | None = None,
        *,
        details: Sequence[dict[str, Any]] = (),
        bound: bool = True,
    ) -> LoginRequest:
        return LoginRequest(
            metadata=metadata,
            server=self._connection.endpoint(),
            identity=identity,
            name=self._name,
            scopes=tuple(scopes),
            resources=self._resources(resources),
            spending=spending,
            details=tuple(details),
            key=self._key(metadata, approval=bool(details)) if bound else None,
            listener=listener,
        )

    def metadata_today(self) -> AuthorizationServerMetadata:
        """The authorization server as a login sees it: by what the server says today, not by the token of yesterday.

        Raises:
            AuthorizationRefused, ServerUnreachable: as `authorization_server`.
        """
        if self.discovery.challenge is None:
            return self.discovery.ask()
        return self.discovery.settled(self.discovery.challenge)

    def _listen(self, metadata: AuthorizationServerMetadata, flow: LoginFlow) -> Listener:
        """Where the registration says: not every server lets the port vary, as RFC 8252 section 7.3 wants."""
        from deputize.oauth.loopback import HOST, Listener  # an HTTP server, which only a browser's login needs

        own = self.registrations.pre_registered(metadata.issuer)
        if own is not None and own.redirect_uri is not None:
            where = urlsplit(own.redirect_uri)
            return Listener(where.port or 0, host=where.hostname or HOST, path=where.path or "/")
        prior = self.registrations.registered(metadata, flow) if own is None else None
        port = self._redirect_port or 0
        if prior is not None and prior.redirect_uri is not None:
            port = urlsplit(prior.redirect_uri).port or 0
        try:
            return Listener(port)
        except EnvironmentNotReady:
            if prior is None:
                raise
            self.registrations.forget(metadata.issuer, flow)
            return Listener(self._redirect_port or 0)

    @contextmanager
    def _registration_in_doubt(
        self, metadata: AuthorizationServerMetadata, flow: LoginFlow, *, kept: bool = False
    ) -> Iterator[None]:
        """See a login through: what ends it without a token makes the registration doubtful, and it is forgotten.

        An authorization server that no longer knows a client shows the human a page of its own, and may answer nothing
        at all to the client. The human's own no says nothing against the client, nor that nobody waits for a login that
        stays open (`kept`).
        """
        try:
            with self._learning(metadata, flow):
                yield
        except BaseException as error:
            if kept and isinstance(error, LoginPending):
                raise
            if not isinstance(error, OAuthRefused) or error.oauth_error != "access_denied":
                self.registrations.forget(metadata.issuer, flow)
            raise

    @contextmanager
    def _learning(self, metadata: AuthorizationServerMetadata, flow: LoginFlow) -> Iterator[None]:
        """Remember a flow that is refused to this client, and name another one in the refusal.

        A client that was registered by hand, and not for the device flow, is to be put right by hand.
        """
        try:
            yield
        except GrantNotAllowed as error:
            if isinstance(flow, HumanFlow):
                self.registrations.learn(metadata.issuer, flow, error.why)
                by_hand = self.registrations.pre_registered(metadata.issuer) is not None
                if (flow.redirects or not by_hand) and (other := self._other(flow, metadata)) is not None:
                    error.do, error.remedy = f"log in by {other.label}", Remedy("log_in", flow=other.name)
            raise

    def _other(self, flow: LoginFlow, metadata: AuthorizationServerMetadata) -> HumanFlow[Login] | None:
        return flows.other(flow, metadata, lambda one: self.registrations.refused(metadata, one))

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

    def _key(self, metadata: AuthorizationServerMetadata, *, approval: bool = False) -> ProofKey | None:
        """A key where both sides take part in DPoP (RFC 9449): a bound token is of no use to a thief.

        Args:
            approval: of one request, within what is granted already: an agent is known there by the key that it has.
        """
        held = self.credentials.stored() if approval else None
        if held is not None and held.dpop_key is not None and same_identifier(held.issuer, metadata.issuer):
            return ProofKey.from_json(held.dpop_key)
        if self.discovery.dpop and ALGORITHM in metadata.dpop_signing_alg_values_supported:
            return ProofKey.generate()
        return None


def _somebody_else(expected: str, token: StoredToken, not_revoked: str | None) -> OAuthRefused:
    who = f"it was {token.human[0]}" if token.human else "who it was is not known: no ID token came (scope openid)"
    back = "the token is not kept, and was revoked" if not_revoked is None else "the token is not kept"
    return OAuthRefused(
        f"somebody else than {safe_text(expected, one_line=True)} said yes",
        oauth_error="another_account",
        why=f"{who}; {back}",
        do="log in again, and sign in with that account; or expect nobody in particular",
        remedy=Remedy("log_in"),
    )
