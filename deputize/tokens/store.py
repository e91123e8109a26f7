"""Where tokens are kept between runs: the operating system's keyring, or a file for this user alone."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, Self

from deputize.tokens.os_keyring import IN_KEYRING, NoKeyring, OsKeyring
from deputize.tokens.secret_file import SecretFile
from deputize.tokens.stored import StoredToken

REFRESH_SECONDS = 40.0
"""How long to wait for another process's refresh."""

ISSUERS = "issuers of"
NOT_BY = "not by"
"""Beginnings of slots: at which authorization servers an agent is registered; why a flow is of no use to it at one."""

_said: set[Path] = set()  # folders for which this process has said its notice


class Store(Protocol):
    """Where an agent keeps what it must not lose: `TokenStore`, `MemoryStore`, or a program's own, such as a row for
    each of its users. A slot is a name within one server, and holds a token or a text."""

    def at(self, server: str) -> Store:
        """The same store for another server, or an authorization server: what one has in a slot no other sees."""

    def get(self, slot: str) -> StoredToken | None:
        """The token in a slot, as `put` was given it; None where there is none, or it cannot be read
        (`StoredToken.from_json`)."""

    def put(self, slot: str, token: StoredToken) -> None:
        """Keep a token in the place of what is there (`StoredToken.to_json` has all of it, its secrets, too)."""

    def kept(self, slot: str) -> str | None:
        """The text in a slot, as `keep` was given it; None where there is none."""

    def keep(self, slot: str, text: str) -> None:
        """Keep a text in the place of what is there: a registration or a login that waits, with its secrets."""

    def delete(self, slot: str) -> None:
        """Forget what is in a slot, if anything is."""

    def refreshing(self, slot: str) -> AbstractContextManager[None]:
        """Hold the right to renew a slot's token: one holder at a time among all threads and processes that share the
        store, since a refresh token is good for one use (RFC 9700 section 4.14)."""


class MemoryStore:
    """A store that lasts as long as the process."""

    def __init__(self) -> None:
        self._texts: dict[tuple[str, str], str] = {}
        self._locks: dict[tuple[str, str], threading.RLock] = {}
        self.server = ""

    def at(self, server: str) -> MemoryStore:
        """The same store for another server or an authorization server."""
        other = MemoryStore()
        other._texts, other._locks, other.server = self._texts, self._locks, server
        return other

    def get(self, slot: str) -> StoredToken | None:
        """The token in a slot."""
        text = self.kept(slot)
        return None if text is None else StoredToken.from_json(text)

    def put(self, slot: str, token: StoredToken) -> None:
        """Keep a token."""
        self.keep(slot, token.to_json())

    def kept(self, slot: str) -> str | None:
        """The secret text in a slot."""
        return self._texts.get((self.server, slot))

    def keep(self, slot: str, text: str) -> None:
        """Keep a secret text."""
        self._texts[self.server, slot] = text

    def delete(self, slot: str) -> None:
        """Forget what is in a slot."""
        self._texts.pop((self.server, slot), None)

    @contextmanager
    def refreshing(self, slot: str) -> Iterator[None]:
        """Hold the right to renew a slot's token: one thread at a time."""
        with self._locks.setdefault((self.server, slot), threading.RLock()):
            yield


