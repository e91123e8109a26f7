"""`demo call` and `demo orders` say a verb of the talk's shop in the words of the server at hand."""

from __future__ import annotations

import json
import subprocess

from tests import in_process
from tests.conftest import Command
from tests.unit.talk.foreign_servers import corner_shop, listening

TABLE = """
[tools]
listMcpShopOrders = "history"
buyMcpShopItem = { tool = "buy", arguments = { tshirtSize = "size", mailingAddress = "address", company = false } }
"""


def in_folder(demo: Command, table: str, *line: str) -> subprocess.CompletedProcess[str]:
    """`demo` where a demo.toml stands that its person trusts."""
    folder = demo.state.parent
    (folder / "demo.toml").write_text(table)
    trusted = in_process.run(["trust", "--quiet"], environment=demo.environment(), folder=folder, timeout=90)
    assert trusted.returncode == 0, trusted.stderr
    return in_process.run(line, environment=demo.environment(), folder=folder, timeout=90)


def test_a_verb_and_its_arguments_go_out_in_the_servers_words(demo: Command) -> None:
    line = ("company=Acme", "mailingAddress=1 Main St", "tshirtSize=M")
    with listening(corner_shop()) as url:
        bought = in_folder(demo, TABLE, "call", "buyMcpShopItem", *line, "--server", url, "--json")
        orders = in_folder(demo, TABLE, "orders", "--server", url, "--json")
        own = in_folder(demo, TABLE, "call", "history", "--server", url, "--json")
    told = json.loads(bought.stdout)
    assert (told["tool"], told["is_error"], told["text"]) == ("buy", False, "sold number 1")
    listed = json.loads(orders.stdout)
    assert (listed["tool"], listed["result"]["orders"]) == ("history", [{"size": "M", "address": "1 Main St"}])
    assert json.loads(own.stdout)["result"] == listed["result"], "its own names go on to work"


def test_a_mapping_that_is_wrong_is_a_usage_error_with_file_and_key(demo: Command) -> None:
    finished = in_folder(demo, '[tools]\nbuyMcpShopItm = "buy"\n', "orders")
    assert finished.returncode == 2
    said = " ".join(finished.stderr.split())
    assert "demo.toml: tools.buyMcpShopItm" in said
    assert "did you mean buyMcpShopItem?" in said
