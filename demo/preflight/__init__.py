"""What `demo doctor` looks at: this machine, the server, WorkOS behind it, and keys that git would commit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mark = Literal["ok", "warn", "bad", "skip"]


@dataclass(frozen=True)
class Finding:
    """One line of the preflight; `fix` is empty where nothing needs one."""

    mark: Mark
    name: str
    detail: str
    fix: str = ""
