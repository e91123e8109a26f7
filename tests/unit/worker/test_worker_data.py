"""One source for two shops: the Worker's data is what `demo/shop/shop.toml` says, and both use all of it."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.policy_file import SHIPPED
from demo.shop import catalog

ROOT = next(parent for parent in Path(__file__).parents if (parent / "pyproject.toml").is_file())
HOLE = re.compile(r"\{(\w+)\}")


def test_the_generated_file_is_fresh() -> None:
    checked = subprocess.run(
        [sys.executable, "worker/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert (checked.returncode, checked.stdout) == (0, "")


def test_the_workers_settings_begin_with_the_same_limits() -> None:
    without_comments = re.sub(r"^\s*//.*$", "", (ROOT / "worker" / "wrangler.jsonc").read_text("utf-8"), flags=re.M)
    variables = json.loads(re.sub(r",(\s*[}\]])", r"\1", without_comments))["vars"]
    limits, policy = catalog.LIMITS, SHIPPED.policy
    assert {
        name: variables[name]
        for name in variables
        if name.endswith(("_CALLS", "_SECONDS", "_CONSENT", "_ABOVE", "_FIRST"))
    } == {
        "RATE_CALLS": str(policy.rate.calls),
        "RATE_SECONDS": str(policy.rate.seconds),
        "PURCHASES_PER_CONSENT": str(policy.quota.purchases_per_consent),
        "APPROVE_ABOVE": str(policy.approval.above if policy.approval else "none"),
        "STOCK_AT_FIRST": str(limits.stock),
        "OPEN_RATE_CALLS": str(policy.rate.open_calls),
        "OPEN_STOCK_AT_FIRST": str(limits.stock),
    }


def calls(*names: str) -> Iterator[tuple[str, str | None, set[str]]]:
    """Each call of these functions in the local shop: its first and second text, and the values it gives."""
    for file in sorted((ROOT / "demo" / "shop").glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            function = node.func if isinstance(node, ast.Call) else None
            called = function.id if isinstance(function, ast.Name) else getattr(function, "attr", None)
            if not isinstance(node, ast.Call) or called not in names:
                continue
            texts = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            if len(texts) == len(node.args):  # others take a name that is known as it runs
                values = {keyword.arg for keyword in node.keywords if keyword.arg and keyword.arg != "gate"}
                yield texts[0], texts[1] if len(texts) > 1 else None, values


def test_each_sentence_of_the_local_shop_is_there_and_gets_its_values() -> None:
    said = list(calls("say"))
    assert len(said) > 30
    for name, _, values in said:
        assert set(HOLE.findall(catalog.SENTENCES[name])) == values, name


def test_each_refusal_of_the_local_shop_is_there_and_gets_its_values() -> None:
    ruled = list(calls("deny", "allow"))
    assert len(ruled) > 20
    for rule, variant, values in ruled:
        words = " ".join(filter(None, catalog.RULES[rule].words[variant or "main"]))
        assert set(HOLE.findall(words)) == values, (rule, variant)


@pytest.mark.parametrize("name", sorted(catalog.SENTENCES))
def test_no_sentence_is_in_the_data_for_nothing(name: str) -> None:
    files = [*(ROOT / "demo" / "shop").glob("*.py"), *(ROOT / "worker" / "src").rglob("*.ts")]
    assert any(f'"{name}"' in file.read_text("utf-8") for file in files if file.parent.name != "generated")


def test_a_value_that_looks_like_a_hole_is_not_filled() -> None:
    assert catalog.fill("{one} {two}", {"one": "{two}", "two": 2}) == "{two} 2"


def test_a_reason_fits_on_stage() -> None:
    """76 cells: the local shop's own words, with values as long as they get."""
    values = dict.fromkeys(("seconds", "skew", "limit", "window", "used"), "9" * 3)
    for trouble in ("other_issuer", "metadata_unreadable", "other_token", "late"):
        reason = catalog.fill(catalog.RULES["standing.unknown"].words["main"][0], {"trouble": catalog.say(trouble)})
        assert len(reason) <= 76, reason
    for endpoint in ("no_endpoint", "unsafe_endpoint"):
        trouble = catalog.say(endpoint, name="introspection_endpoint")
        assert len(catalog.fill(catalog.RULES["standing.unknown"].words["main"][0], {"trouble": trouble})) <= 76
    for variant, (reason, _) in catalog.RULES["token.expired"].words.items():
        assert len(catalog.fill(reason, values)) <= 76, variant
