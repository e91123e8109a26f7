"""Who the agent is at an authority: pre-registered, by a document of its own, or now, by itself."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Literal, cast

from demo.client.http.connection import Connection
from demo.client.http.errors import GrantNotAllowed, OAuthRefused
from demo.client.http.fetch import Answer, fetch
from demo.client.http.origins import origin
from demo.client.http.sanitizing import safe_text
from demo.client.oauth.challenge import union
from demo.client.oauth.device import GRANT as DEVICE_GRANT
from demo.client.oauth.metadata import same_identifier
from demo.client.oauth.token_endpoint import refused
from demo.client.tokens.identity import METHODS, AuthMethod, ClientIdentity
from demo.client.tokens.store import ISSUERS, NOT_BY, Store
from demo.client.tokens.stored import number
from demo.evidence import AuthorityMetadata
from demo.net import is_loopback

Flow = Literal["device", "browser", "machine"]
REFRESH = "refresh_token"
GRANTS: dict[Flow, tuple[str, ...]] = {
    "device": (DEVICE_GRANT, "refresh_token"),
    "browser": ("authorization_code", "refresh_token"),
    "machine": ("client_credentials",),
}
"""What each flow registers for, its own first: an authorization server refuses a client other grants (RFC 7591)."""


class Registrar:
    """Finds out who the agent is, in the order of MCP 2026-07-28 (authorization, client registration approaches).

    Args:
        connection: registrations go over it.
        shelf: what was registered is kept here, under the authority's issuer, and shown to no other.
        slot: the agent's name in the store.
        name: its name, for the human at the consent page.
        known: who it is where it is pre-registered; with an `issuer`, at that authority only.
        metadata_url: where our client ID metadata document is hosted, None where it is not.
    """

    def __init__(
        self,
        connection: Connection,
        shelf: Store,
        *,
        slot: str,
        name: str,
        known: ClientIdentity | None,
        metadata_url: str | None,
    ) -> None:
        self._connection = connection
        self._shelf = shelf
        self._slot = slot
        self._name = name
        self._known = known
        self._metadata_url = metadata_url
        if known is not None and known.secrets() and known.issuer is None:
            raise ValueError("an identity with a secret names the issuer that may see it")

    def identify(
        self,
        authority: AuthorityMetadata,
        flow: Flow,
        *,
        redirect_uri: str | None = None,
        scopes: tuple[str, ...] = (),
        grants: tuple[str, ...] | None = None,
    ) -> ClientIdentity:
        """The identity for a flow at an authority; registered now where it has none yet.

        Args:
            redirect_uri: for a registration, where the browser will come back to.
            scopes: what it will ask for; some authorities refuse a client what it was not registered with.
            grants: the grant types to register for; those of the flow by default.

        Raises:
            GrantNotAllowed: it is registered there, and not for this flow's grant.
            OAuthRefused: there is no way to become a client there, or it refuses the registration.
            ServerUnreachable: it does not answer.
        """
        if (known := self.pre_registered(authority.issuer)) is not None:
            self._connection.recorder.guard(*known.secrets())
            return _as_understood(known, authority)
        grants = grants or GRANTS[flow]
        # Our document names no secret, and a client without one has no credentials of its own to get a token by.
        if flow != "machine" and authority.client_id_metadata_documents and self._usable_document():
            return ClientIdentity(self._metadata_url or "", source="client ID metadata document")
        registered = self.registered(authority, flow)
        fits = registered is not None and (not registered.scopes or set(scopes) <= set(registered.scopes))
        if registered is not None and fits and set(grants[:1]) <= set(registered.grants or grants):
            return registered
        if authority.registration_endpoint is None:
            raise self._no_way(authority)
        held = registered.scopes if registered is not None else ()
        return self._register(authority, flow, redirect_uri, union(held, scopes), grants)

    def pre_registered(self, issuer: str) -> ClientIdentity | None:
        """Who the agent is at an authority where somebody has registered it, None elsewhere."""
        known = self._known
        if known is None or known.issuer is None or same_identifier(known.issuer, issuer):
            return known
        return None

    def known_at(self, issuer: str) -> bool:
        """Whether the agent is a client of the authorization server with this issuer already."""
        if self._known is not None and self._known.issuer is not None:
            return same_identifier(self._known.issuer, issuer)
        return any(self._shelf.at(issuer).kept(f"client {self._slot} {flow}") is not None for flow in GRANTS)

    def forget(self, issuer: str, flow: Flow) -> bool:
        """Forget a registration that the authority may no longer know; whether there was one."""
        shelf = self._shelf.at(issuer)
        slot = f"client {self._slot} {flow}"
        there = shelf.kept(slot) is not None
        shelf.delete(slot)
        return there

    def forget_at(self, issuer: str) -> None:
        """Forget every registration at an authorization server, and what was learned of it."""
        for flow in GRANTS:
            self.forget(issuer, flow)
        self.learn_grant(issuer, "device", None)

    def forget_all(self) -> None:
        """The same wherever the agent registered for this server."""
        for issuer in self._issuers():
            self.forget_at(issuer)
        self._shelf.delete(f"{ISSUERS} {self._slot}")

    def refused_grant(self, authority: AuthorityMetadata, flow: Flow) -> str | None:
        """Why the agent's registration at an authorization server cannot use a flow there, None as far as is known."""
        if self.pre_registered(authority.issuer) is not None:
            return None
        return self._shelf.at(authority.issuer).kept(f"{NOT_BY} {flow} {self._slot}")

    def learn_grant(self, issuer: str, flow: Flow, why_not: str | None) -> None:
        """Keep why an authorization server refuses a flow to what the agent registers there; None where it does not."""
        shelf, slot = self._shelf.at(issuer), f"{NOT_BY} {flow} {self._slot}"
        if why_not is None:
            shelf.delete(slot)
        else:
            shelf.keep(slot, why_not)
            self._note(issuer)

    def _issuers(self) -> tuple[str, ...]:
        return tuple((self._shelf.kept(f"{ISSUERS} {self._slot}") or "").split())

    def _note(self, issuer: str) -> None:
        """Keep, under the server's own name, where something of the agent's is kept."""
        if issuer not in (known := self._issuers()):
            self._shelf.keep(f"{ISSUERS} {self._slot}", " ".join((*known, issuer)))

    def _usable_document(self) -> bool:
        where = origin(self._metadata_url or "")
        if where is None:
            return False
        # An authority elsewhere cannot fetch a document from this machine.
        home = origin(self._connection.server)
        return not is_loopback(where[1]) or (home is not None and is_loopback(home[1]))

    def registered(self, authority: AuthorityMetadata, flow: Flow) -> ClientIdentity | None:
        """The registration kept for a flow at an authority, None where there is none."""
        text = self._shelf.at(authority.issuer).kept(f"client {self._slot} {flow}")
        if text is None:
            return None
        try:
            found = ClientIdentity.from_json(text)
        except ValueError:
            return None
        if found.issuer != authority.issuer or (found.secret_until is not None and found.secret_until <= time.time()):
            return None
        self._connection.recorder.guard(*found.secrets())
        return found

    def _register(
        self,
        authority: AuthorityMetadata,
        flow: Flow,
        redirect_uri: str | None,
        scopes: tuple[str, ...],
        grants: tuple[str, ...],
    ) -> ClientIdentity:
        endpoint = authority.registration_endpoint
        assert endpoint is not None
        asked: dict[str, Any] = {
            "client_name": self._name,
            "application_type": "native",
            "grant_types": list(grants),
            "response_types": ["code"] if flow == "browser" else [],
            # Whose own credentials are the grant needs some (RFC 6749 section 4.4).
            "token_endpoint_auth_method": _method(authority, confidential="client_credentials" in grants),
        }
        if redirect_uri is not None:
            asked["redirect_uris"] = [redirect_uri]
        if scopes:
            asked["scope"] = " ".join(scopes)
        answer = self._send(endpoint, asked)
        if answer.status == 400 and scopes and "scope" in answer.oauth_why.lower():
            # The resource may list more than its authorization server registers clients for; a registration that names
            # none gets those of its default (RFC 7591 section 2), and what is asked for is decided at the login.
            del asked["scope"]
            scopes, answer = (), self._send(endpoint, asked)
        if (
            answer.status == 400
            and REFRESH in grants[1:]
            and REFRESH not in authority.grant_types_supported
            and "grant" in answer.oauth_why.lower()
        ):
            # One that gives no refresh tokens may refuse a registration that names their grant type.
            grants = tuple(grant for grant in grants if grant != REFRESH)
            answer = self._send(endpoint, asked | {"grant_types": list(grants)})
        if answer.status not in (200, 201) or answer.json is None:
            error = refused(
                answer,
                f"{authority.issuer} does not register this client",
                "register it by hand there, and name it in demo.toml: [client] id = ...",
            )
            if flow == "device" and isinstance(error, OAuthRefused) and answer.status not in (401, 403):
                # Many servers refuse a registration that names a grant type they do not give to everybody.
                raise GrantNotAllowed(error.what, oauth_error=error.oauth_error, why=error.why, do=error.do)
            raise error
        identity = _read_registration(answer.json, authority, redirect_uri, scopes)
        given = answer.json.get("grant_types")
        if isinstance(given, list) and given and grants[0] not in given:
            # What the client may do is what the answer says (RFC 7591 section 3.2.1).
            raise GrantNotAllowed(
                f"{authority.issuer} registers this client without the grant type {grants[0]}",
                oauth_error="unauthorized_client",
                why="its registration names others: " + safe_text(", ".join(map(str, given)), one_line=True),
                do="register it by hand there, and name it in demo.toml: [client] id = ...",
            )
        identity = replace(identity, grants=grants)
        self._connection.recorder.guard(*identity.secrets())
        self._shelf.at(authority.issuer).keep(f"client {self._slot} {flow}", identity.to_json())
        self._note(authority.issuer)
        return identity

    def _send(self, endpoint: str, asked: dict[str, Any]) -> Answer:
        return self._connection.http(
            lambda http: fetch(http, "POST", endpoint, server=self._connection.endpoint(), body=asked)
        )

    def _no_way(self, authority: AuthorityMetadata) -> OAuthRefused:
        documents = "no client ID metadata documents"
        if authority.client_id_metadata_documents:
            documents = "client ID metadata documents, but ours is not hosted where it can be fetched"
        elsewhere = ""
        if self._known is not None:
            elsewhere = f"; the client in demo.toml is for {self._known.issuer} and is not shown to it"
        return OAuthRefused(
            f"this agent is no client of {authority.issuer}",
            oauth_error="unsupported",
            why=f"it offers {documents} and no dynamic registration (RFC 7591){elsewhere}",
            do="register the agent there by hand, and name it in demo.toml: [client] id = ... and issuer = ...",
        )


