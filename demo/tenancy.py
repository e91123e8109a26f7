"""Which WorkOS environment is meant: the local server's own, or the one of an account that `[workos]` names.

What the SDK itself needs is imported by the first question put to a tenant, not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from demo.client.workos import Environment
    from demo.settings.workos import WorkOSSettings


def of_local(base_url: str, state: Path) -> Environment:
    """The environment that the local server at `base_url` answers for, by the key in its state folder.

    Raises:
        EnvironmentNotReady: there is no key there, or not this user's to read.
    """
    from demo.client.workos import Environment

    return Environment.of_local(base_url, state)


def of_account(told: WorkOSSettings, state: Path, environ: Mapping[str, str]) -> Environment:
    """The environment of the account that `told` names, by a key from `environ`, else from the keyring.

    Args:
        state: the folder that keeps the key where there is no keyring.

    Raises:
        EnvironmentNotReady: there is no key in either.
    """
    from demo.client.tokens.store import TokenStore
    from demo.client.workos import Environment

    return Environment.of_account(
        environ,
        TokenStore.open(state, server=told.base_url),
        client_id=told.client_id or "",
        organization_id=told.organization_id or "",
        base_url=told.base_url,
        key_variable=told.api_key_env,
    )
