"""What to do after a refusal, a bounded number of times: renew, log in, or ask the human for one thing more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from deputize.evidence import AuthorizationServerMetadata, Challenge
from deputize.http.errors import OAuthRefused
from deputize.http.sanitizing import safe_text
from deputize.oauth.authorizer import Authorizer
from deputize.oauth.challenge import OFFLINE, remediation_of, scopes_of, scopes_wanted, union
from deputize.tokens.stored import StoredToken

LOGINS = 3
"""Times that one request may send somebody to a human; a server that is never content must not make it more."""

Obtain = Callable[[tuple[str, ...]], StoredToken]
"""Gets a token for these scopes, from a human or otherwise; none means whatever is granted by default."""

Approve = Callable[[tuple[dict[str, Any], ...], tuple[str, ...]], StoredToken]
"""Gets a token for these authorization details (RFC 9396) and scopes: for the one request that was refused, and not to
be kept. The details are the server's words; they are the human's to judge, on the authorization server's page."""


class StepUp:
    """Answers refusals of one request.

    Args:
        authorizer: the authorizer of this agent.
        obtain: a login; None: nobody is asked for more scopes.
        approve: the approval of a single request; None: nobody is asked for one.
    """

    def __init__(self, authorizer: Authorizer, obtain: Obtain | None, approve: Approve | None = None) -> None:
        self._authorizer = authorizer
        self._obtain = obtain
        self._approve = approve
        self._logins = 0
        self._renewed = False

    def held(self) -> StoredToken | None:
        """The stored token to begin with, renewed when it is due; None where there is none that is of any use.

        Raises:
            AuthorizationRefused: it cannot be renewed, and nobody would log in.
            ServerUnreachable: the authorization server does not answer.
        """
        if self._authorizer.credentials.stored() is None:
            return None
        try:
            return self._authorizer.credentials.token()
        except OAuthRefused:
            if self._obtain is None:
                raise
            return None  # it cannot be renewed: the server's own challenge says how to begin afresh

    def after(self, status: int | None, challenge: Challenge | None, used: StoredToken | None) -> StoredToken | None:
        """The token to try again with, or None where the refusal is the answer.

        Args:
            status: of the refusal.
            challenge: in it; a 401 without one counts as one that says nothing.
            used: the token that was refused, None for none.

        Raises:
            AuthorizationRefused: no login is possible, or the human said no.
            ServerUnreachable: the authorization server does not answer.
        """
        if status == 401:
            return self._unauthorized(challenge or Challenge(401, "", ()), used)
        if status == 403 and challenge is not None and challenge.get("error") == "insufficient_scope":
            return self._insufficient_scope(challenge, used)
        if status == 403 and challenge is not None and challenge.get("error") == "insufficient_authorization":
            return self._insufficient_authorization(challenge)
        return None

    def _insufficient_authorization(self, challenge: Challenge) -> StoredToken | None:
        """A token for this one request, once: who was asked and said yes is not asked again for the same.

        Raises:
            AuthorizationRefused: the authorization server cannot be asked for such details.
        """
        details, approve = remediation_of(challenge), self._approve
        if approve is None or not details:
            return None
        self._approve = None
        metadata, _ = self._follow(challenge)
        known = metadata.authorization_details_types_supported
        if missing := [str(one["type"]) for one in details if one["type"] not in known]:
            raise OAuthRefused(
                "this call needs an approval that the authorization server cannot give",
                oauth_error="unsupported",
                why=f"{metadata.issuer} does not list {safe_text(missing[0], one_line=True)} among its"
                " authorization_details_types_supported (RFC 9396 section 10)",
                do="ask the server's operator how such a call is approved",
            )
        return approve(details, scopes_of(challenge))

    def _unauthorized(self, challenge: Challenge, used: StoredToken | None) -> StoredToken | None:
        if self._obtain is None:
            return None
        # Asked again each time: a server may have moved to another authorization server, and then nothing of the old
        # one counts.
        followed = self._authorizer.discovery.follow(challenge)
        metadata = self._authorizer.discovery.settled(followed)
        if used is not None and not self._renewed and used.issuer == metadata.issuer:
            self._renewed = True
            if not used.token_endpoint:  # it comes from a store that has no place for that
                self._authorizer.credentials.keep(replace(used, token_endpoint=metadata.token_endpoint))
            try:
                return self._authorizer.credentials.refresh(instead_of=used.access_token)
            except OAuthRefused:
                pass  # nothing to renew with: a login it is
        return self._login(scopes_wanted(followed, metadata))

    def _insufficient_scope(self, challenge: Challenge, used: StoredToken | None) -> StoredToken | None:
        held = used.scope if used is not None else ()
        named, metadata = scopes_of(challenge), None
        if not named:
            # A challenge need not name them (RFC 6750 section 3.1); then all that the resource knows is what there is.
            metadata, named = self._follow(challenge)
        wanted = union(held, named)
        if set(wanted) == set(held):
            return None  # it has every scope that the server names: asking the human again would change nothing
        if metadata is None:
            metadata, _ = self._follow(challenge)
        if used is not None and used.refresh_token is not None and OFFLINE in metadata.scopes_supported:
            wanted = union(wanted, (OFFLINE,))  # not every authorization server repeats it in `scope`
        return self._login(wanted)

    def _follow(self, challenge: Challenge) -> tuple[AuthorizationServerMetadata, tuple[str, ...]]:
        """The authorization server that a challenge leads to, and the scopes that the resource's metadata lists."""
        followed = self._authorizer.discovery.follow(challenge)
        listed = followed.resource.scopes_supported if followed.resource is not None else ()
        return self._authorizer.discovery.settled(followed), listed

    def _login(self, wanted: tuple[str, ...]) -> StoredToken | None:
        if self._obtain is None or self._logins == LOGINS:
            return None
        self._logins += 1
        return self._obtain(wanted)
