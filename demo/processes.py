"""Processes of this machine: which one it is, whether it lives, what it listens on, and how one is started: apart from
this terminal, and without what is secret in this environment."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_ORDINARY: Final = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP"),
        # Where an interpreter and its libraries are, and the certificates that servers are held against.
        *("PYTHONPATH", "PYTHONHOME", "PYTHONUTF8", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"),
        *("DYLD_FALLBACK_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR"),
        # Windows: nothing starts without the first.
        *("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "USERNAME", "USERPROFILE", "HOMEDRIVE"),
        *("HOMEPATH", "APPDATA", "LOCALAPPDATA", "PROGRAMFILES", "PROGRAMFILES(X86)", "PROGRAMDATA"),
        "REHEARSAL_OUTSIDE",
    }
)
_ORDINARY_STARTS: Final = ("LC_", "XDG_")
NETWORK: Final = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "NODE_EXTRA_CA_CERTS"})
"""What a program also needs that calls other machines. A proxy's URL may hold a password."""
_DESKTOP: Final = frozenset(
    {
        *("BROWSER", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS", "DESKTOP_SESSION"),
        *("WSL_DISTRO_NAME", "WSL_INTEROP", "WSLENV", "__CF_USER_TEXT_ENCODING"),
    }
)
_OPEN_SECONDS: Final = 30.0
_OPEN: Final = "import sys, webbrowser; sys.exit(not webbrowser.open(sys.stdin.readline()))"


def environment(names: frozenset[str] = frozenset(), starts: tuple[str, ...] = (), **more: str) -> dict[str, str]:
    """The environment of a process that we start: an allowlist, since what other programs of this person keep in
    theirs (keys, tokens) would stay readable in `/proc` for as long as the process lives.

    Args:
        names, starts: further variables of ours that it gets, in upper case: by name, or by how the name begins.
        more: set over these.
    """
    kept, begins = _ORDINARY | names, (*_ORDINARY_STARTS, *starts)
    ours = {
        name: value for name, value in os.environ.items() if name.upper() in kept or name.upper().startswith(begins)
    }
    return {**ours, **more}


def open_page(url: str) -> bool:
    """Open a page in the system's browser, which gets no secrets of this environment; whether one opened. Blocks."""
    import subprocess

    # `webbrowser` gives a browser the environment of its own process, so that is another one; and the address is not
    # in its arguments. It knows no TERM, or a browser for terminals would take this one over.
    try:
        started = subprocess.run(
            [sys.executable, "-c", _OPEN],
            input=url.encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment(_DESKTOP | NETWORK, ("KDE_", "GNOME_")),
            timeout=_OPEN_SECONDS,
            check=False,
            **apart(),
        )
    except subprocess.TimeoutExpired:
        return True  # a browser that is waited for until it ends; it stays
    return started.returncode == 0


def apart() -> dict[str, Any]:
    """How `subprocess.Popen` starts a process that Ctrl-C in this terminal is not meant for, and that outlives us."""
    if sys.platform == "win32":
        import subprocess

        # "Process Creation Flags", learn.microsoft.com/windows/win32/procthread. Not tested: no Windows machine.
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}


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
            mark = cls(int(given["pid"]), float(given["started"]))
        except (KeyError, TypeError, ValueError, OverflowError):
            return None
        return mark if mark.pid > 0 else None  # to a system call 0 and less are whole groups of processes

    def written(self) -> dict[str, float]:
        """It as JSON."""
        return {"pid": self.pid, "started": self.started}

    @property
    def lives(self) -> bool:
        """Whether that very process still runs, as this user's."""
        started = _started(self.pid)
        return started is not None and abs(started - self.started) < 0.5


def reap(pid: int, seconds: float) -> None:
    """See that a child of ours that is about to end does not linger as a zombie; other processes are let be."""
    import psutil

    with contextlib.suppress(psutil.Error):
        if (process := psutil.Process(pid)).ppid() == os.getpid():
            process.wait(seconds)


def give_way(pid: int) -> None:
    """Have a process, and what it starts from now on, run only when nothing else wants the processor."""
    import psutil

    with contextlib.suppress(psutil.Error, OSError):
        if sys.platform == "win32":
            psutil.Process(pid).nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
        else:
            psutil.Process(pid).nice(10)


def youngest(leader: int, name: str) -> int | None:
    """Of all that a process has started, the program of this name that was started last; None where none runs."""
    import psutil

    found: list[tuple[float, int]] = []
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(leader).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if Path(process.name()).stem == name and process.status() != psutil.STATUS_ZOMBIE:
                    found.append((process.create_time(), process.pid))
    return max(found)[1] if found else None


def command_line(pid: int) -> str:
    """The command line of a process, empty where it cannot be told."""
    import psutil

    try:
        return " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return ""


def end_tree(pid: int) -> None:
    """End a process and all that it started, where there are no process groups: on Windows, and not tested there."""
    import psutil

    with contextlib.suppress(psutil.Error):
        leader = psutil.Process(pid)
        for process in (*leader.children(recursive=True), leader):
            with contextlib.suppress(psutil.Error):
                process.kill()


def orphans(leader: ProcessMark) -> list[int]:
    """What a process that has ended had started, and still runs, by its group. While there is any, the system gives the
    leader's number to no other process (POSIX, "Process ID Reuse")."""
    import psutil

    left: list[int] = []
    if not hasattr(os, "getpgid") or ProcessMark.of(leader.pid) is not None:
        return left
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getpgid(process.pid) == leader.pid and (mark := ProcessMark.of(process.pid)) is not None:
                left += [mark.pid] if mark.started >= leader.started - 0.5 else []
    return left


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
