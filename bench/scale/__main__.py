"""The shop at 10^3, 10^6 and 10^9 agents, worked out: `python -m bench.scale` prints the tables of `docs/scale.md`.

With `--page docs/scale.md` it puts them where the page has them, from `<!-- scale: NAME -->` to its end.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.scale.page import renew
from bench.scale.tables import TABLES


def main() -> None:
    """Print every table, or renew those of a page."""
    arguments = argparse.ArgumentParser(description="The shop at 10^3, 10^6 and 10^9 agents, worked out.")
    arguments.add_argument("--page", type=Path, help="a page whose tables are renewed; without one all are printed")
    given = arguments.parse_args()
    if given.page is not None:
        given.page.write_text(renew(given.page.read_text("utf-8")), "utf-8")
        return
    for name, lines in TABLES.items():
        print(f"{name}\n", *lines(), "", sep="\n")


if __name__ == "__main__":
    main()
