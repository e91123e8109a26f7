"""Client ID metadata documents: a client that is known by the URL of its own description (MCP 2026-07-28,
draft-ietf-oauth-client-id-metadata-document)."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.concurrency import run_in_threadpool

from ..context import Context
from ..requests import Rate
from .client import is_fresh, save_client
from .document_fetch import Document, DocumentRefused, Fetcher, is_client_url
from .metadata import ClientMetadata, InvalidClientMetadata, InvalidRedirectUri, read_metadata

FETCHES_A_MINUTE = 30
"""For one address."""


class ClientDocuments:
    """Makes sure that a client's document was read, before its human is asked.

    Looked at where a client asks for a grant: at the authorization and device authorization endpoints. What it
    redeems and refreshes afterwards is judged by what its document said then, so a token request fetches nothing.
    """

    def __init__(self, context: Context, grant_types: Sequence[str], fetcher: Fetcher | None = None) -> None:
        self._context = context
        self._grant_types = grant_types
        self._fetcher = Fetcher(context.own_origins) if fetcher is None else fetcher
        self._rate = Rate("client-document", FETCHES_A_MINUTE)

    async def ensure(self, client_id: str, address: str) -> None:
        """Read the document of `client_id` if that is its URL and it was not read lately; else do nothing.

        Args:
            client_id: as the request names it.
            address: who asks, by network address.

        Raises:
            DocumentRefused: it cannot be fetched, or does not describe a client that we can serve. Nothing of it is
                kept then, and what an earlier one said does not count any more for this request.
        """
        if not is_client_url(client_id) or await run_in_threadpool(self._is_fresh, client_id):
            return
        self._fetcher.check_url(client_id)
        if (wait := self._rate.hit(address)) is not None:
            raise DocumentRefused(f"too many documents were asked for; wait {wait} seconds")
        document = await self._fetcher.fetch(client_id)
        metadata = described(client_id, document, self._grant_types)
        if not await run_in_threadpool(self._keep, client_id, metadata, document.fresh_seconds):
            raise DocumentRefused("there is no room for another client")

    def _is_fresh(self, client_id: str) -> bool:
        with self._context.store.transaction(write=False) as connection:
            return is_fresh(connection, client_id, self._context.now())

    def _keep(self, client_id: str, metadata: ClientMetadata, seconds: float) -> bool:
        now = self._context.now()
        with self._context.store.transaction() as connection:
            return save_client(connection, client_id, metadata, source="document", fresh_until=now + seconds, now=now)


def described(client_id: str, document: Document, grant_types: Sequence[str]) -> ClientMetadata:
    """The client that a document describes, which may use these grant types at most.

    Raises:
        DocumentRefused: it is another client's, has a secret (which everybody could read), or is no valid metadata.
    """
    given = document.content
    if given.get("client_id") != client_id:
        raise DocumentRefused("its client_id is not the URL that it was fetched from")
    if any(given.get(name) is not None for name in ("client_secret", "client_secret_expires_at")):
        raise DocumentRefused("it has a client secret, which is none where everybody reads it")
    try:
        return read_metadata(given, supported=grant_types, auth_methods=("none",), default_auth_method="none")
    except (InvalidClientMetadata, InvalidRedirectUri) as error:
        raise DocumentRefused(error.description) from error
