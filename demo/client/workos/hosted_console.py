"""The human's console where AuthKit signs in: consents are ended at WorkOS, agents refused at the shop."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from demo.client.human.console import Console
from demo.client.workos.people import People
from demo.client.workos.tenant import Tenant
from demo.evidence.grants import SessionView
from deputize.errors import AuthorizationRefused, UsageError
from deputize.tokens.identity import ClientIdentity
from deputize.tokens.stored import StoredToken

if TYPE_CHECKING:
    from deputize.tokens.store import TokenStore


class HostedConsole(Console):
    """The human in control at a shop whose authorization server is AuthKit.

    Its one token is for the shop's admin route (`BASE/admin`), from a login of the human's own (`demo login
    --console`). Suspending and reinstating are the shop's alone, at once; ending a session ends the consent at WorkOS
    as well, so that nothing is renewed.

    Args:
        server, store, timeout: as `Console`.
        issuer: the AuthKit domain.
        client: the console's Connect application, which the shop has among its console clients.
        tenant: the WorkOS environment in which consents are listed and ended.
    """

    def __init__(
        self,
        server: str,
        *,
        store: TokenStore,
        issuer: str,
        client: ClientIdentity,
        tenant: Tenant,
        timeout: float = 15.0,
    ) -> None:
        super().__init__(server, store=store, issuer=issuer, client=client, timeout=timeout)
        self._people = People(tenant)
        self._verified: tuple[str, str] | None = None

    @cached_property
    def resource(self) -> str:
        """What a login of this console is for (RFC 8707).

        Raises:
            AuthorizationRefused: the shop trusts another authorization server than AuthKit: nobody signs in there as
                this console.
            UsageError: the shop has no admin route.
        """
        trusted = self.agent.authorization_server().issuer
        if trusted.rstrip("/") != self.issuer:
            raise _another(trusted, self.issuer)
        if self.admin is None:
            raise UsageError(
                f"{self.shop} has no admin route for a human's console",
                why="it publishes no metadata for one (RFC 9728)",
                do="deploy the shop of this project: demo deploy",
            )
        return self.admin

    def signed_in(self) -> bool:
        """Whether there is a token of AuthKit's that it still renews, or that has not ended yet."""
        try:
            return bool(self._token_for(self.resource).access_token)
        except (AuthorizationRefused, UsageError):
            return False

    def sessions(self) -> tuple[SessionView, ...]:
        """The consents that stand, as WorkOS lists them: at AuthKit a token's `sid` is its consent. When each was given
        WorkOS does not say."""
        return tuple(
            SessionView(one.consent, one.consent, one.client_id, one.client_id, one.name, one.scopes, None, None)
            for one in self._people.grants(self._human())
        )

    def answers(self) -> None:
        """None: WorkOS lists no request that a human answered with no."""

    def revoke(self, kind: str, id: str) -> None:
        """Revoke a session, an agent or a user; None, since WorkOS does not say how shops came to know.

        Raises:
            AuthorizationRefused: the shop or WorkOS refuses.
        """
        human = self._human()
        self._at_shop("revoke", kind, id)
        if kind != "session":
            return
        grant = next((one for one in self._people.grants(human) if one.consent == id), None)
        if grant is not None:
            self._people.revoke_grant(human, grant.client_id)
        else:
            self._people.revoke(id)

    def reinstate(self, kind: str, id: str) -> bool:
        """Reinstate an agent or a user at the shop; whether it was revoked."""
        self._human()  # where nobody is signed in, or there is no admin route, that is said
        return self._at_shop("reinstate", kind, id)

    def _human(self) -> str:
        """Whose console it is, by a token that AuthKit's own keys verify: what is ended at WorkOS is this human's."""
        token = self._token_for(self.resource)
        if self._verified is None or self._verified[0] != token.access_token:
            seen = self.agent.view(token)
            human = seen.claim("sub")
            if human is None or seen.signature is None or seen.problems:
                why = "; ".join(seen.problems) or "its signature is not verified"
                raise AuthorizationRefused(
                    "the console's token does not hold", why=why, do="sign in again: demo login --console"
                )
            self._verified = (token.access_token, human)
        return self._verified[1]

    def _reading(self) -> StoredToken:
        return self._token_for(self.resource)

    def _token_for(self, resource: str) -> StoredToken:
        token = self.agent.token()
        if token.issuer.rstrip("/") != self.issuer:
            raise _another(token.issuer, self.issuer)
        return token


def _another(issuer: str, authkit: str) -> AuthorizationRefused:
    return AuthorizationRefused(
        "the human's console signs in at AuthKit only",
        why=f"this server's authorization server is {issuer}, and workos.authkit is {authkit}",
        do="deploy the shop with that authorization server (demo deploy --issuer), or fix workos.authkit",
    )
