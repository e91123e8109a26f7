"""A login that asks for less plays: what its scopes do not allow is not asked for, and not claimed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Command

BEAT = """\
+++
title = "A login for less"
say = "It got what it asked for."
[[steps]]
id = "login"
do = "login"
scopes = [{scopes}]
expect = {{ granted = true, human = "alice@example.com", verified = true, delegated = true, consent_matches = true }}
[[steps]]
id = "who"
do = "whoami"
show = ["token", "chain"]
expect = {{ verified = true, agrees = true, listed = true, lifetime = 300 }}
[[steps]]
id = "calls"
do = "call"
tool = "listMcpShopInventory"
expect = {{ status = 200, verdict = "allow", differs = [] }}
[[steps]]
id = "elsewhere"
do = "call"
tool = "listMcpShopInventory"
token = "other-audience"
expect = {{ status = 401, rule = "token.audience" }}
[[steps]]
id = "stolen"
do = "rival"
expect = {{ status = 400, unharmed = true }}
+++
Notes.
"""
PLAN = """\
title = "Short"
minutes = 1
[[sections]]
title = "One"
minutes = 1
beats = [{ id = "less", minutes = 1, speaker = "Me" }]
"""


@pytest.mark.parametrize(
    ("scopes", "unknown", "left_out"),
    [
        (("openid", "shop:read", "offline_access"), [], []),
        (("shop:read", "offline_access"), ["human"], []),
        (("openid", "shop:read"), ["human"], ["elsewhere", "stolen"]),
        (("shop:read",), ["human"], ["elsewhere", "stolen"]),
    ],
)
def test_a_login_without_openid_or_offline_access_plays(
    demo: Command, tmp_path: Path, scopes: tuple[str, ...], unknown: list[str], left_out: list[str]
) -> None:
    (tmp_path / "talk" / "beats").mkdir(parents=True)
    (tmp_path / "talk" / "plans").mkdir()
    asked = ", ".join(f'"{scope}"' for scope in scopes)
    (tmp_path / "talk" / "beats" / "less.md").write_text(BEAT.format(scopes=asked), "utf-8")
    (tmp_path / "talk" / "plans" / "short.toml").write_text(PLAN, "utf-8")
    finished = demo("run", "--ci", "--talk", str(tmp_path / "talk"), "--plan", "short", "--json", "-")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    steps = {step["id"]: step for step in json.loads(finished.stdout)["beats"][0]["steps"]}
    assert list(steps["login"].get("unchecked", {})) == unknown
    assert list(steps["who"].get("unchecked", {})) == (["agrees"] if unknown else [])
    assert [name for name, step in steps.items() if "skipped" in step] == left_out
    assert all("offline_access" in steps[name]["skipped"] for name in left_out)
