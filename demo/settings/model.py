"""The `[model]` table of demo.toml: which language model decides in `demo agent`, and where its key is kept."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from deputize.errors import UsageError

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEYS = ("name", "base_url", "key_env")


@dataclass(frozen=True)
class ModelSettings:
    """What is configured of a model; all None where nothing is.

    Args:
        name: as the option `--model` takes it.
        base_url: where it is asked; None for the vendor's own.
        key_env: the name of the environment variable that holds the key, never the key itself.
    """

    name: str | None = None
    base_url: str | None = None
    key_env: str | None = None


def read_model(table: Any, where: str) -> ModelSettings:
    """Read the table. Whether the name and the address are any is seen where a model is chosen.

    Args:
        where: the file and the table's name, for the error.

    Raises:
        UsageError: something in it is wrong; the file and the key are named.
    """
    if not isinstance(table, dict):
        raise UsageError(f"{where} is no table", do=f"write it as [{where.split()[-1]}]")
    for key, value in table.items():
        if key in ("key", "api_key"):
            why = "a key in a file that is shared or committed is no secret any more"
            raise UsageError(f"{where}.{key}: not here", why=why, do='write key_env = "NAME_OF_A_VARIABLE"')
        if key not in _KEYS:
            raise UsageError(f"{where}: unknown key {key!r}", do=f"use some of: {', '.join(_KEYS)}")
        if not isinstance(value, str) or not value.strip():
            # Whatever stands in the place of a variable's name may be the key itself: it is not repeated.
            raise UsageError(f"{where}.{key} is no text", why="it must be text", do=f"change or remove {key}")
    if not _VARIABLE.fullmatch(table.get("key_env", "x")):
        why = "it must be the name of an environment variable, not the key itself"
        raise UsageError(f"{where}.key_env is no variable's name", why=why, do='write e.g. "OPENAI_API_KEY"')
    if table and "name" not in table:
        raise UsageError(f"{where} without a name", do='add name = "openai:MODEL", or another that --model takes')
    return ModelSettings(**table)
