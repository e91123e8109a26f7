"""What a server supports, by standard, each yes or no with the exchange that says so, else not known.

`survey` looks at a server and changes nothing there; `table` reads what was seen. The rows are by subject: the door
(`door`), the authority's metadata (`authority`), keys and token (`token`), the shop on top (`shop`).
"""

from __future__ import annotations

from collections.abc import Mapping

from demo.client.capabilities import authority, door, shop, token
from demo.client.capabilities.survey import Survey, says_it_is_ours, survey
from demo.evidence import Capability

__all__ = ["Survey", "says_it_is_ours", "survey", "table"]


def table(seen: Survey, verbs: Mapping[str, str]) -> tuple[Capability, ...]:
    """The rows, from the wire up to the shop.

    Args:
        seen: what a look at the server gave.
        verbs: the shop's verbs, each with what this server calls it.
    """
    return (*door.rows(seen), *authority.rows(seen), *token.rows(seen), *shop.rows(seen, verbs))
