"""Where tokens are kept: the keyring where there is one, else a file for this user alone."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.backend
import keyring.backends.fail
import pytest

from demo.errors import ENVIRONMENT
from demo.logins import token_store
from deputize import StoredToken, TokenStore
from deputize.errors import EnvironmentNotReady
from deputize.tokens import os_keyring
from deputize.tokens import store as store_module
from deputize.tokens.os_keyring import keyring_name

SERVER = "http://127.0.0.1:7327"


class InMemory(keyring.backend.KeyringBackend):
    """A keyring for one test."""

    priority = 9  # type: ignore[assignment]
    name = "In memory"

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}
        self.broken = False
        self.slow = 0.0
        self.met = 0

    def _meet(self) -> None:
        self.met += 1
        time.sleep(self.slow)
        if self.broken:
            raise OSError("locked")

    def get_password(self, service: str, username: str) -> str | None:
        self._meet()
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._meet()
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._meet()
        del self.kept[service, username]


def use(backend: keyring.backend.KeyringBackend) -> Iterator[keyring.backend.KeyringBackend]:
    before = keyring.get_keyring()
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(before)


@pytest.fixture
def backend() -> Iterator[InMemory]:
    """A working keyring, allowed."""
    yield from use(InMemory())  # type: ignore[misc]


@pytest.fixture
def no_keyring() -> Iterator[None]:
    """A machine without a keyring, as a container is."""
    yield from use(keyring.backends.fail.Keyring())  # type: ignore[no-untyped-call,misc]


def token(text: str = "access-0123456789") -> StoredToken:
    return StoredToken(
        access_token=text,
        refresh_token="refresh-0123456789",
        expires_at=1_800_000_000.5,
        scope=("shop:read", "shop:buy"),
        issuer=SERVER,
        token_endpoint=f"{SERVER}/oauth2/token",
        client_id="demo-agent",
        resource=f"{SERVER}/mcp",
        authorization_details=({"type": "shop_spending", "limit": {"amount": 6000, "currency": "USD"}},),
    )


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_without_a_keyring_tokens_go_to_a_private_file_and_it_is_said_once(no_keyring: None, tmp_path: Path) -> None:
    store = TokenStore.open(tmp_path, server=SERVER)
    store.put("agent", token())
    assert store.get("agent") == token()
    assert store.notice is not None and "tokens.json" in store.notice and "no keyring" in store.notice
    assert mode(tmp_path / "secrets") == 0o700
    assert {mode(path) for path in (tmp_path / "secrets").iterdir()} == {0o600}
    again = TokenStore.open(tmp_path, server=SERVER)
    again.put("console", token())
    assert again.notice is None
    store_module._said.clear()  # as another process would find it
    later = TokenStore.open(tmp_path, server=SERVER)
    later.put("console", token())
    assert later.notice is None
    assert later.get("agent") == token()


def test_what_is_kept_of_an_authorization_server_first_is_said_too(no_keyring: None, tmp_path: Path) -> None:
    store = TokenStore.open(tmp_path, server=SERVER)
    store.at("https://login.example").keep("client agent browser", "who the agent is there")
    store.put("agent", token())
    assert store.notice is not None and "tokens.json" in store.notice
    store.notice = None
    assert store.at("https://login.example").notice is None


def test_where_the_file_is_asked_for_nothing_is_said(tmp_path: Path) -> None:
    store = TokenStore.open(tmp_path, server=SERVER, use_keyring=False)
    store.put("agent", token())
    assert store.notice is None


def test_nothing_is_made_before_something_is_kept(tmp_path: Path) -> None:
    store = TokenStore.open(tmp_path / "state", server=SERVER)
    assert store.get("agent") is None
    store.delete("agent")
    store.clear()
    assert list(tmp_path.iterdir()) == []


def test_a_umask_that_hides_nothing_does_not_matter(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        TokenStore.open(tmp_path, server=SERVER).put("agent", token())
    finally:
        os.umask(before)
    assert mode(tmp_path / "secrets") == 0o700
    assert mode(tmp_path / "secrets" / "tokens.json") == 0o600


def test_a_folder_that_others_may_read_is_closed(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir(mode=0o755)
    TokenStore.open(tmp_path, server=SERVER).put("agent", token())
    assert mode(tmp_path / "secrets") == 0o700


def test_a_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "secrets").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EnvironmentNotReady) as refused:
        TokenStore.open(tmp_path, server=SERVER).put("agent", token())
    assert refused.value.exit_code == ENVIRONMENT
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize(
    "broken", ["", "{", "[]", '{"http://127.0.0.1:7327": 7}', '{"http://127.0.0.1:7327": {"agent": "{}"}}', "\x00" * 9]
)
def test_a_broken_file_is_a_missing_token_and_mended_by_the_next(tmp_path: Path, broken: str) -> None:
    (tmp_path / "secrets").mkdir(mode=0o700)
    (tmp_path / "secrets" / "tokens.json").write_text(broken)
    store = TokenStore.open(tmp_path, server=SERVER)
    assert store.get("agent") is None
    store.put("agent", token())
    assert store.get("agent") == token()


@pytest.mark.parametrize("field", ["access_token", "refresh_token", "scope", "expires_at", "issuer"])
def test_a_token_with_a_field_of_another_kind_is_none(tmp_path: Path, field: str) -> None:
    store = TokenStore.open(tmp_path, server=SERVER)
    store.put("agent", token())
    path = tmp_path / "secrets" / "tokens.json"
    content = json.loads(path.read_text())
    kept = json.loads(content[SERVER]["agent"])
    kept[field] = {"not": [1]} if field == "expires_at" else 7
    content[SERVER]["agent"] = json.dumps(kept)
    path.write_text(json.dumps(content))
    assert store.get("agent") is None


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    store = TokenStore.open(tmp_path, server=SERVER)
    store.put("agent", token("a" * 30_000))
    stop = threading.Event()
    wrong: list[str] = []

    def read() -> None:
        while not stop.is_set():
            found = TokenStore.open(tmp_path, server=SERVER).get("agent")
            if found is None or set(found.access_token) not in ({"a"}, {"b"}) or len(found.access_token) != 30_000:
                wrong.append(repr(found))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    for letter in "ab" * 20:
        store.put("agent", token(letter * 30_000))
    stop.set()
    reader.join(60)
    assert wrong == []
    assert [path.name for path in (tmp_path / "secrets").iterdir() if path.name.startswith(".tokens")] == []


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = TokenStore.open(tmp_path, server=SERVER)
    store.put("agent", token("old-0123456789"))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EnvironmentNotReady) as refused:
        store.put("agent", token("new-0123456789"))
    assert "No space left" in refused.value.why and refused.value.do
    assert store.get("agent") == token("old-0123456789")
    assert not [path for path in (tmp_path / "secrets").iterdir() if path.name.startswith(".tokens")]


def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    def write(slot: str) -> None:
        for _ in range(5):
            TokenStore.open(tmp_path, server=SERVER).put(slot, token())

    writers = [threading.Thread(target=write, args=(f"slot{i}",), daemon=True) for i in range(6)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(15)
    store = TokenStore.open(tmp_path, server=SERVER)
    assert all(store.get(f"slot{i}") == token() for i in range(6))


def test_each_server_and_each_slot_has_its_own(tmp_path: Path) -> None:
    here, there = (TokenStore.open(tmp_path, server=server) for server in (SERVER, "https://shop.example"))
    here.put("agent", token())
    here.put("console", token())
    there.put("agent", token())
    assert there.get("console") is None
    here.clear()
    assert (here.get("agent"), here.get("console"), there.get("agent")) == (None, None, token())


def test_a_keyring_keeps_the_token_and_the_file_only_that_there_is_one(backend: InMemory, tmp_path: Path) -> None:
    store = TokenStore.open(tmp_path, server=SERVER)
    store.put("agent", token())
    assert TokenStore.open(tmp_path, server=SERVER).get("agent") == token()
    assert store.notice is None
    assert len(backend.kept) == 1
    assert "0123456789" not in (tmp_path / "secrets" / "tokens.json").read_text()
    assert TokenStore.open(tmp_path / "other", server=SERVER).get("agent") is None
    store.delete("agent")
    assert backend.kept == {}
    assert store.get("agent") is None


class Small(InMemory):
    """As Windows' Credential Manager: 2,560 bytes of UTF-16 a credential, and no more."""

    def set_password(self, service: str, username: str, password: str) -> None:
        if len(password.encode("utf-16-le")) > 2560:
            raise OSError(1783, "CredWrite", "The stub received bad data")
        super().set_password(service, username, password)


