"""How a local server, and a process, prove that they are this state folder's own: by what another user cannot know.

Any user of a machine may listen on a port that a server has left, and repeat all that `/health` tells everybody. So
each local server makes a secret at its start and writes it into the state folder, which is its user's alone; a command
sends a random challenge first, and nothing else before the answer is right.
"""

from __future__ import annotations

import contextlib
import hmac
import secrets
import sys
from dataclasses import dataclass
from typing import Any

CHALLENGE = "challenge"
"""The query parameter of `/health` that asks for a proof."""
LONGEST_CHALLENGE = 128


def new_secret() -> str:
    """A server's secret for as long as its process lives: 256 random bits."""
    return secrets.token_hex(32)


def proof(secret: str, base_url: str, instance: str, challenge: str) -> str:
    """What only the holder of `secret` can answer to a challenge (HMAC-SHA256, RFC 2104).

    The server's address is part of it: another program cannot pass the challenge on to the true server, which listens
    elsewhere, and answer with what that says.
    """
    told = "\n".join(("demo local server", base_url, instance, challenge))
    return hmac.new(secret.encode(), told.encode(), "sha256").hexdigest()


def proves(answer: Any, secret: str, base_url: str, instance: str, challenge: str) -> bool:
    """Whether an answer to a challenge is right; told in constant time."""
    wanted = proof(secret, base_url, instance, challenge)
    return isinstance(answer, str) and hmac.compare_digest(answer.encode(), wanted.encode())


@dataclass(frozen=True)
class ProcessMark:
    """A process by its number and the time it was started: a number alone is given to another process later."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> ProcessMark | None:
        """The process that has this number now; None where there is none."""
        started = _started(pid)
        return None if started is None else cls(pid, started)

    @classmethod
    def read(cls, given: Any) -> ProcessMark | None:
        """What `written` made, read again; None where it is anything else."""
        try:
            return cls(int(given["pid"]), float(given["started"]))
        except (KeyError, TypeError, ValueError):
            return None

    def written(self) -> dict[str, float]:
        """It as JSON."""
        return {"pid": self.pid, "started": self.started}

    @property
    def lives(self) -> bool:
        """Whether that very process still runs, as this user's."""
        started = _started(self.pid)
        return started is not None and abs(started - self.started) < 0.5


def listens(pid: int, port: int) -> bool:
    """Whether this process, or one that it started, is who listens on a TCP port of this machine."""
    import psutil

    with contextlib.suppress(psutil.Error):
        leader = psutil.Process(pid)
        for process in (leader, *leader.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                taken = process.net_connections("tcp")
                if any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in taken):
                    return True
    return False


def _started(pid: int) -> float | None:
    """When the process was started, in seconds, on a clock that nobody sets; None where it is not this user's."""
    import psutil  # only commands that start or end a process need it

    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        if hasattr(process, "uids") and process.uids().effective != psutil.Process().uids().effective:
            return None
        # Linux counts from the boot, and psutil adds the time of the boot by a clock that NTP sets: taken off again.
        return process.create_time() - (psutil.boot_time() if sys.platform == "linux" else 0.0)
    return None
