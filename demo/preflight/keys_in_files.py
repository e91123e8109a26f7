"""Keys in files that git would commit: found before they are pushed, named by file and line, never repeated."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from demo.preflight import Finding

NAME = "keys in files"
SECONDS = 5.0
"""How long may be spent on it."""
LONGEST_FILE = 1024 * 1024
"""Bytes. Nobody writes a key into a longer one by hand."""
VARIABLES = ("WORKOS_API_KEY", "WORKOS_COOKIE_PASSWORD", "CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_KEY")
_KEY = re.compile(rb"\bsk_(?:test|live|local|prod|staging)_[A-Za-z0-9_-]{20,}")
_PLACEHOLDER = re.compile(rb"example|your|placeholder|changeme|x{6}", re.IGNORECASE)
_FIX = "take it out, and revoke it if it was ever pushed; keep it in a variable, the keyring or wrangler secret"


def examine_files(folder: Path, environ: Mapping[str, str], variables: Iterable[str] = ()) -> Finding:
    """Look through what git tracks in `folder`'s repository, and what it would add: files that it does not ignore.

    Args:
        environ: where the keys of this machine are; found anywhere, they are found for certain.
        variables: further names of variables that hold a secret.
    """
    deadline = time.monotonic() + SECONDS
    names = tuple(dict.fromkeys((*VARIABLES, *variables)))
    try:
        root, files = _would_commit(folder)
    except (OSError, subprocess.SubprocessError):
        return Finding("skip", NAME, "no git repository here")
    found: list[str] = []
    for count, name in enumerate(files):
        if time.monotonic() > deadline:
            if not found:
                return Finding("warn", NAME, f"only {count} of {len(files)} files were looked through in time")
            break
        found += [f"{name} line {line}: {kind}" for line, kind in keys_in(root / name, environ, names)]
    if found:
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        return Finding("bad", NAME, f"git would commit {found[0]}{more}", _FIX)
    return Finding("ok", NAME, f"none in the {len(files)} files that git would commit")


def keys_in(file: Path, environ: Mapping[str, str], names: Iterable[str]) -> Iterator[tuple[int, str]]:
    """The lines of a file on which a key stands, with what it is; nothing of a file that cannot be read."""
    try:
        if not file.is_file() or file.stat().st_size > LONGEST_FILE:
            return
        content = file.read_bytes()
    except OSError:
        return
    ours = {name: environ.get(name, "").strip().encode() for name in names}
    assigned = {
        # What goes on with a dot, a bracket or a brace is code that reads the variable.
        name: re.compile(rb"\b" + re.escape(name.encode()) + rb"[\"']?\s*[:=]\s*[\"']?([A-Za-z0-9_-]{20,})(?![\w.({-])")
        for name in names
    }
    for number, line in enumerate(content.splitlines(), 1):
        kind = next((f"the value of {name}" for name, value in ours.items() if len(value) >= 12 and value in line), "")
        if not kind and (key := _KEY.search(line)) and not _PLACEHOLDER.search(key.group()):
            kind = "an API key"
        for name, pattern in assigned.items():
            if not kind and (given := pattern.search(line)) and not _PLACEHOLDER.search(given.group(1)):
                kind = f"a value for {name}"
        if kind:
            yield number, kind


def _would_commit(folder: Path) -> tuple[Path, list[str]]:
    def git(*arguments: str, at: Path) -> bytes:
        return subprocess.run(
            ["git", "-C", str(at), *arguments],
            capture_output=True,
            timeout=SECONDS,
            check=True,
            stdin=subprocess.DEVNULL,
        ).stdout

    root = Path(git("rev-parse", "--show-toplevel", at=folder).decode().rstrip("\n"))
    listed = git("ls-files", "--cached", "--others", "--exclude-standard", "-z", at=root)
    return root, [name.decode(errors="surrogateescape") for name in listed.split(b"\0") if name]
