"""Which WorkOS environment is meant, and by which key: the local authority's, or one of a WorkOS account."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from demo.errors import EnvironmentNotReady

if TYPE_CHECKING:
    from demo.client.tokens.store import Store

API = "https://api.workos.com"
KEY_VARIABLE = "WORKOS_API_KEY"
"""The variable that WorkOS's own SDKs read."""
KEY_SLOT = "api_key"
LOCAL_FILE = "workos.json"
"""What the local authority leaves in its state folder for the folder's owner."""


@dataclass(frozen=True)
class Environment:
    """One environment.

    Args:
        base_url: of its API.
        api_key: opens all of it; never shown.
        client_id: the environment's, which stands in the audience of agent tokens. Empty where nobody said.
        organization_id: in which audit events are told and agents act. Empty for the only one there is.
        local: whether it is the authority on this machine.
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
            told = json.loads(file.read_text("utf-8"))
            api_key, client_id, organization_id = (
                str(told[name]) for name in ("api_key", "client_id", "organization_id")
            )
        except FileNotFoundError:
            raise EnvironmentNotReady(
                "the local authority has left no API key", why=f"{file} is not there", do="start it: demo next"
            ) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EnvironmentNotReady(
                "the local authority's API key cannot be read", why=f"{file}: {error}", do="demo stop, then demo next"
            ) from None
        return cls(base_url, api_key, client_id, organization_id, local=True)

    @classmethod
    def of_account(
        cls,
        environ: Mapping[str, str],
        store: Store,
        *,
        client_id: str = "",
        organization_id: str = "",
        base_url: str = API,
        key_variable: str = KEY_VARIABLE,
    ) -> Environment:
        """An environment of a WorkOS account: its key from the process environment, else from the keyring.

        Args:
            store: of any server; the key is kept at WorkOS's own name (`keep_key`).

        Raises:
            EnvironmentNotReady: there is no key in either.
        """
        key = environ.get(key_variable, "").strip() or store.at(base_url).kept(KEY_SLOT) or ""
        if not key:
            raise EnvironmentNotReady(
                "there is no WorkOS API key",
                why=f"neither {key_variable} nor the keyring has one",
                do=f"set {key_variable} to a key from the WorkOS dashboard (API Keys)",
            )
        return cls(base_url.rstrip("/"), key, client_id, organization_id)


def keep_key(store: Store, api_key: str, *, base_url: str = API) -> None:
    """Keep an account's API key in the keyring (without one: in a 0600 file of the state folder).

    Raises:
        EnvironmentNotReady: it cannot be kept.
    """
    store.at(base_url).keep(KEY_SLOT, api_key.strip())
