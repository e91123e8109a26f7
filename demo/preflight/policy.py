"""The local shop's policy: which one is in force, and what is wrong with a file that is not."""

from __future__ import annotations

from pathlib import Path

from demo import policy_file
from demo.local_server import local
from demo.preflight import Finding

CHECK = "demo policy check"


def examine_policy(state: Path, base: str) -> Finding:
    """What the running shop says of its policy, and what its file says.

    Args:
        state: the state folder.
        base: where its local server is.
    """
    about = (local.health(base) or {}).get("policy")
    if not isinstance(about, dict):
        return Finding("skip", "policy", "the server does not tell which one is in force")
    digest = str(about.get("digest", ""))[:12]
    if about.get("refused"):
        return Finding("bad", "policy", f"{_fault(state)}; {digest} stays in force", f"fix the file: {CHECK}")
    if about.get("source") == policy_file.NAME:
        if about.get("digest") == policy_file.SHIPPED.digest:
            return Finding("ok", "policy", f"{policy_file.NAME}, which says what the shipped one does")
        fix = "nothing, if that is meant: a beat may see other limits than its words say"
        return Finding("warn", "policy", f"{policy_file.NAME} of the state folder, {digest}", fix)
    return Finding("ok", "policy", f"the one that ships, {digest}")


def _fault(state: Path) -> str:
    try:
        content = policy_file.of_folder(state)
        policy_file.read(content if content is not None else b"")
    except policy_file.PolicyWrong as wrong:
        return f"{policy_file.NAME}, {wrong.told()}"
    except OSError as error:
        return f"{policy_file.NAME} cannot be read: {error.strerror or error}"
    return f"{policy_file.NAME} was refused"
