"""One request to an authorization server's token endpoint, with what proves the client and, with DPoP, the key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deputize.errors import Remedy, ServerUnreachable
from deputize.http.errors import GrantNotAllowed, OAuthRefused, overloaded
from deputize.http.fetch import Answer, fetch
from deputize.oauth.dpop import ProofKey
from deputize.tokens.identity import ClientIdentity

if TYPE_CHECKING:
    import httpx2


NOT_BY_THIS_GRANT = ("unauthorized_client", "unsupported_grant_type")
"""Error codes that refuse the grant type, not the client or the human (RFC 6749 section 5.2)."""


@dataclass(frozen=True)
class ClientAnswer(Answer):
    """An answer, and as whom it was given: the client by the method that was taken."""

    identity: ClientIdentity


async def ask(
    client: httpx2.AsyncClient,
    endpoint: str,
    form: list[tuple[str, str]],
    *,
    server: str,
    issuer: str,
    identity: ClientIdentity,
    key: ProofKey | None = None,
) -> ClientAnswer:
    """Send a form as a client that the authorization server knows (RFC 6749 section 3.2).

    A nonce that the authorization server wants in the proof is taken up, once (RFC 9449 section 8). Where it refuses
    the client's method and there is another, that is tried, and the answer says as whom it was given.

    Args:
        server: the MCP server on whose behalf it goes out.
        issuer: the authorization server's identifier, which a client assertion is for.
        identity: whose request it is.
        key: the key to bind the token to; None for a bearer token.

    Raises:
        ServerUnreachable: as `fetch`.
    """
    answer = await _ask(client, endpoint, form, server=server, issuer=issuer, identity=identity, key=key)
    other = identity.otherwise()
    if answer.oauth_error != "invalid_client" or other is None:
        return answer
    again = await _ask(client, endpoint, form, server=server, issuer=issuer, identity=other, key=key)
    return answer if again.oauth_error == "invalid_client" else again


async def _ask(
    client: httpx2.AsyncClient,
    endpoint: str,
    form: list[tuple[str, str]],
    *,
    server: str,
    issuer: str,
    identity: ClientIdentity,
    key: ProofKey | None,
) -> ClientAnswer:
    for attempt in range(2):
        signed, authorization = identity.authenticate(form, audience=issuer)
        headers = {} if authorization is None else {"authorization": authorization}
        if key is not None:
            headers["dpop"] = key.proof("POST", endpoint)
        answer = await fetch(client, "POST", endpoint, server=server, form=signed, headers=headers)
        if key is None or not key.heard(endpoint, answer.headers.get("dpop-nonce")):
            break
        if attempt or answer.oauth_error != "use_dpop_nonce":
            break
    return ClientAnswer(**vars(answer), identity=identity)


def advice(
    code: str, identity: ClientIdentity | None, otherwise: str, remedy: Remedy | None = None
) -> tuple[str, Remedy | None]:
    """What helps against an error code (RFC 6749 sections 4.1.2.1 and 5.2, RFC 8707 section 2).

    Args:
        identity: as whom it was asked, where that is known.
        otherwise, remedy: what helps where the code says nothing in particular.
    """
    by_hand = identity is not None and identity.source == "pre-registered"
    if code == "invalid_target":
        return "name the resource that it takes, or none", Remedy("name_resource")
    if code == "invalid_scope":
        return "ask for scopes that it has", Remedy("log_in", scopes=("NAME",))
    if code in ("invalid_client", "unauthorized_client") and by_hand:
        return "check the client's id, secret and issuer, and what it may do there", Remedy("register_client")
    if code == "invalid_client" and identity is not None:
        return "log in again: the client registers again then", Remedy("log_in")
    return otherwise, remedy


def refused(
    answer: Answer, what: str, do: str, identity: ClientIdentity | None = None, *, remedy: Remedy | None = None
) -> OAuthRefused | ServerUnreachable:
    """An OAuth error answer as an error for a person; a server's own trouble is no refusal.

    Args:
        what, do, remedy: as in `ExplainedError`; the last two where the code says nothing better (`advice`).
        identity: as whom it was asked.
    """
    if answer.status == 429 or answer.status >= 500:
        return overloaded(answer.url, answer.status, answer.oauth_why, answer.retry_after)
    code, words = answer.oauth_error, answer.oauth_why
    if not code:
        http = f"HTTP {answer.status}"
        return OAuthRefused(
            what,
            oauth_error=f"http_{answer.status}",
            why=http if words == http else f"{http}: {words}",
            do=do,
            remedy=remedy,
        )
    why = f"{code}: {words}" if words != f"HTTP {answer.status}" else f"{code} (HTTP {answer.status})"
    kind = GrantNotAllowed if code in NOT_BY_THIS_GRANT else OAuthRefused
    do, remedy = advice(code, identity, do, remedy)
    return kind(what, oauth_error=code, why=why, do=do, remedy=remedy)