@pytest.fixture
def small() -> Iterator[Small]:
    """A keyring that keeps short secrets only."""
    yield from use(Small())  # type: ignore[misc]


def test_what_is_too_long_for_the_keyring_is_sealed_under_a_key_in_it(small: Small, tmp_path: Path) -> None:
    long, longer = token("access-0123456789" * 100), token("access-0123456789" * 2000)
    store, file = TokenStore.open(tmp_path, server=SERVER), tmp_path / "secrets" / "tokens.json"
    for kept in (long, token(), longer, long):
        store.put("agent", kept)
        assert TokenStore.open(tmp_path, server=SERVER).get("agent") == kept
        assert kept.access_token[:15] not in file.read_text() and "refresh-0123" not in file.read_text()
        assert mode(file) == 0o600
    assert store.notice is None, "the keyring protects it all the same"
    assert "0123456789" not in repr(small.kept), "the short one is gone from the keyring"
    assert all(len(secret) < 100 for secret in small.kept.values())


def test_a_sealed_text_is_gone_with_its_key_and_opened_by_no_other(small: Small, tmp_path: Path) -> None:
    store, file = TokenStore.open(tmp_path, server=SERVER), tmp_path / "secrets" / "tokens.json"
    for slot in ("agent", "console"):
        store.put(slot, token(f"{slot}-0123456789" * 200))
    content = json.loads(file.read_text())
    content[SERVER]["console"] = content[SERVER]["agent"]
    file.write_text(json.dumps(content))
    assert store.get("agent") is not None and store.get("console") is None
    before = dict(small.kept)
    small.kept.clear()
    assert store.get("agent") is None
    small.kept.update(before)
    store.delete("console")
    assert len(small.kept) == 1
    store.clear()
    assert small.kept == {}


