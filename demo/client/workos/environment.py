"""Which WorkOS environment is meant, and by which key: the local server's, or one of a WorkOS account."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from demo.logins import token_store
from deputize.errors import EnvironmentNotReady
from deputize.tokens.store import Store

KEY_SLOT = "api_key"
LOCAL_FILE = "workos.json"
"""What the local server leaves in its state folder for the folder's owner."""


class AccountSettings(Protocol):
    """What is configured of an account (the `[workos]` table of demo.toml)."""

    @property
    def base_url(self) -> str:
        """Of WorkOS's API."""

    @property
    def api_key_env(self) -> str:
        """The variable that holds the API key."""

    @property
    def client_id(self) -> str | None:
        """The environment's client id."""

    @property
    def organization_id(self) -> str | None:
        """In which audit events are recorded and agents act."""


@dataclass(frozen=True)
class Environment:
    """One environment.

    Args:
        base_url: of its API.
        api_key: opens all of it; never shown.
        client_id: the environment's, which stands in the audience of agent tokens. Empty where nobody said.
        organization_id: in which audit events are recorded and agents act. Empty for the only one there is.
        local: whether it is the local server's.
    """

    base_url: str
    api_key: str = field(repr=False)
    client_id: str = ""
    organization_id: str = ""
    local: bool = False

    @classmethod
    def of_local(cls, base_url: str, state: Path) -> Environment:
        """The environment of the local server at `base_url`, by the key in its state folder.

        Raises:
            EnvironmentNotReady: there is no key, or not this user's to read.
        """
        file = state / LOCAL_FILE
        try:
            content = json.loads(file.read_text("utf-8"))
            api_key, client_id, organization_id = (
                str(content[name]) for name in ("api_key", "client_id", "organization_id")
            )
        except FileNotFoundError:
            raise EnvironmentNotReady(
                "the local server has left no API key", why=f"{file} is not there", do="start it: demo next"
            ) from None
        except (OSError, ValueError, RecursionError, KeyError, TypeError) as error:
            raise EnvironmentNotReady(
                "the local server's API key cannot be read", why=f"{file}: {error}", do="demo stop, then demo next"
            ) from None
        return cls(base_url, api_key, client_id, organization_id, local=True)

    @classmethod
    def of_account(cls, account: AccountSettings, state: Path, environ: Mapping[str, str]) -> Environment:
        """The environment of the account that `account` names, by a key from `environ`, else from the keyring.

        Args:
            state: the folder that keeps the key where there is no keyring.

        Raises:
            EnvironmentNotReady: there is no key in either.
        """
        key = environ.get(account.api_key_env, "").strip()
        key = key or token_store(state, server=account.base_url).kept(KEY_SLOT) or ""
        if not key:
            raise EnvironmentNotReady(
                "there is no WorkOS API key",
                why=f"neither {account.api_key_env} nor the keyring has one",
                do=f"set {account.api_key_env} to a key from the WorkOS dashboard (API Keys)",
            )
        return cls(account.base_url.rstrip("/"), key, account.client_id or "", account.organization_id or "")


def keep_key(store: Store, api_key: str, *, base_url: str) -> None:
    """Keep an account's API key in the keyring (without one: in a 0600 file of the state folder).

    Raises:
        EnvironmentNotReady: it cannot be kept.
    """
    store.at(base_url).keep(KEY_SLOT, api_key.strip())
