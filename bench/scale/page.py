"""The page that has the tables: each stands between `<!-- scale: NAME -->` and `<!-- /scale -->`."""

from __future__ import annotations

import re

from bench.scale.tables import TABLES


def renew(page: str) -> str:
    """The page with each table as it is now.

    Raises:
        KeyError: it asks for a table that there is not.
    """
    return re.sub(
        r"(<!-- scale: (\w+) -->\n).*?(<!-- /scale -->)",
        lambda found: found[1] + "\n".join(TABLES[found[2]]()) + "\n" + found[3],
        page,
        flags=re.DOTALL,
    )
