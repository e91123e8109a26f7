"""The outage drill: the shop is left without an answer, refuses, and serves again when the drill is over."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.local_server import outage


def test_a_drill_lasts_as_long_as_its_block(tmp_path: Path) -> None:
    assert outage.under_way(tmp_path) is None
    with outage.drill(tmp_path, "failing"):
        assert outage.under_way(tmp_path) == "failing"
        with outage.drill(tmp_path, "silent"):
            assert outage.under_way(tmp_path) == "silent"
    assert outage.under_way(tmp_path) is None


@pytest.mark.parametrize(
    "left_behind",
    ["silent 1", "silent nan", "silent inf", "silent 9e9", "off 9e9", "silent", "", "\x00"],
)
def test_what_a_killed_process_left_behind_keeps_no_shop_closed(tmp_path: Path, left_behind: str) -> None:
    (tmp_path / outage.FILE).write_text(left_behind, "utf-8")
    assert outage.under_way(tmp_path) is None


def test_the_paths_are_those_that_the_metadata_name() -> None:
    from demo.auth_server.endpoints import streams
    from demo.auth_server.endpoints.metadata import __file__ as metadata

    introspection, verification = outage.PATHS
    assert f'"introspection_endpoint": f"{{issuer}}{introspection}"' in Path(metadata).read_text("utf-8")
    assert streams.transmitter("")["verification_endpoint"] == verification
