"""`demo whoami`: a signature that is good, and a grant that stands or was revoked, are two things."""

from __future__ import annotations

import json

import pytest

from tests.conftest import Command


@pytest.mark.parametrize("kind", ["session", "agent", "token"])
def test_a_revoked_grant_has_a_valid_signature_and_is_refused(demo: Command, kind: str) -> None:
    assert demo("login", "--browser").returncode == 0
    before = demo("--json", "whoami")
    assert (before.returncode, json.loads(before.stdout)["grant"]["stands"]) == (0, True)
    assert demo("revoke", f"--{kind}").returncode == 0
    after = demo("--json", "whoami")
    told = json.loads(after.stdout)
    assert (after.returncode, told["verified"]) == (4, True)
    assert (told["grant"]["stands"], told["grant"]["revoked"]) == (False, True)
    drawn = demo("whoami")
    assert drawn.returncode == 4
    assert drawn.stdout.lstrip().startswith("✗ Signature valid, grant revoked: Alice → Shirt Agent")


def test_what_it_says_would_help_does_help(demo: Command) -> None:
    assert demo("login", "--browser").returncode == 0
    assert demo("revoke", "--agent").returncode == 0
    shown = " ".join(demo("whoami").stdout.split())
    assert "(demo reinstate --agent)" in shown
    assert demo("reinstate", "--agent").returncode == 0
    assert demo("whoami").returncode == 0
