"""What somebody types stands whole on the screen, in as many rows as it takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from rich.console import RenderableType

from demo import panels
from demo.evidence.shop import Tool
from demo.panels.fit import drawn
from deputize.errors import ExplainedError

LONG = "a-name-that-nobody-shortened/" + "part_" * 18 + "end"
WIDTHS = [80, 120, 40]


def together(panel: RenderableType, width: int) -> str:
    """All that is drawn, without what only breaks lines."""
    return "".join("".join(drawn(panel, width)).split())


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("length", [25, 40, 75, len(LONG)])
def test_a_tools_name_and_scope(width: int, length: int) -> None:
    name, scope = LONG[-length:], "s:" + LONG[-length + 2 :]
    shown = together(panels.tools((Tool(name, "Does much. " * 9, (), scope), Tool("b", "", (), ""))), width)
    assert name in shown and scope in shown


@pytest.mark.parametrize("width", WIDTHS)
def test_a_sessions_id_and_its_agents(width: int, evidence: dict[str, Any]) -> None:
    given = tuple(replace(one, id=f"{LONG}{at}", agent=f"agent_{LONG}") for at, one in enumerate(evidence["SESSIONS"]))
    shown = together(panels.sessions(given, evidence["NOW"]), width)
    assert f"{LONG}{len(given) - 1}" in shown
    assert width == 40 or f"agent_{LONG}" in shown


@pytest.mark.parametrize("width", WIDTHS)
def test_the_ids_of_a_chain_and_of_an_order(width: int, evidence: dict[str, Any]) -> None:
    chain = replace(evidence["CHAIN"], agent=f"agent_{LONG}", session=f"session_{LONG}", consent=f"consent_{LONG}")
    shown = together(panels.chain(chain), width)
    for id in (chain.agent, chain.session, chain.consent):
        assert id in shown
    order = replace(evidence["ORDER"], id=f"order_{LONG}")
    assert order.id in together(panels.order(order), width)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_devices_address_and_code(width: int, evidence: dict[str, Any]) -> None:
    device = replace(evidence["DEVICE"], verification_uri=f"https://{LONG}", user_code="WDJB-MJHT-QRST-VWXZ")
    shown = together(panels.device(device, evidence["NOW"]), width)
    assert device.verification_uri in shown and device.user_code in shown


@pytest.mark.parametrize("width", WIDTHS)
def test_the_command_that_helps(width: int) -> None:
    command = f"demo next --server https://{LONG} " + "or demo doctor " * 40
    lines = drawn(panels.failure(ExplainedError("no", do=command)), width)
    assert " ".join(" ".join(lines).replace("do this", "").split()).endswith(command.strip())
    assert any(f"https://{LONG}" in line for line in lines), "in one piece, so that it can be copied"
