"""The Worker on this machine as one of the local authority's shops: all that has to fit together, in one place."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo import local, resources
from demo.deploy import tools, workerd
from demo.deploy.tools import Waiting, _quietly
from demo.errors import EnvironmentNotReady


@contextmanager
def running(
    state: Path, issuer: str, *, worker: Path | None = None, waiting: Waiting = _quietly
) -> Iterator[workerd.Worker]:
    """Run the Worker with the local server at `issuer` as its authority; its Durable Objects are kept in `state`.

    Nothing is installed for it and no network is used.

    Raises:
        EnvironmentNotReady: there is no Worker, no Node, nothing installed, no local server, or it does not start.
    """
    built = tools.find(worker or tools.default_worker())
    credentials = resources.credentials(state)
    if credentials is None:
        raise EnvironmentNotReady("the local server has not run yet", do="begin with: demo next")
    home = state / local.WORKER
    port = workerd.a_port(_last_port(home))
    resources.add(state, f"http://127.0.0.1:{port}/mcp")
    with workerd.running(
        built,
        port=port,
        state=home,
        variables=workerd.local_variables(issuer),
        secrets=workerd.local_secrets(credentials),
        waiting=waiting,
    ) as worker_here:
        (home / "port").write_text(str(port), "utf-8")
        yield worker_here


def _last_port(home: Path) -> int:
    # The port is part of the resource's name: at another one, authority that was granted before would not fit.
    with contextlib.suppress(OSError, ValueError):
        return int((home / "port").read_text("utf-8"))
    return workerd.DEFAULT_PORT
