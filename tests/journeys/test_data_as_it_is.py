"""JSON holds what was said, to the character; a screen shows it whole where it may, and harmless always."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.journeys.terminal import ROOT

if TYPE_CHECKING:
    from tests.conftest import Command

FAMILY = "👨\u200d👩\u200d👧\u200d👦"
COMPANY = f"{FAMILY} می\u200cخواهم & Söhne 東京"
TRICKY = "ab\u200bc\u00add \\u0041 :100: 'q' \U000e0041"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252"])
def test_an_order_is_told_as_it_was_made(demo: Command, encoding: str) -> None:
    bought = demo("call", "buyMcpShopItem", f"company={COMPANY}", "mailingAddress=1 Main St", "tshirtSize=M", "--open")
    assert bought.returncode == 0, bought.stderr
    assert COMPANY in bought.stdout, "drawn whole"
    listed = subprocess.run(
        [sys.executable, "-m", "demo", "orders", "--open", "--json"],
        env=demo.environment() | {"PYTHONIOENCODING": encoding},
        cwd=ROOT,
        capture_output=True,
        timeout=60,
    )
    text = listed.stdout.decode(encoding)
    order = json.loads(text)["result"]["orders"][0]
    assert order["company"] == COMPANY
    assert not set(text) & set("\u202e\u200b"), "a terminal obeys none of it"


def test_on_the_screen_it_is_harmless_and_nothing_else_is_made_of_it(demo: Command) -> None:
    args = ("call", "buyMcpShopItem", f"company={TRICKY}", "mailingAddress=1 Main St", "tshirtSize=M", "--open")
    bought = demo(*args)
    assert bought.returncode == 0
    shown = bought.stdout + demo("orders", "--open").stdout
    assert ":100:" in shown
    assert not set(shown) & set("\u202e\u200b\u00ad")
    told = json.loads(demo("orders", "--open", "--json").stdout)
    assert told["result"]["orders"][0]["company"] == TRICKY
