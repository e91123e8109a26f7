"""The `[workos]` table of demo.toml: which WorkOS environment stands behind a server, and where its key is kept."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from deputize.errors import UsageError
from deputize.net import is_loopback

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEYS = ("authkit", "client_id", "organization_id", "console", "api_key_env", "base_url")


@dataclass(frozen=True)
class WorkOSSettings:
    """What is configured of WorkOS.

    Args:
        authkit: the AuthKit domain as an issuer, e.g. `https://NAME.authkit.app`; None where WorkOS is not used.
        client_id: the environment's client id.
        organization_id: in which audit events are recorded and agents act; None for the only one there is.
        console: the client id of the human's own console, a Connect application; None where there is none.
        api_key_env: the name of the environment variable that holds the API key, never the key itself.
        base_url: of WorkOS's API.
    """

    authkit: str | None = None
    client_id: str | None = None
    organization_id: str | None = None
    console: str | None = None
    api_key_env: str = "WORKOS_API_KEY"
    base_url: str = "https://api.workos.com"

    @property
    def used(self) -> bool:
        """Whether WorkOS is the authorization server here."""
        return self.authkit is not None


def read_workos(table: Any, where: str) -> WorkOSSettings:
    """Read the table.

    Args:
        where: the file and the table's name, for the error.

    Raises:
        UsageError: something in it is wrong; the file and the key are named.
    """
    if not isinstance(table, dict):
        raise UsageError(f"{where} is no table", do=f"write it as [{where.split()[-1]}]")
    for key, value in table.items():
        if key == "api_key":
            why = "a key in a file that is shared or committed is no secret any more"
            raise UsageError(f"{where}.api_key: not here", why=why, do="set WORKOS_API_KEY, or keep it in the keyring")
        if key not in _KEYS:
            raise UsageError(f"{where}: unknown key {key!r}", do=f"use some of: {', '.join(_KEYS)}")
        if not isinstance(value, str) or not value.strip():
            # Whatever stands in the place of a variable's name may be the key itself: it is not repeated.
            raise UsageError(f"{where}.{key} is no text", why="it must be text", do=f"change or remove {key}")
    if not _VARIABLE.fullmatch(table.get("api_key_env", "x")):
        why = "it must be the name of an environment variable, not the key itself"
        raise UsageError(f"{where}.api_key_env is no variable's name", why=why, do='write e.g. "WORKOS_API_KEY"')
    for key in ("authkit", "base_url"):
        if key in table:
            _check_origin(table[key], f"{where}.{key}")
    if table and "authkit" not in table:
        raise UsageError(f"{where} without authkit", do='add authkit = "https://NAME.authkit.app", your AuthKit domain')
    return WorkOSSettings(**{key: value.rstrip("/") for key, value in table.items()})


def _check_origin(value: str, where: str) -> None:
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        parts, host = urlsplit(""), ""
    secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    if not host or not secure or parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
        why = "it must be an https origin (http on this machine only), without path or credentials"
        raise UsageError(f"{where} is {value!r}", why=why, do="write it as https://NAME.authkit.app")