def _as_understood(known: ClientIdentity, authority: AuthorityMetadata) -> ClientIdentity:
    """The same client, its secret sent in the way that the authority takes it in."""
    offered = authority.token_endpoint_auth_methods_supported
    if known.secret is None:
        return known
    other: AuthMethod = "client_secret_post" if known.method == "client_secret_basic" else "client_secret_basic"
    if offered and known.method not in offered:
        return replace(known, method=other) if other in offered else known
    # Many hold a client to the one method that it was registered for, and the settings do not say which that was.
    return replace(known, other_method=other) if not offered or other in offered else known


def _method(authority: AuthorityMetadata, *, confidential: bool) -> AuthMethod:
    """What a native client asks for: no secret where that is possible (RFC 8252 section 8.4).

    Args:
        confidential: whether it needs a secret.
    """
    offered = authority.token_endpoint_auth_methods_supported
    if not confidential and (not offered or "none" in offered):
        return "none"
    # The form holds both halves as they are; implementations differ in how they decode a Basic header.
    return "client_secret_post" if "client_secret_post" in offered else "client_secret_basic"


def _read_registration(
    given: dict[str, Any],
    authority: AuthorityMetadata,
    redirect_uri: str | None,
    scopes: tuple[str, ...],
) -> ClientIdentity:
    client_id, secret = given.get("client_id"), given.get("client_secret")
    method = given.get("token_endpoint_auth_method") or None
    if method is None and secret:
        # The default of a client with a secret (RFC 7591 section 2), unless only the other way is offered.
        offered = authority.token_endpoint_auth_methods_supported
        only_post = "client_secret_post" in offered and "client_secret_basic" not in offered
        method = "client_secret_post" if only_post else "client_secret_basic"
    elif method is None:
        method = "none"
    if not isinstance(client_id, str) or not client_id:
        raise _unusable("it names no client_id (RFC 7591 section 3.2.1)")
    if method not in METHODS or method == "private_key_jwt":
        raise _unusable(f"it wants {safe_text(str(method), one_line=True)}, which was not asked for")
    until = number(given.get("client_secret_expires_at"))
    has_secret = isinstance(secret, str) and bool(secret)
    if method != "none" and not has_secret:
        raise _unusable(f"it wants {method} and gives no client_secret")
    return ClientIdentity(
        client_id,
        secret=secret if method != "none" else None,
        method=cast(AuthMethod, method),
        issuer=authority.issuer,
        redirect_uri=redirect_uri,
        scopes=scopes,
        secret_until=until or None,  # 0 means never (RFC 7591 section 3.2.1)
        source="dynamic registration",
    )


def _unusable(why: str) -> OAuthRefused:
    return OAuthRefused(
        "the authority's registration cannot be used", oauth_error="unsupported", why=why, do="check --server"
    )