@pytest.mark.parametrize("key", ["not base64: \u00e9", "A"])
def test_a_sealed_text_whose_key_has_been_damaged_is_none(key: str, small: Small, tmp_path: Path) -> None:
    store = TokenStore.open(tmp_path, server=SERVER)
    store.put("agent", token("access-0123456789" * 100))
    (kept,) = small.kept
    small.kept[kept] = key
    assert store.get("agent") is None


def test_what_is_too_long_to_be_sealed_goes_to_the_file_and_that_is_said(small: Small, tmp_path: Path) -> None:
    store, kept = TokenStore.open(tmp_path, server=SERVER), token("access-0123456789" * 10_000)
    store.put("agent", kept)
    assert TokenStore.open(tmp_path, server=SERVER).get("agent") == kept
    assert store.notice is not None


def test_a_small_keyring_that_fails_is_left_for_the_file(small: Small, tmp_path: Path) -> None:
    small.broken = True
    store = TokenStore.open(tmp_path, server=SERVER)
    store.put("agent", token("access-0123456789" * 100))
    assert store.get("agent") is not None and store.notice is not None


def test_clearing_empties_the_keyring_too(backend: InMemory, tmp_path: Path) -> None:
    store = TokenStore.open(tmp_path, server=SERVER)
    store.put("agent", token())
    store.put("console", token())
    store.clear()
    assert backend.kept == {}


def test_a_keyring_that_fails_is_left_for_the_file_and_that_is_said(backend: InMemory, tmp_path: Path) -> None:
    backend.broken = True
    store = TokenStore.open(tmp_path, server=SERVER)
    store.put("agent", token())
    assert store.get("agent") == token()
    assert store.notice is not None and "OSError: locked" in store.notice


def test_a_keyring_that_never_answers_holds_nobody_up_twice(
    backend: InMemory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    TokenStore.open(tmp_path, server=SERVER).put("agent", token())
    monkeypatch.setattr(os_keyring, "KEYRING_SECONDS", 0.5)
    backend.slow = 5
    store, backend.met = TokenStore.open(tmp_path, server=SERVER), 0
    assert [store.get("agent") for _ in range(5)] == [None] * 5
    assert backend.met == 1, "each of five would have waited its half second"
    assert store.notice is not None and "did not answer" in store.notice


def test_a_keyring_has_a_name(backend: InMemory) -> None:
    assert keyring_name() == "In memory"


def test_no_test_reaches_the_keyring_of_this_machine_or_of_another_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert (os.environ["DEMO_KEYRING"], keyring_name()) == ("0", None)


def test_no_keyring_has_no_name(no_keyring: None) -> None:
    assert keyring_name() is None


def test_the_program_finds_again_what_it_kept_before_the_library_had_a_name(
    backend: InMemory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMO_KEYRING", "1")
    token_store(tmp_path, server=SERVER).put("agent", token())
    where = hashlib.sha256(str(tmp_path).encode()).hexdigest()[:8]
    assert [*backend.kept] == [(f"machine-identity-demo {SERVER} {where}", "agent")]
    monkeypatch.setenv("DEMO_KEYRING", "0")
    token_store(tmp_path, server=SERVER).put("agent", token())
    assert "access-0123456789" in (tmp_path / "secrets" / "tokens.json").read_text("utf-8")


def test_one_refresh_at_a_time_and_never_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "REFRESH_SECONDS", 0.2)
    store = TokenStore.open(tmp_path, server=SERVER)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with TokenStore.open(tmp_path, server=SERVER).refreshing("agent"):
            held.set()
            done.wait(60)

    holder = threading.Thread(target=hold, daemon=True)
    holder.start()
    assert held.wait(60)
    with store.refreshing("console"):
        pass
    with pytest.raises(EnvironmentNotReady), store.refreshing("agent"):
        pass
    done.set()
    holder.join(60)
    with store.refreshing("agent"):
        pass
