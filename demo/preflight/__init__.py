"""What `demo doctor` looks at beside the machine and the server: WorkOS behind it, and keys that git would commit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from demo.client.capabilities import Survey
    from demo.preflight.doctor import Finding
    from demo.settings import Settings


def further(settings: Settings, seen: Survey | None) -> list[Finding]:
    """One finding for each thing looked at; none of WorkOS where it is not used.

    Args:
        seen: what a look at the server gave, None where there is none.
    """
    from demo.preflight.keys_in_files import examine_files
    from demo.preflight.workos import examine_workos

    named = {settings.workos.api_key_env, settings.client.secret_env or ""} - {""}
    return [*examine_workos(settings, os.environ, seen), examine_files(Path(), os.environ, named)]
