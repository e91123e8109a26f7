"""Verifying one log of the audit trail: each entry against its link, the links against signed checkpoints, and all of
it against what was verified before. Pure: nothing is fetched here.

The format is docs/wire.md's, and this is the agent's own code for it: the shop's is not believed about the shop.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from demo.evidence.audit import LogCheck, TrailFinding
from deputize.http.sanitizing import safe_text
from deputize.tokens import claims

CHECKPOINT: Final = "audit-checkpoint+jwt"


@dataclass(frozen=True)
class Reading:
    """One log as it was read: what the server says of it, its entries with their links, and the checkpoints, all as
    they came."""

    log: str
    user: str | None
    size: int
    pruned: int
    pruned_link: str
    entries: tuple[Mapping[str, Any], ...]
    """`{"link", "entry"}`, in the order in which they came."""
    checkpoint: str | None
    """The newest, a compact JWS; None where the server gives none."""
    checkpoints: tuple[str, ...] = ()
    """Older ones."""


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint says whose signature is good."""

    log: str
    size: int
    link: str
    at: float
    key: str
    """The thumbprint of the key that signed it."""
    written_before: int = 0
    pruned: int | None = None
    """How many entries at the beginning are gone; None where it does not say."""


@dataclass
class _Found:
    findings: list[TrailFinding] = field(default_factory=list)

    def add(self, kind: Any, seq: int | None, entry: Mapping[str, Any] | None, what: str) -> None:
        told = (entry or {}).get("audit_id")
        audit_id = safe_text(told, one_line=True) if isinstance(told, str) else None
        self.findings.append(TrailFinding(kind, seq, audit_id, what))


