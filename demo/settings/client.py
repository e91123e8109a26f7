"""The `[client]` table of demo.toml: who the agent is at an authorization server where it is registered."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from deputize.errors import EnvironmentNotReady, UsageError
from deputize.net import is_loopback

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEYS = ("id", "secret_env", "metadata_url", "redirect_port", "issuer", "resource")


@dataclass(frozen=True)
class ClientSettings:
    """What is configured of the client; all None where nothing is.

    Args:
        id: the client identifier that the authorization server gave (RFC 6749 section 2.2).
        secret_env: the name of the environment variable that holds the client's secret, never the secret itself.
        metadata_url: where this client's own metadata document is published (client ID metadata documents).
        redirect_port: the loopback port of the redirect URI, where the authorization server takes only the registered
            one; None for any free one (RFC 8252 section 7.3).
        issuer: the authorization server that knows `id`; it is shown to no other. None for whichever the server trusts.
        resource: what tokens are asked for (RFC 8707), a URI; "none" for an authorization server that refuses the
            parameter. None for what the server's own metadata names.
    """

    id: str | None = None
    secret_env: str | None = None
    metadata_url: str | None = None
    redirect_port: int | None = None
    issuer: str | None = None
    resource: str | None = None

    def secret(self, environ: Mapping[str, str]) -> str | None:
        """The client's secret, None for a public client.

        Raises:
            EnvironmentNotReady: a variable is named, and it is not set.
        """
        if self.secret_env is None:
            return None
        found = environ.get(self.secret_env, "")
        if not found:
            raise EnvironmentNotReady(
                f"the environment variable {self.secret_env} is not set",
                why="[client] secret_env names it as the place of the client's secret",
                do=f"set {self.secret_env}, or take secret_env out for a public client",
            )
        return found


def read_client(table: Any, where: str) -> ClientSettings:
    """Read the table.

    Args:
        where: the file and the table's name, for the error.

    Raises:
        UsageError: something in it is wrong; the file and the key are named.
    """
    if not isinstance(table, dict):
        raise UsageError(f"{where} is no table", do=f"write it as [{where.split()[-1]}]")
    for key in table:
        if key == "secret":
            why = "a secret in a file that is shared or committed is no secret any more"
            raise UsageError(f"{where}.secret: not here", why=why, do='write secret_env = "NAME_OF_A_VARIABLE"')
        if key not in _KEYS:
            raise UsageError(f"{where}: unknown key {key!r}", do=f"use some of: {', '.join(_KEYS)}")
    for key in ("id", "secret_env", "metadata_url", "issuer", "resource"):
        if key in table and (not isinstance(table[key], str) or not table[key].strip()):
            raise UsageError(f"{where}.{key} is {table[key]!r}", why="it must be text", do=f"change or remove {key}")
    port = table.get("redirect_port")
    if port is not None and (type(port) is not int or not 1 <= port <= 65535):
        why = "it must be a whole number from 1 to 65535"
        raise UsageError(f"{where}.redirect_port is {port!r}", why=why, do="change or remove redirect_port")
    if (variable := table.get("secret_env")) is not None:
        if not _VARIABLE.fullmatch(variable):
            # Whatever stands there may be the secret itself: it is not repeated.
            why = "it must be the name of an environment variable, not the secret itself"
            raise UsageError(f"{where}.secret_env is no variable's name", why=why, do='write e.g. "CLIENT_SECRET"')
        if "id" not in table:
            raise UsageError(f"{where}.secret_env without an id", do="add id, the client that the secret belongs to")
    for key, needs_path in (("metadata_url", True), ("issuer", False)):
        if key in table:
            _url(table[key], f"{where}.{key}", needs_path=needs_path)
    if (resource := table.get("resource", "none")) != "none" and not _absolute(resource):
        why = 'it must be an absolute URI without a fragment (RFC 8707 section 2), or "none"'
        raise UsageError(f"{where}.resource is {resource!r}", why=why, do="write the whole URI")
    return ClientSettings(**table)


def _absolute(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
    except ValueError:
        return False
    return bool(parts.scheme and (parts.netloc or parts.path)) and "#" not in uri and not any(map(str.isspace, uri))


def _url(value: str, where: str, *, needs_path: bool) -> None:
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        parts, host = urlsplit(""), ""
    secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    if not host or not secure or parts.fragment or "@" in parts.netloc:
        why = "it must be an https URL (http on this machine only) without credentials or fragment"
        raise UsageError(f"{where} is {value!r}", why=why, do="write the whole URL")
    if needs_path and parts.path in ("", "/"):
        why = "a client's identifier that is a URL has a path (client ID metadata documents)"
        raise UsageError(f"{where} is {value!r}", why=why, do="write the document's own URL")