class TokenStore:
    """The tokens of one server, by slot ("agent", "console"); at an authorization server, who the agent is there.

    Use `TokenStore.open`. `notice` is one sentence to say aloud when tokens are kept in a file because there is no
    keyring; it is set once for a state folder, ever, and None otherwise (also where the file was asked for).
    """

    def __init__(
        self, state_dir: Path, server: str, use_keyring: bool, service: str, notices: list[str] | None = None
    ) -> None:
        self.server = server
        # Shared with the same store for other servers: what is kept first may belong to an authorization server.
        self._notices: list[str] = [] if notices is None else notices
        self._state = state_dir
        self._file = SecretFile(state_dir / "secrets", "tokens.json")
        self._use_keyring = use_keyring
        self._service = service
        where = hashlib.sha256(str(state_dir.absolute()).encode()).hexdigest()[:8]
        self._keyring = OsKeyring(f"{service} {server} {where}")

    @classmethod
    def open(cls, state_dir: Path, *, server: str, use_keyring: bool = True, service: str = "deputize") -> Self:
        """A store; nothing is read, asked or created before it is used.

        Args:
            state_dir: the state folder; a 0700 folder `secrets` is made in it.
            server: the server whose tokens these are.
            use_keyring: whether the system's keyring is used where there is one; else a file of this user's alone.
            service: how the names of the keyring's entries begin.
        """
        return cls(Path(state_dir), server.rstrip("/"), use_keyring, service)

    def at(self, server: str) -> Self:
        """The same store for another server or issuer: what belongs to one is never found under another."""
        return type(self)(self._state, server.rstrip("/"), self._use_keyring, self._service, self._notices)

    @property
    def notice(self) -> str | None:
        """One sentence to say aloud, None where there is nothing to say (any more)."""
        return self._notices[0] if self._notices else None

    @notice.setter
    def notice(self, text: str | None) -> None:
        self._notices[:] = [] if text is None else [text]

    def get(self, slot: str) -> StoredToken | None:
        """The token in `slot`, None where there is none (or none that can be read)."""
        kept = self.kept(slot)
        try:
            return None if kept is None else StoredToken.from_json(kept)
        except ValueError:
            return None

    def put(self, slot: str, token: StoredToken) -> None:
        """Keep `token` in `slot`.

        Raises:
            EnvironmentNotReady: there is no keyring and the file cannot be written.
        """
        self.keep(slot, token.to_json())

    def kept(self, slot: str) -> str | None:
        """The secret text in `slot`, None where there is none (or none that can be read)."""
        kept = self._slots(self._file.read()).get(slot)
        if not _needs_keyring(kept):
            return kept if isinstance(kept, str) else None
        if not self._use_keyring:
            return None
        try:
            return self._keyring.get(slot, kept)
        except NoKeyring as error:
            # It was there when this was kept; a login is needed again, and the error says why.
            self._without(str(error))
            return None

    def keep(self, slot: str, text: str) -> None:
        """Keep a secret text in `slot`.

        Raises:
            EnvironmentNotReady: there is no keyring and the file cannot be written.
        """
        kept: str | dict[str, str] = text
        if self._use_keyring:
            try:
                kept = self._keyring.put(slot, text)
            except NoKeyring as error:
                self._without(str(error))
        # The file also says which slots the keyring holds: a keyring cannot be asked for a list.
        self._file.update(lambda content: self._slots(content, make=True).__setitem__(slot, kept))

    def delete(self, slot: str) -> None:
        """Forget what is in `slot`."""
        if slot not in self._slots(self._file.read()):
            return
        self._forget(slot)
        self._file.update(lambda content: self._slots(content).pop(slot, None) and None)

    def clear(self) -> None:
        """Forget every token of this server, and who its agents are at the authorization servers noted with them."""
        slots = self._slots(self._file.read())
        if not slots:
            return
        for noted in [slot for slot in slots if slot.startswith(ISSUERS)]:
            agent = noted.removeprefix(ISSUERS).strip()
            for issuer in (self.kept(noted) or "").split():
                there = self.at(issuer)
                for slot in [*there._slots(there._file.read())]:
                    if slot.startswith(f"client {agent} ") or (slot.startswith(NOT_BY) and slot.endswith(f" {agent}")):
                        there.delete(slot)
        slots = self._slots(self._file.read())
        for slot in slots:
            self._forget(slot)
        self._file.update(lambda content: content.pop(self.server, None) and None)

    @contextmanager
    def refreshing(self, slot: str) -> Iterator[None]:
        """Hold the right to refresh `slot`'s token: one process at a time, the others wait and read it again."""
        name = hashlib.sha256(f"{self.server} {slot}".encode()).hexdigest()[:16]
        with self._file.locked(f"refresh-{name}.lock", seconds=REFRESH_SECONDS):
            yield

    def _slots(self, content: dict[str, Any], *, make: bool = False) -> dict[str, Any]:
        slots = content.get(self.server)
        if not isinstance(slots, dict):
            slots = {}
            if make:
                content[self.server] = slots
        return slots

    def _forget(self, slot: str) -> None:
        if self._use_keyring and _needs_keyring(self._slots(self._file.read()).get(slot)):
            with suppress(NoKeyring):  # out of reach: the slot is forgotten all the same
                self._keyring.delete(slot)

    def _without(self, why: str) -> None:
        # Not asked again: one that hangs would hold up every later call as long.
        self._use_keyring = False
        self._say(why)

    def _say(self, why: str) -> None:
        marker = self._state / "secrets" / "keyring-notice-said"
        if marker in _said or marker.exists():
            return
        _said.add(marker)
        self.notice = f"Tokens are kept in {self._file.path}, readable by this user alone: {why}."
        self._file.prepare()
        with suppress(OSError):  # then it is said once more another time
            marker.touch(mode=0o600)


def _needs_keyring(kept: Any) -> bool:
    """Whether what the file has is in the keyring, or sealed under a key in it."""
    return kept == IN_KEYRING or isinstance(kept, dict)
