"""Client ID metadata documents: a client that is known by the URL of its own description (MCP 2026-07-28,
draft-ietf-oauth-client-id-metadata-document)."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.concurrency import run_in_threadpool

from ..context import Context
from ..requests import Rate
from .client import is_fresh, save_client
from .document_fetch import Document, DocumentOutOfReach, DocumentRefused, Fetcher, is_client_url
from .metadata import CODE, ClientMetadata, InvalidClientMetadata, InvalidRedirectUri, read_metadata
from .uris import leads_to_loopback

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

    async def ensure(self, client_id: str, address: str, returns_to: str | None = None) -> None:
        """Read the document of `client_id` if that is its URL and it was not read lately; else do nothing.

        Args:
            client_id: as the request names it.
            address: who asks, by network address.
            returns_to: the redirect URI of the request, None where it has none.

        Raises:
            DocumentRefused: it cannot be fetched, or does not describe a client that we can serve. Nothing of it is
                kept then, and what an earlier one said does not count any more for this request. Not raised where it
                is out of reach and can be done without: see `_without`.
        """
        if not is_client_url(client_id) or await run_in_threadpool(self._is_fresh, client_id):
            return
        self._fetcher.check_url(client_id)
        if (wait := self._rate.hit(address)) is not None:
            raise DocumentRefused(f"too many documents were asked for; wait {wait} seconds")
        try:
            document = await self._fetcher.fetch(client_id)
        except DocumentOutOfReach:
            if returns_to is None or not await run_in_threadpool(self._without, client_id, returns_to):
                raise
            return
        metadata = described(client_id, document, self._grant_types)
        if not await run_in_threadpool(self._keep, client_id, metadata, document.fresh_seconds):
            raise DocumentRefused("there is no room for another client")

    def _without(self, client_id: str, returns_to: str) -> bool:
        """Do without a document that nothing answers for, as on a stage without a network; whether that can be.

        Codex, Claude Code and VS Code name themselves by a document on the internet wherever that is offered. The draft
        would have such a request end (section 4.3, SHOULD). On this machine, between programs of this machine, nothing
        is gained by that: whoever asks with a redirect URI on loopback could as well register under any name. So
        there, and nowhere else, what the document said when it was last read still counts; or, where it never was
        read, the human is asked about a client of which nobody knows more than its URL, and is told so.
        """
        if not self._context.on_loopback or not leads_to_loopback(returns_to):
            return False
        now = self._context.now()
        with self._context.store.transaction() as connection:
            known = connection.execute("SELECT source FROM oauth_clients WHERE client_id = ?", (client_id,)).fetchone()
            if known is not None and known["source"] == "document":
                return True
            name = client_id.removeprefix("https://")
            metadata = ClientMetadata(name, (returns_to,), (CODE, "refresh_token"), "none", "native", ())
            return save_client(connection, client_id, metadata, source="unread", fresh_until=now, now=now)

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
