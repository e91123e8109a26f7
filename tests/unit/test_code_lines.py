"""What `bench/code_lines.py` counts as what."""

from __future__ import annotations

from bench.code_lines import Lines, count, figure

MODULE = '''"""What it is.

More.
"""

# Why.
LIMIT = 3
"""Of what."""


def one() -> str:
    """Give it."""
    return """a text
    of two lines"""  # no comment line of its own
'''


def test_each_line_is_of_one_kind() -> None:
    assert count(MODULE) == Lines(files=1, code=4, docstring=6, comment=1)


def test_a_difference_stands_beside_its_figure() -> None:
    assert (figure(1200, 1000, 0), figure(5, None, 0)) == ("1,200 (+200)", "5")
