"""What a server supports, by standard, each yes or no with the exchange that says so, else not known.

`survey` looks at a server and changes nothing there; `table` reads what was seen: of the standards (`standards`), and
of the talk's shop on top of them (`shop`).
"""

from __future__ import annotations

from collections.abc import Mapping

from demo.client.capabilities import shop, standards
from demo.client.capabilities.survey import Survey, says_it_is_ours, survey
from demo.evidence.shop import Capability

__all__ = ["Survey", "says_it_is_ours", "survey", "table"]


def table(seen: Survey, verbs: Mapping[str, str]) -> tuple[Capability, ...]:
    """The rows, from the wire up to the shop.

    Args:
        seen: what a look at the server gave.
        verbs: the shop's verbs, each with what this server calls it.
    """
    return (*standards.rows(seen), *shop.rows(seen, verbs))
