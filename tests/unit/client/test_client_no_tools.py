"""A server that answers, and lists no tools: that is told, and not shown as an empty list."""

from __future__ import annotations

from pathlib import Path

import pytest

from deputize.errors import ServerUnreachable
from tests.unit.client.fakes import Reply, Request, Shop, agent_at


@pytest.mark.parametrize("code", [-32601, -32603])
def test_an_error_in_place_of_the_list_is_no_empty_list(shop: Shop, tmp_path: Path, code: int) -> None:
    def refuse(request: Request) -> Reply:
        error = {"code": code, "message": "no \x1b[1mtools\x1b[0m here"}
        return Reply(json={"jsonrpc": "2.0", "id": request.json.get("id"), "error": error})

    shop.fake.on["/mcp"] = refuse
    with pytest.raises(ServerUnreachable) as told:
        agent_at(shop.fake.base, tmp_path, timeout=2).tools(token="none")
    assert "tools" in told.value.why and "\x1b" not in told.value.why
    assert told.value.do


def test_a_list_of_none_is_one(shop: Shop, tmp_path: Path) -> None:
    def empty(request: Request) -> Reply:
        result = {"tools": [], "resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
        return Reply(json={"jsonrpc": "2.0", "id": request.json["id"], "result": result})

    shop.fake.on["/mcp"] = empty
    listed = agent_at(shop.fake.base, tmp_path, timeout=2).tools(token="none")
    assert (listed.status, listed.tools) == (200, ())
