"""Our agent as the client under test of the MCP conformance suite: `client.py URL`.

The suite names the scenario in `MCP_CONFORMANCE_SCENARIO`, the revision in `MCP_CONFORMANCE_PROTOCOL_VERSION` and, for
some, what to do in `MCP_CONFORMANCE_CONTEXT` (JSON). What a scenario does is a function of a URL and a context in
`scenarios_core` or `scenarios_auth`. The exit code is 0 where it ran to its end.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from deputize.errors import ExplainedError
from tests.conformance.scenarios_auth import AUTH
from tests.conformance.scenarios_core import CORE


def main(url: str) -> int:
    """Play the scenario of the environment at `url`."""
    name = os.environ.get("MCP_CONFORMANCE_SCENARIO", "")
    scenario = CORE.get(name) or AUTH.get(name)
    if scenario is None:
        sys.stderr.write(f"no such scenario: {name!r}\n")
        return 2
    try:
        scenario(url, json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}"))
    except ExplainedError as error:
        sys.stderr.write(f"{error.what}: {error.why}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[-1]))
