"""The step in which the human verifies the audit trail, and sees what one changed byte of it would do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from demo import panels
from demo.evidence.audit import ChangedByte
from demo.evidence.shop import Decision
from talk.playing.kind import Kind, Past, Step
from talk.playing.other_server import NotHere
from talk.playing.scene import Played, Scene

if TYPE_CHECKING:
    from demo.client.audit.chain import Reading
    from demo.client.audit.reading import Trail
    from talk.playing.other_server import OtherServer

_TELLING = ("consent", "agent", "user", "reason")
"""Fields that an entry may be changed in, the most telling first: whom to blame."""


def verify(_: Step, scene: Scene) -> Played:
    """Read the trail with its links and checkpoints, verify it, and verify it again with one byte of a copy changed."""
    from demo.client.audit import reading
    from demo.client.human.console import NoSuchRoute

    try:
        trail = reading.read(scene.cast.humans.console())
    except NoSuchRoute as none:
        if scene.cast.other is None:
            raise
        raise NotHere("this server does not prove its audit trail", why=none.what) from none
    checks = reading.check(trail, scene.cast.server.state)
    written = {
        item["entry"].get("audit_id"): item["entry"]
        for log in trail.logs
        for item in log.entries
        if isinstance(item.get("entry"), Mapping)
    }
    seen = [Decision.from_dict(dict(one)) for result in scene.seen() for one in result.decisions]
    ours = [one for one in seen if one.user in (None, trail.reader)]
    changed = _changed(trail, {one.audit_id for one in ours if one.order_id and one.user})
    observed: dict[str, Any] = {
        "verified": not any(one.findings for one in checks),
        "findings": sum(len(one.findings) for one in checks),
        "entries": sum(one.entries for one in checks),
        "signed": bool(checks) and all(one.signed_at is not None for one in checks),
        "chained": bool(ours) and all(_is(written.get(one.audit_id), one) for one in ours),
        "caught": changed is not None and bool(changed.findings),
        "named": changed is not None and {one.seq for one in changed.findings} == {changed.seq},
    }
    played = Played(observed, {"verification": lambda: panels.verification(checks, trail.keys_at, scene.names())})
    if changed is not None:
        played.panels["changed-byte"] = lambda: panels.changed_byte(changed)
    return played


def _is(entry: Mapping[str, Any] | None, decision: Decision) -> bool:
    """Whether a chained entry says what was decided, as this run was told it."""
    return entry is not None and Decision.from_dict(dict(entry)) == decision


def _changed(trail: Trail, orders: set[str]) -> ChangedByte | None:
    """One byte of a copy changed, in an entry by which this run bought if there is one; what verifying says then."""
    candidates = [
        (item["entry"].get("audit_id") in orders, number, log)
        for log in trail.logs
        for number, item in enumerate(log.entries)
        if isinstance(item.get("entry"), Mapping) and item["entry"].get("seq", 0) > log.pruned
    ]
    if not candidates:
        return None
    _, number, log = max(candidates, key=lambda one: one[0])
    return _with_changed_byte(trail, log, number)


def _with_changed_byte(trail: Trail, log: Reading, number: int) -> ChangedByte | None:
    from demo.client.audit import chain

    entry = log.entries[number]["entry"]
    name = next((one for one in _TELLING if isinstance(entry.get(one), str) and entry[one]), None)
    if name is None:
        return None
    copy = bytearray(chain.canonical(entry))
    value = json.dumps(entry[name], ensure_ascii=False).encode()
    at = copy.find(json.dumps(name).encode() + b":" + value) + len(json.dumps(name)) + len(value) - 1
    copy[at] = ord("0") if copy[at] != ord("0") else ord("1")
    altered = json.loads(copy)
    entries = list(log.entries)
    entries[number] = {**entries[number], "entry": altered}
    findings = chain.verify(replace(log, entries=tuple(entries)), trail.jwks).findings
    return ChangedByte(
        seq=int(entry["seq"]),
        audit_id=str(entry.get("audit_id")),
        name=name,
        before=str(entry[name]),
        after=str(altered[name]),
        at=at + 1,
        of=len(copy),
        link=str(log.entries[number]["link"]),
        hashed=chain.link_after(chain.link_before(log, entry["seq"]), altered).hex(),
        findings=findings,
    )


def _no_console(_: Step, other: OtherServer, __: Past) -> str | None:
    return other.no_console()


VERIFY = Kind(
    "verify",
    "Verify the audit trail as the human: hash each entry, check the signed checkpoints, and do it again with one byte"
    " of a copy changed.",
    verify,
    observes={
        "verified": bool,
        "findings": int,
        "entries": int,
        "signed": bool,
        "chained": bool,
        "caught": bool,
        "named": bool,
    },
    shows=("verification", "changed-byte"),
    why_not=_no_console,
)
