"""One request to an authority's token endpoint, with what proves the client and, with DPoP, the key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from demo.client.fetch import Answer, fetch
from demo.client.oauth.dpop import ProofKey
from demo.client.oauth.identity import ClientIdentity
from demo.client.refusal import OAuthRefused, overloaded
from demo.errors import ServerUnreachable

if TYPE_CHECKING:
    import httpx2


async def ask(
    client: httpx2.AsyncClient,
    endpoint: str,
    form: list[tuple[str, str]],
    *,
    server: str,
    issuer: str,
    identity: ClientIdentity,
    key: ProofKey | None = None,
) -> Answer:
    """Send a form as a client that the authority knows (RFC 6749 section 3.2).

    A nonce that the authority wants in the proof is taken up, once (RFC 9449 section 8).

    Args:
        server: the MCP server on whose behalf it goes out.
        issuer: the authority's identifier, which a client assertion is for.
        identity: whose request it is.
        key: the key to bind the token to; None for a bearer token.

    Raises:
        ServerUnreachable: as `fetch`.
    """
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
    return answer


def refused(answer: Answer, what: str, do: str) -> OAuthRefused | ServerUnreachable:
    """An OAuth error answer as an error for a person; a server's own trouble is no refusal."""
    if answer.status == 429 or answer.status >= 500:
        return overloaded(answer.url, answer.status, answer.oauth_why, answer.retry_after)
    code, words = answer.oauth_error, answer.oauth_why
    if not code:
        http = f"HTTP {answer.status}"
        return OAuthRefused(
            what, oauth_error=f"http_{answer.status}", why=http if words == http else f"{http}: {words}", do=do
        )
    return OAuthRefused(what, oauth_error=code, why=f"{code}: {words}", do=do)
