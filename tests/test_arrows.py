"""The rooms know of each other only what docs/architecture says: arrows go one way."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "demo/client": {
        "demo.client",
        "demo.private",
        "demo.access_tokens",
        "demo.evidence",
        "demo.errors",
        "demo.net",
        "demo",
    },
    "demo/shop": {
        "demo.shop",
        "demo.private",
        "demo.access_tokens",
        "demo.evidence",
        "demo.errors",
        "demo.net",
        "demo",
    },
    "demo/workos_emulator": {
        "demo.workos_emulator",
        "demo.auth_server",
        "demo.private",
        "demo.evidence",
        "demo.errors",
        "demo.net",
        "demo",
    },
    "demo/auth_server": {
        "demo.auth_server",
        "demo.workos_emulator",
        "demo.private",
        "demo.evidence",
        "demo.errors",
        "demo.net",
        "demo",
    },
    "demo/bridge": {"demo.bridge", "demo.client", "demo.errors", "demo.net", "demo"},
    "demo/panels": {"demo.panels", "demo.evidence", "demo.errors", "demo.net"},
    "demo/deploy": {
        "demo.deploy",
        "demo.client",
        "demo.local_server.local",
        "demo.private",
        "demo.local_server.proving",
        "demo.signals",
        "demo.local_server.resources",
        "demo.evidence",
        "demo.errors",
        "demo.net",
        "demo",
    },
    "talk": {
        "talk",
        "demo.client",
        "demo.panels",
        "demo.deploy",
        "demo.local_server.console_keys",
        "demo.json_text",
        "demo.local_server.local",
        "demo.local_server.outage",
        "demo.private",
        "demo.tenancy",
        "demo.evidence",
        "demo.errors",
        "demo.net",
        "demo.settings",
    },
}


def imports(file: Path) -> set[str]:
    """Every module of the project that `file` imports anywhere, relative imports resolved."""
    package = file.relative_to(ROOT).with_suffix("").parts[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            module = ".".join(base + ([node.module] if node.module else []))
            found |= {f"{module}.{name.name}" for name in node.names}
    return {name for name in found if name.split(".")[0] in ("demo", "talk")}


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_a_room_imports_only_what_it_may(room: str) -> None:
    files = sorted((ROOT / room).rglob("*.py"))
    assert files, f"{room} has no modules: the test would prove nothing"
    for file in files:
        for name in imports(file):
            allowed = any(
                name == module or (module != "demo" and name.startswith(f"{module}.")) for module in MAY_IMPORT[room]
            )
            assert allowed or name == "demo.__version__", f"{file.relative_to(ROOT)} imports {name}"


def test_an_arrow_against_the_rule_would_be_seen() -> None:
    assert "demo.local_server.local" in imports(ROOT / "talk" / "cast.py")
    assert "demo.shop.ShopConfig" in imports(ROOT / "demo" / "local_server" / "server.py")
