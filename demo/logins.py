"""This program's token store: in the system's keyring unless the environment forbids it, under this program's name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deputize.tokens.store import TokenStore

SERVICE = "machine-identity-demo"
"""How the names of its entries in the keyring begin. Tokens are found by it: it stays as it is."""


def wanted() -> bool:
    """Whether the environment lets tokens go into the keyring: yes, unless `DEMO_KEYRING=0`."""
    return os.environ.get("DEMO_KEYRING", "1").strip().lower() not in ("0", "no", "false", "off")


def token_store(state: Path, *, server: str) -> TokenStore:
    """The tokens of one server, in a state folder; nothing is read, asked or created before it is used."""
    from deputize.tokens.store import TokenStore

    return TokenStore.open(state, server=server, use_keyring=wanted(), service=SERVICE)
