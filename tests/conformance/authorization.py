"""The suite's authorization server scenarios against the bundled authority, with the sample human at its pages.

Both scenarios of a revision run in one process of the suite: the second uses what the first has read. The suite asks a
person to open a link and waits for the browser at its callback; here the sample human opens it.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from demo.client.human.sample_human import SampleHuman
from deputize.errors import ExplainedError
from deputize.net import free_port
from tests.conformance.npm import Suite
from tests.conformance.results import Job, Outcome, judge
from tests.conformance.running import SCENARIO_SECONDS, Runs

ACCOUNT: Final = "alice@example.com"
HTTP_SECONDS: Final = 10.0


def run(
    runs: Runs, suite: Suite, jobs: Sequence[Job], base_url: str, folder: Path, environment: Mapping[str, str]
) -> list[Outcome]:
    """Run the authorization scenarios of one revision and judge each.

    Args:
        jobs: what is asked for, all of one revision.
        base_url: the authority's issuer.
        folder: where the verdicts go, and `suite.log`.
    """
    started = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        ended_badly = _run(runs, suite, jobs[0].revision, base_url, folder, environment)
    except (ExplainedError, OSError, ValueError) as error:
        ended_badly = str(error)
    seconds = time.monotonic() - started
    return [judge(job, _verdicts(folder, job), ended_badly=ended_badly, seconds=seconds) for job in jobs]


def _verdicts(folder: Path, job: Job) -> list[Path]:
    return sorted(folder.glob(f"authorization-server-{job.scenario}-*/checks.json"))


def _run(runs: Runs, suite: Suite, revision: str, base_url: str, folder: Path, environment: Mapping[str, str]) -> str:
    """Gives in words how it ended badly, or the empty string."""
    port = free_port()
    client_id = register(base_url, f"http://127.0.0.1:{port}/callback")
    asked = ["--url", base_url, "--client-id", client_id, "--resource", f"{base_url}/mcp", "--port", str(port)]
    command = suite.command("authorization", *asked, "--spec-version", revision, "--output-dir", str(folder))
    log = folder / "suite.log"
    with runs.start(command, log, environment) as process:
        return _accompany(process, log)


def _accompany(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + SCENARIO_SECONDS
    decided = False
    while process.poll() is None:
        if time.monotonic() > deadline:
            return f"no end within {SCENARIO_SECONDS:.0f} s"
        link = re.search(r"^http\S+\?\S*response_type=code\S*$", log.read_text("utf-8", "replace"), re.MULTILINE)
        if link is not None and not decided:
            decided = True
            _, returned = SampleHuman(ACCOUNT, timeout=HTTP_SECONDS).authorize(link[0], True)
            with _opener.open(returned, timeout=HTTP_SECONDS):
                pass
        time.sleep(0.05)
    return "" if process.returncode == 0 else f"the suite ended with code {process.returncode}"


def register(base_url: str, redirect_uri: str) -> str:
    """Register a public client at the authority (RFC 7591). Gives its id.

    Raises:
        OSError: the authority does not answer, or refuses.
    """
    wanted = {
        "client_name": "Conformance suite",
        "application_type": "native",
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "none",
    }
    request = urllib.request.Request(
        f"{base_url}/oauth2/register",
        json.dumps(wanted).encode(),
        {"content-type": "application/json", "accept": "application/json"},
    )
    with _opener.open(request, timeout=HTTP_SECONDS) as answer:
        return str(json.load(answer)["client_id"])


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""No proxy stands between a machine and itself."""
