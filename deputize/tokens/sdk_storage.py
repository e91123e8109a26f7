"""The MCP SDK's `TokenStorage` (mcp.client.auth) as a store of ours, and a store of ours as the SDK's."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar
from weakref import WeakKeyDictionary

from deputize.errors import UsageError
from deputize.http.callers import settled
from deputize.http.origins import Origin, origin
from deputize.tokens.identity import METHODS, AuthMethod, ClientIdentity
from deputize.tokens.store import MemoryStore, Store
from deputize.tokens.stored import LONGEST, StoredToken

if TYPE_CHECKING:
    from mcp.client.auth import TokenStorage
    from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

T = TypeVar("T")

TOKENS, CLIENT = "sdk tokens", "sdk client"
_servers: WeakKeyDictionary[Any, Origin | None] = WeakKeyDictionary()
"""Of each `TokenStorage` the server whose token it keeps. The SDK's protocol has no place for that, and to another
server its token would be sent with the first request."""


def is_sdk_storage(store: Store | TokenStorage) -> TypeGuard[TokenStorage]:
    """Whether it is the SDK's kind of store."""
    return hasattr(store, "get_tokens")


class SdkStore:
    """A store that keeps an agent's token in an MCP SDK `TokenStorage`.

    That holds a bearer token, its refresh token and the client that they are for. What it has no place for lasts as
    long as the process: the key of a bound token, so that none is asked for (RFC 9449); when the token ends, so that it
    is used until the server refuses it; registrations at further authorization servers, and a login that waits for the
    human.

    Args:
        storage: the SDK's.
        slot: under which name the agent keeps its token.
    """

    def __init__(self, storage: TokenStorage, slot: str) -> None:
        self._storage = storage
        self._slot = slot
        self._rest = MemoryStore()

    def at(self, server: str) -> SdkStore | MemoryStore:
        """What it keeps for a server; of an authorization server it keeps nothing.

        Raises:
            UsageError: it keeps another server's token.
        """
        if self._rest.server:
            return self._rest.at(server)
        claim(self._storage, server)
        here = SdkStore(self._storage, self._slot)
        here._rest = self._rest.at(server)
        return here

    def get(self, slot: str) -> StoredToken | None:
        """The token."""
        held = self._rest.get(slot)
        if held is not None or slot != self._slot:
            return held
        tokens: OAuthToken | None = settled(self._storage.get_tokens())
        client: OAuthClientInformationFull | None = settled(self._storage.get_client_info())
        if tokens is None or not tokens.access_token or client is None:
            return None
        return StoredToken(
            access_token=tokens.access_token,
            refresh_token=tokens.refresh_token,
            expires_at=time.time() + LONGEST,
            end_told=False,
            scope=tuple((tokens.scope or "").split()),
            issuer=client.issuer or "",
            token_endpoint="",
            client_id=client.client_id,
            identity=_identity(client),
        )

    def put(self, slot: str, token: StoredToken) -> None:
        """Keep a token."""
        from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

        self._rest.put(slot, token)
        client = token.client
        about = {
            "client_id": client.client_id,
            "client_secret": client.secret,
            "token_endpoint_auth_method": client.method,
            "grant_types": list(client.grants),
            "redirect_uris": [client.redirect_uri] if client.redirect_uri else None,
            "issuer": token.issuer,
        }
        settled(self._storage.set_client_info(OAuthClientInformationFull.model_validate(about)))
        settled(
            self._storage.set_tokens(
                OAuthToken(
                    access_token=token.access_token,
                    refresh_token=token.refresh_token,
                    expires_in=max(0, int(token.expires_at - time.time())) if token.end_told else None,
                    scope=" ".join(token.scope) or None,
                )
            )
        )

    def kept(self, slot: str) -> str | None:
        """A secret text, as long as this process lasts."""
        return self._rest.kept(slot)

    def keep(self, slot: str, text: str) -> None:
        """Keep a secret text for as long as this process lasts."""
        self._rest.keep(slot, text)

    def delete(self, slot: str) -> None:
        """Forget what is in a slot. The SDK's protocol cannot forget, so that its token is one that opens nothing."""
        self._rest.delete(slot)
        if slot == self._slot:
            from mcp.shared.auth import OAuthToken

            settled(self._storage.set_tokens(OAuthToken(access_token="", expires_in=0)))

    def refreshing(self, slot: str) -> AbstractContextManager[None]:
        """Hold the right to renew a slot's token: one thread at a time."""
        return self._rest.refreshing(slot)


def claim(storage: TokenStorage, server: str) -> None:
    """Have a `TokenStorage` be this server's, for as long as it lives.

    Raises:
        UsageError: it is another's.
    """
    with suppress(TypeError):  # a storage that nobody can refer to weakly, or find again
        if _servers.setdefault(storage, origin(server)) != origin(server):
            raise UsageError(
                f"a TokenStorage is used for {server} that keeps another server's token",
                why="it has one place for a token, which would be sent to both servers",
                do="give each server a TokenStorage of its own, or use a TokenStore",
            )


class AsTokenStorage:
    """A store of ours for the MCP SDK's own OAuth client (`mcp.client.auth.TokenStorage`).

    Args:
        store: at the server, such as `TokenStore.open(folder, server=url)`.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get_tokens(self) -> OAuthToken | None:
        """The tokens."""
        from mcp.shared.auth import OAuthToken

        text = await _in_a_thread(lambda: self._store.kept(TOKENS))
        return None if text is None else OAuthToken.model_validate_json(text)

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Keep the tokens."""
        await _in_a_thread(lambda: self._store.keep(TOKENS, tokens.model_dump_json()))

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """The registered client."""
        from mcp.shared.auth import OAuthClientInformationFull

        text = await _in_a_thread(lambda: self._store.kept(CLIENT))
        return None if text is None else OAuthClientInformationFull.model_validate_json(text)

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Keep the registered client."""
        await _in_a_thread(lambda: self._store.keep(CLIENT, client_info.model_dump_json()))


def _identity(client: OAuthClientInformationFull) -> ClientIdentity:
    told: Any = client.token_endpoint_auth_method
    method: AuthMethod = told if told in METHODS else "client_secret_post" if client.client_secret else "none"
    return ClientIdentity(
        client.client_id,
        secret=client.client_secret,
        method=method,
        issuer=client.issuer,
        grants=tuple(client.grant_types),
        source="dynamic registration",
    )


async def _in_a_thread(work: Callable[[], T]) -> T:
    """A keyring may wait for its owner."""
    from anyio import to_thread

    return await to_thread.run_sync(work)
