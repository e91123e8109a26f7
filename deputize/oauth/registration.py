"""Which client the agent is at an authorization server: pre-registered, by a document of its own, or registered now."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from deputize.errors import Remedy
from deputize.evidence import AuthorizationServerMetadata
from deputize.http.connection import Connection
from deputize.http.errors import OAuthRefused
from deputize.http.origins import origin
from deputize.net import is_loopback
from deputize.oauth.challenge import union
from deputize.oauth.dynamic_registration import register
from deputize.oauth.login_flow import HumanFlow, LoginFlow
from deputize.oauth.metadata import same_identifier
from deputize.tokens.identity import AuthMethod, ClientIdentity
from deputize.tokens.store import ISSUERS, NOT_BY, Store


class Registrations:
    """Finds out which client to be, in the order of MCP 2026-07-28 (authorization, client registration approaches).

    Args:
        connection: registrations go over it.
        store: what was registered is kept here, under the authorization server's issuer, and shown to no other.
        slot: the agent's name in the store.
        name: its name, for the human at the consent page.
        flows: each has a registration of its own.
        known: who it is where it is pre-registered; with an `issuer`, at that authorization server only.
        metadata_url: where our client ID metadata document is hosted, None where it is not.
    """

    def __init__(
        self,
        connection: Connection,
        store: Store,
        *,
        slot: str,
        name: str,
        flows: Sequence[LoginFlow],
        known: ClientIdentity | None,
        metadata_url: str | None,
    ) -> None:
        self._connection = connection
        self._store = store
        self._slot = slot
        self._name = name
        self._flows = flows
        self._known = known
        self._metadata_url = metadata_url
        if known is not None and known.secrets() and known.issuer is None:
            raise ValueError("an identity with a secret names the issuer that may see it")

    def identify(
        self,
        metadata: AuthorizationServerMetadata,
        flow: LoginFlow,
        *,
        redirect_uri: str | None = None,
        scopes: tuple[str, ...] = (),
    ) -> ClientIdentity:
        """The identity for a flow at an authorization server; registered now where it has none yet.

        Args:
            redirect_uri: for a registration, where the browser will come back to.
            scopes: what it will ask for; some authorization servers refuse a client what it was not registered with.

        Raises:
            GrantNotAllowed: it is registered there, and not for this flow's grant.
            OAuthRefused: there is no way to become a client there, or it refuses the registration.
            ServerUnreachable: it does not answer.
        """
        if (known := self.pre_registered(metadata.issuer)) is not None:
            self._connection.recorder.guard(*known.secrets())
            return _as_understood(known, metadata)
        # Our document names no secret, and is for the flows in which a human decides.
        if isinstance(flow, HumanFlow) and metadata.client_id_metadata_documents and self._usable_document():
            return ClientIdentity(self._metadata_url or "", source="client ID metadata document")
        registered = self.registered(metadata, flow)
        if registered is not None:
            fits = not registered.scopes or set(scopes) <= set(registered.scopes)
            if fits and flow.grant_types[0] in (registered.grants or flow.grant_types):
                return registered
        if metadata.registration_endpoint is None:
            raise self._no_way(metadata)
        held = registered.scopes if registered is not None else ()
        identity = self._connection.http(
            lambda http: register(
                http,
                metadata,
                flow,
                server=self._connection.endpoint(),
                name=self._name,
                redirect_uri=redirect_uri,
                scopes=union(held, scopes),
            )
        )
        self._connection.recorder.guard(*identity.secrets())
        self._store.at(metadata.issuer).keep(self._kept_in(flow), identity.to_json())
        self._note(metadata.issuer)
        return identity

    def pre_registered(self, issuer: str) -> ClientIdentity | None:
        """Who the agent is at an authorization server where somebody has registered it, None elsewhere."""
        known = self._known
        if known is None or known.issuer is None or same_identifier(known.issuer, issuer):
            return known
        return None

    def known_at(self, issuer: str) -> bool:
        """Whether the agent is a client of the authorization server with this issuer already."""
        if self._known is not None and self._known.issuer is not None:
            return same_identifier(self._known.issuer, issuer)
        there = self._store.at(issuer)
        return any(there.kept(self._kept_in(flow)) is not None for flow in self._flows)

    def forget(self, issuer: str, flow: LoginFlow) -> None:
        """Forget a registration that the authorization server may no longer know."""
        self._store.at(issuer).delete(self._kept_in(flow))

    def forget_at(self, issuer: str) -> None:
        """Forget every registration at an authorization server, and what was learned of it."""
        for flow in self._flows:
            self.forget(issuer, flow)
            self.learn(issuer, flow, None)

    def forget_all(self) -> None:
        """The same wherever the agent registered for this server."""
        for issuer in self._issuers():
            self.forget_at(issuer)
        self._store.delete(f"{ISSUERS} {self._slot}")

    def refused(self, metadata: AuthorizationServerMetadata, flow: LoginFlow) -> str | None:
        """Why an authorization server has refused a flow to what the agent registers there, None as far as is known."""
        if self.pre_registered(metadata.issuer) is not None:
            return None
        return self._store.at(metadata.issuer).kept(self._refusal_in(flow))

    def learn(self, issuer: str, flow: LoginFlow, why_not: str | None) -> None:
        """Keep why an authorization server refuses a flow to what the agent registers there; None where it does not."""
        if why_not is None:
            self._store.at(issuer).delete(self._refusal_in(flow))
        elif self.pre_registered(issuer) is None:
            self._store.at(issuer).keep(self._refusal_in(flow), why_not)
            self._note(issuer)

    def _kept_in(self, flow: LoginFlow) -> str:
        return f"client {self._slot} {flow.name}"

    def _refusal_in(self, flow: LoginFlow) -> str:
        return f"{NOT_BY} {flow.name} {self._slot}"

    def _issuers(self) -> tuple[str, ...]:
        return tuple((self._store.kept(f"{ISSUERS} {self._slot}") or "").split())

    def _note(self, issuer: str) -> None:
        """Keep, under the server's own name, where something of the agent's is kept."""
        if issuer not in (known := self._issuers()):
            self._store.keep(f"{ISSUERS} {self._slot}", " ".join((*known, issuer)))

    def _usable_document(self) -> bool:
        where = origin(self._metadata_url or "")
        if where is None:
            return False
        # An authorization server elsewhere cannot fetch a document from this machine.
        home = origin(self._connection.server)
        return not is_loopback(where[1]) or (home is not None and is_loopback(home[1]))

    def registered(self, metadata: AuthorizationServerMetadata, flow: LoginFlow) -> ClientIdentity | None:
        """The registration kept for a flow at an authorization server, None where there is none."""
        text = self._store.at(metadata.issuer).kept(self._kept_in(flow))
        if text is None:
            return None
        try:
            found = ClientIdentity.from_json(text)
        except ValueError:
            return None
        if found.issuer != metadata.issuer or (found.secret_until is not None and found.secret_until <= time.time()):
            return None
        self._connection.recorder.guard(*found.secrets())
        return found

    def _no_way(self, metadata: AuthorizationServerMetadata) -> OAuthRefused:
        documents = "no client ID metadata documents"
        if metadata.client_id_metadata_documents:
            documents = "client ID metadata documents, but ours is not hosted where it can be fetched"
        elsewhere = ""
        if self._known is not None:
            elsewhere = f"; the client that was named is for {self._known.issuer} and is not shown to it"
        return OAuthRefused(
            f"this agent is no client of {metadata.issuer}",
            oauth_error="unsupported",
            why=f"it offers {documents} and no dynamic registration (RFC 7591){elsewhere}",
            do="register the client by hand there, and say who it is, with its issuer",
            remedy=Remedy("register_client"),
        )


def _as_understood(known: ClientIdentity, metadata: AuthorizationServerMetadata) -> ClientIdentity:
    """The same client, its secret sent in the way that the authorization server takes it in."""
    offered = metadata.token_endpoint_auth_methods_supported
    if known.secret is None:
        return known
    other: AuthMethod = "client_secret_post" if known.method == "client_secret_basic" else "client_secret_basic"
    if offered and known.method not in offered:
        return replace(known, method=other) if other in offered else known
    # Many hold a client to the one method that it was registered for, and the settings do not say which that was.
    return replace(known, other_method=other) if not offered or other in offered else known
