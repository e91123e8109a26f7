"""An agent hands on less than it has: its own access token for a sub-agent's, by token exchange (RFC 8693)."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from deputize.errors import Remedy
from deputize.evidence import Money
from deputize.http.errors import OAuthRefused
from deputize.oauth import token_endpoint
from deputize.oauth.dpop import ProofKey
from deputize.oauth.machine_flow import TOKEN_EXCHANGE
from deputize.tokens.stored import StoredToken, read_token_response, spending_detail

if TYPE_CHECKING:
    import httpx2

ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"
JWT: Final = "urn:ietf:params:oauth:token-type:jwt"
"""Section 3."""


_TOO_MUCH: Final = frozenset({"invalid_scope", "invalid_authorization_details", "invalid_target"})
_NOT_THERE: Final = frozenset({"unsupported_grant_type", "unauthorized_client"})


@dataclass(frozen=True)
class Handed:
    """What is handed on, and to whom.

    Args:
        name: what the sub-agent calls itself.
        key: its own, which the new token is bound to.
        scopes: some of those that the agent has.
        spending: no more than the agent may spend; None where the sub-agent does not buy.
    """

    name: str
    key: ProofKey
    scopes: tuple[str, ...]
    spending: Money | None = None


async def exchange(http: httpx2.AsyncClient, parent: StoredToken, to: Handed, *, server: str) -> StoredToken:
    """The sub-agent's token, made from that of the agent above.

    Raises:
        OAuthRefused: the authorization server hands nothing on, or not so much.
        ServerUnreachable: it does not answer.
    """
    form = [
        ("grant_type", TOKEN_EXCHANGE),
        ("requested_token_type", ACCESS_TOKEN),
        ("subject_token", parent.access_token),
        ("subject_token_type", ACCESS_TOKEN),
        ("actor_token", to.key.actor_token(parent.issuer, to.name)),
        ("actor_token_type", JWT),
        ("scope", " ".join(to.scopes)),
    ]
    if parent.resource is not None:
        form.append(("resource", parent.resource))
        if to.spending is not None:
            form.append(("authorization_details", json.dumps([spending_detail(to.spending, parent.resource)])))
    answer = await token_endpoint.ask(
        http,
        parent.token_endpoint,
        form,
        server=server,
        issuer=parent.issuer,
        identity=parent.client,
        # The proof is of the agent's own key, since it is the agent's token that is exchanged.
        key=ProofKey.from_json(parent.dpop_key) if parent.dpop_key else None,
    )
    if not answer.granted or answer.json is None:
        error = token_endpoint.refused(answer, f"{parent.issuer} hands nothing on to {to.name}", "")
        if isinstance(error, OAuthRefused):
            error.do, error.remedy = _helps(error.oauth_error)
        raise error
    token = read_token_response(
        answer.json,
        received_at=time.time(),
        issuer=parent.issuer,
        token_endpoint=parent.token_endpoint,
        identity=answer.identity,
        resource=parent.resource,
        scope=to.scopes,
        dpop_key=to.key.to_json(),
        human=parent.human,
    )
    return replace(token, refresh_token=None)


def _helps(code: str) -> tuple[str, Remedy | None]:
    """What helps against an error of an exchange (RFC 8693 section 2.2.2)."""
    if code in _TOO_MUCH:  # no login helps who asks for more than there is
        return "hand on less: some of the scopes, and of the limit, that the agent itself has", None
    if code in _NOT_THERE:
        return "use an authorization server where this client may exchange tokens (RFC 8693)", None
    # `invalid_request` is all that the standard has for what was revoked, and for what may not be exchanged.
    return "where the agent's own grant has ended, log in again, and hand on again", Remedy("log_in")
