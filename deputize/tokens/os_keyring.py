"""The operating system's keyring: asked in a thread, and for so long only, since it may wait for its owner.

Windows keeps at most 2,560 bytes of a credential (CRED_MAX_CREDENTIAL_BLOB_SIZE of wincred.h), which is 1,280
characters as `keyring` writes them (UTF-16): less than most tokens. So what a keyring refuses for its length is sealed
(a JWE, RFC 7516) under a key that the keyring keeps, and the file has the sealed text.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

T = TypeVar("T")

KEYRING_SECONDS = 20.0
"""How long a keyring may take to answer; it may be asking its owner for a password."""
SURELY_KEPT: Final = 1280
"""Characters that every keyring keeps. One that refuses no more than these is broken, and not too small."""
IN_KEYRING: Final = "keyring"
"""What the file has in the place of a text that the keyring keeps."""
SEALED: Final = "sealed"
"""The file's name for a text that is sealed."""


class NoKeyring(Exception):
    """There is no keyring that keeps secrets, or it does not work."""


class OsKeyring:
    """The secrets of one service in the keyring. Each method raises `NoKeyring` where there is none that answers."""

    def __init__(self, service: str) -> None:
        self._service = service

    def put(self, slot: str, text: str) -> str | dict[str, str]:
        """Keep `text`; what the file is to have in its place."""

        def keep(keyring: Any) -> str | dict[str, str]:
            try:
                keyring.set_password(self._service, slot, text)
                return IN_KEYRING
            except Exception:  # each backend raises what its system raises
                if len(text) <= SURELY_KEPT:
                    raise
            key = _key(keyring.get_password(self._service, _of_key(slot)))
            keyring.set_password(self._service, _of_key(slot), key.as_dict(private=True)["k"])
            with suppress(Exception):  # an earlier text, which was shorter
                keyring.delete_password(self._service, slot)
            sealed = _seal(text, key)
            if _open(sealed, key) != text:  # joserfc opens 64 KiB at most
                raise NoKeyring(f"{len(text)} characters are too long for the keyring, and to be sealed")
            return {SEALED: sealed}

        return _ask(keep, KEYRING_SECONDS)

    def get(self, slot: str, kept: Any) -> str | None:
        """The text for which the file has `kept`; None where it cannot be read (any more)."""
        if kept == IN_KEYRING:
            return self._get(slot)
        key = self._get(_of_key(slot))
        sealed = kept.get(SEALED) if isinstance(kept, dict) else None
        try:
            return _open(sealed, _key(key)) if key and isinstance(sealed, str) else None
        except ValueError:  # it has been damaged there
            return None

    def _get(self, name: str) -> str | None:
        found: str | None = _ask(lambda keyring: keyring.get_password(self._service, name), KEYRING_SECONDS)
        return found

    def delete(self, slot: str) -> None:
        """Forget a text, and the key of one that was sealed."""

        def forget(keyring: Any) -> None:
            for name in (slot, _of_key(slot)):
                with suppress(Exception):  # backends differ in what they raise where there is nothing
                    keyring.delete_password(self._service, name)

        _ask(forget, KEYRING_SECONDS)


def keyring_name(seconds: float = 5.0) -> str | None:
    """The name of the keyring that tokens are kept in; None where there is none.

    Args:
        seconds: how long it may take to find out.
    """
    try:
        return _ask(lambda keyring: str(keyring.get_keyring().name), seconds)
    except NoKeyring:
        return None


def _of_key(slot: str) -> str:
    return f"{slot} (key)"


def _key(text: str | None) -> Any:
    """The key that the keyring has, a fresh one where it has none."""
    from joserfc.jwk import OctKey

    return OctKey.generate_key(256) if not text else OctKey.import_key({"kty": "oct", "k": text})


def _seal(text: str, key: Any) -> str:
    from joserfc import jwe

    return jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, text, key)


def _open(sealed: str, key: Any) -> str | None:
    from joserfc import jwe
    from joserfc.errors import JoseError

    try:
        plain = jwe.decrypt_compact(sealed, key, algorithms=["dir", "A256GCM"]).plaintext
    except (JoseError, ValueError):
        return None
    return None if plain is None else plain.decode()


def _keyring() -> Any:
    """The keyring module, if it has a backend that keeps secrets."""
    import keyring
    from keyring.backends import fail, null

    backend = keyring.get_keyring()
    if isinstance(backend, fail.Keyring | null.Keyring) or not getattr(backend, "backends", True):
        raise NoKeyring("this system has no keyring")
    return keyring


def _ask(question: Callable[[Any], T], seconds: float) -> T:
    """Put `question` to the keyring, in a thread: a keyring may wait for its owner, and we must not.

    Raises:
        NoKeyring: there is none, it fails, or it does not answer in time.
    """
    answers: list[T] = []
    failures: list[str] = []

    def ask() -> None:
        try:
            answers.append(question(_keyring()))
        except NoKeyring as error:
            failures.append(str(error))
        except Exception as error:  # each backend raises what its system raises
            failures.append(f"the keyring failed ({type(error).__name__}: {error})")

    thread = threading.Thread(target=ask, daemon=True, name="keyring")
    thread.start()
    thread.join(seconds)
    if answers:
        return answers[0]
    raise NoKeyring(failures[0] if failures else f"the keyring did not answer within {seconds:g} s")
