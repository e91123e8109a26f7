"""The dry run's own world: a state folder that is gone afterwards, with its server."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from deputize.signals import signals_ignored


@contextlib.contextmanager
def throwaway_world() -> Iterator[Path]:
    """A state folder for one dry run. Its server is stopped and the folder removed, whatever happens."""
    from demo.local_server import local

    state = Path(tempfile.mkdtemp(prefix="demo-dry-"))
    before = os.environ.get("DEMO_KEYRING")
    os.environ["DEMO_KEYRING"] = "0"  # tokens of a dry run have no business in the person's keyring
    try:
        yield state
    finally:
        with signals_ignored():
            if before is None:
                os.environ.pop("DEMO_KEYRING", None)
            else:
                os.environ["DEMO_KEYRING"] = before
            local.stop(state)
            shutil.rmtree(state, ignore_errors=True)
