"""No network: Python imports this at its start where the rehearsal has put its folder on PYTHONPATH, so in the process
that plays and in the local server. What would leave this machine is refused, and written down in the file that
REHEARSAL_OUTSIDE names.

By an audit hook (PEP 578), which sees each connection and each look-up of a name, whichever library makes it.
"""

import contextlib
import errno
import os
import socket
import sys
from pathlib import Path
from typing import Any

_FILE = os.environ.get("REHEARSAL_OUTSIDE", "")
_HERE = ("127.", "::1", "::ffff:127.", "localhost", "0.0.0.0")


def _fence(event: str, given: tuple[Any, ...]) -> None:
    if event == "socket.connect" and isinstance(given[1], tuple):
        host = str(given[1][0])
    elif event == "socket.getaddrinfo":
        host = given[0].decode() if isinstance(given[0], bytes) else str(given[0] or "")
    else:
        return
    address = ":" in host or host.replace(".", "").isdigit()  # of which nobody is asked
    if host == "" or host.startswith(_HERE) or (address and event == "socket.getaddrinfo"):
        return
    with contextlib.suppress(OSError), Path(_FILE).open("a", encoding="utf-8") as file:
        file.write(f"{Path(sys.argv[0]).name} to {host}\n")
    if event == "socket.getaddrinfo":
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    raise OSError(errno.ENETUNREACH, "Network is unreachable", host)


if _FILE:
    sys.addaudithook(_fence)