def canonical(entry: Mapping[str, Any]) -> bytes:
    """An entry as it was hashed: RFC 8785's canonical JSON of a flat object with ASCII names.

    Raises:
        ValueError: it holds a number that JSON does not have.
    """
    flat = {
        name: int(value) if isinstance(value, float) and value.is_integer() else value for name, value in entry.items()
    }
    text = json.dumps(flat, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def link_after(previous: bytes, entry: Mapping[str, Any]) -> bytes:
    """The link of an entry that follows the one with the link `previous`."""
    return sha256(previous + canonical(entry)).digest()


def link_before(reading: Reading, seq: int) -> bytes:
    """What the entry at this place follows; no bytes where that is not in the reading."""
    if seq == reading.pruned + 1:
        return _bytes(reading.pruned_link) if reading.pruned else sha256(reading.log.encode()).digest()
    for item in reading.entries:
        entry = item.get("entry")
        if isinstance(entry, Mapping) and entry.get("seq") == seq - 1:
            return _bytes(item.get("link"))
    return b""


def verify(
    reading: Reading, jwks: Mapping[str, Any] | None, remembered: Checkpoint | None = None, *, copy: bool = False
) -> LogCheck:
    """Verify one log.

    Args:
        jwks: the keys of the shop that wrote it, None where there are none.
        remembered: the checkpoint up to which this client has verified it before.
        copy: it may be older than that; its key and its name are the same all the same.
    """
    found = _Found()
    reached = None if remembered is None or (copy and remembered.size > reading.size) else remembered
    links = _links(reading, found)
    anchors = _anchors(reading, jwks, found)
    _against(anchors, reached, reading, links, found)
    newest = max(anchors, key=lambda one: one.size, default=None)
    _pruned(reading, newest, found)
    if remembered is not None:
        _against_memory(reading, remembered, newest, found)
    return LogCheck(
        log=safe_text(reading.log, one_line=True),
        user=reading.user,
        size=reading.size,
        entries=sum(place > reading.pruned for place in links),
        written_before=newest.written_before if newest else 0,
        link=(links.get(reading.size) or b"").hex(),
        signed_at=newest.at if newest else None,
        key=newest.key if newest else None,
        remembered=reached.size if reached is not None and not _is_forgotten(reached, reading) else None,
        findings=tuple(sorted(found.findings, key=lambda one: (one.seq is None, one.seq or 0))),
    )


def read_checkpoint(signed: str, jwks: Mapping[str, Any] | None) -> Checkpoint:
    """What a checkpoint says.

    Raises:
        ValueError: its signature is not good, or it is none; the message says why.
    """
    jwt = claims.take_apart(signed)
    if jwt is None or jwt.header.get("typ") != CHECKPOINT:
        raise ValueError(f"it is no {CHECKPOINT}")
    if jwks is None:
        raise ValueError("the shop publishes no key (RFC 9728 section 2, jwks_uri)")
    kid = claims.verify_signature(signed, jwks)
    key = claims.thumbprint(jwks, kid)
    told = jwt.claims
    log, size, link, at = told.get("log"), told.get("size"), told.get("link"), told.get("iat")
    before, pruned = told.get("written_before", 0), told.get("pruned")
    if not isinstance(log, str) or type(size) is not int or not isinstance(link, str) or type(at) is not int:
        raise ValueError("it names no log, size, link and time")
    return Checkpoint(
        log, size, link, float(at), key, before if type(before) is int else 0, pruned if type(pruned) is int else None
    )


def _links(reading: Reading, found: _Found) -> dict[int, bytes]:
    """The link that each entry should have, by its place, with what follows from it for the next; findings on the way.

    Where an entry does not fit its own link the one that the server gives is gone on with, so that one altered entry is
    one finding.
    """
    by_place: dict[int, Mapping[str, Any]] = {}
    highest = 0
    for number, item in enumerate(reading.entries, reading.pruned + 1):
        entry = item.get("entry")
        seq = entry.get("seq") if isinstance(entry, Mapping) else None
        if not isinstance(entry, Mapping) or type(seq) is not int or seq < 1:
            found.add("inserted", None, None, f"what came as number {number} is no entry of this log")
            continue
        if seq in by_place:
            found.add("inserted", seq, entry, f"a second entry says that it is number {seq}")
            continue
        if seq < highest:
            found.add("moved", seq, entry, f"it came after number {highest}")
        highest = max(highest, seq)
        by_place[seq] = item
    links = {reading.pruned: link_before(reading, reading.pruned + 1)}
    last = reading.pruned
    for seq in sorted(place for place in by_place if place > reading.pruned):
        _gap(last, seq, found)
        last = seq
        entry, given = by_place[seq]["entry"], _bytes(by_place[seq].get("link"))
        before = links.get(seq - 1)
        if before is not None:
            try:
                fits = link_after(before, entry) == given
            except (ValueError, TypeError, RecursionError):
                fits = False
            if not fits:
                found.add("edited", seq, entry, "it is not what was written: its hash does not fit its link")
        links[seq] = given
    _gap(last, reading.size + 1, found)
    if highest > reading.size:
        found.add("inserted", highest, None, f"the log goes on behind its end, which is number {reading.size}")
    return links


def _gap(last: int, following: int, found: _Found) -> None:
    if following == last + 2:
        found.add("missing", last + 1, None, f"there is no entry number {last + 1}")
    elif following > last + 2:
        found.add("missing", last + 1, None, f"there are no entries number {last + 1} to {following - 1}")


def _anchors(reading: Reading, jwks: Mapping[str, Any] | None, found: _Found) -> list[Checkpoint]:
    """The checkpoints whose signatures are good."""
    anchors = []
    for signed in dict.fromkeys((*reading.checkpoints, *((reading.checkpoint,) if reading.checkpoint else ()))):
        try:
            one = read_checkpoint(signed, jwks)
        except ValueError as bad:
            found.add("unsigned", None, None, f"a checkpoint does not hold: {bad}")
            continue
        if one.log != reading.log:
            found.add("unsigned", None, None, "a checkpoint of another log stands in the place of this one's")
            continue
        anchors.append(one)
    if max((one.size for one in anchors), default=0) < reading.size:
        found.add("unsigned", None, None, "the shop signs no checkpoint of the log as it is")
    return sorted(anchors, key=lambda one: one.size)


def _against(
    anchors: Sequence[Checkpoint],
    remembered: Checkpoint | None,
    reading: Reading,
    links: Mapping[int, bytes],
    found: _Found,
) -> None:
    """Hold the links against what was signed: the first that differs tells from where on the log was rewritten."""
    known = [*anchors, *((remembered,) if remembered is not None and remembered.log == reading.log else ())]
    good = reading.pruned
    for one in sorted(known, key=lambda one: one.size):
        if one.size > reading.size:
            beyond = (
                f"numbers {reading.size + 1} to {one.size} were there when a checkpoint was signed, and are"
                if one.size > reading.size + 1
                else f"number {one.size} was there when a checkpoint was signed, and is"
            )
            found.add("cut", one.size, None, f"{beyond} gone")
            return
        if one.size in links and links[one.size].hex() != one.link:
            where = f"from number {good + 1} to {one.size}" if one.size > good + 1 else f"at number {one.size}"
            found.add("rewritten", one.size, None, f"the log is another {where} than when it was signed")
            return
        good = max(good, one.size)


def _against_memory(reading: Reading, remembered: Checkpoint, newest: Checkpoint | None, found: _Found) -> None:
    if remembered.log != reading.log:
        found.add("replaced", None, None, f"it is another log than the one that was verified before ({remembered.log})")
    if newest is not None and newest.key != remembered.key:
        found.add("key", None, None, "the checkpoint is signed with another key than the last one that was verified")


def _is_forgotten(remembered: Checkpoint, reading: Reading) -> bool:
    """Whether what was verified before is pruned by now, so that nothing ties it to what there is."""
    return remembered.log == reading.log and remembered.size < reading.pruned


def _pruned(reading: Reading, newest: Checkpoint | None, found: _Found) -> None:
    """That an entry was pruned is signed, or anybody could leave out what they like and say so."""
    signed = newest.pruned if newest is not None else None
    if signed is not None and reading.pruned > signed:
        which = f"numbers {signed + 1} to {reading.pruned}" if reading.pruned > signed + 1 else f"number {signed + 1}"
        found.add("missing", signed + 1, None, f"{which} are said to be pruned, which no checkpoint says")


def _bytes(given: Any) -> bytes:
    """A link as it came; no bytes where it is none, which fits nothing."""
    try:
        return bytes.fromhex(given) if isinstance(given, str) else b""
    except ValueError:
        return b""
