"""The policy file: what is read, what is refused and where it says that, and the schema that editors check it by."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from demo import policy_file
from demo.policy_file import SHIPPED, PolicyWrong, read

TEXT = SHIPPED.text


def changed(old: str, new: str) -> bytes:
    assert TEXT.count(old) == 1, old
    return TEXT.replace(old, new).encode()


WRONG: dict[str, tuple[bytes, str, str | None]] = {
    "too little": (changed("calls = 10  ", "calls = 0  "), "rate.calls", "calls = 0"),
    "too much": (changed("calls = 10  ", "calls = 1000000001  "), "rate.calls", "calls = 1000000001"),
    "a text for a number": (changed("calls = 10  ", 'calls = "10"'), "rate.calls", 'calls = "10"'),
    "a fraction": (changed("calls = 10  ", "calls = 10.5"), "rate.calls", "calls = 10.5"),
    "a date": (changed("seconds = 10\n", "seconds = 2026-07-28\n"), "rate.seconds", "seconds = 2026"),
    "no number": (changed("seconds = 10\n", "seconds = nan\n"), "rate.seconds", "seconds = nan"),
    "yes": (
        changed("purchases_per_consent = 2", "purchases_per_consent = true"),
        "quota.purchases_per_consent",
        "true",
    ),
    "a key that is none": (changed("purchases_per_consent = 2", "purchases = 2"), "quota.purchases", "purchases = 2"),
    "a table that is none": (TEXT.encode() + b"[gates]\nskip = true\n", "gates", "[gates]"),
    "a tool that is none": (changed("getUserInfo", "getuserinfo"), "scopes.getuserinfo", "getuserinfo"),
    "a tool that is left out": (changed('getUserInfo = "user:read"\n', ""), "scopes.getUserInfo", "[scopes]"),
    "a scope that is none": (changed('"shop:buy"', '"shop:bye"'), "scopes.buyMcpShopItem", "shop:bye"),
    "a scope that is empty": (changed('"shop:buy"', '""'), "scopes.buyMcpShopItem", 'Item = ""'),
    "a scope of the human's console": (changed('"shop:buy"', '"sessions:manage"'), "scopes.buyMcpShopItem", "manage"),
    "everybody": (changed("alice@example.com", "*"), "allowlist, entry 1", "allowlist = ["),
    "every address": (changed("alice@example.com", "*@example.com"), "allowlist, entry 1", "allowlist = ["),
    "a list that is none": (changed("allowlist = [", "allowlist = 7 # ["), "", '"alice@example.com"'),
    "another version": (changed("version = 1", "version = 2"), "version", "version = 2"),
    "no version": (changed("version = 1", ""), "version", None),
    "no end": (changed("[quota]", "[quota"), "", "[quota"),
    "the same twice": (TEXT.encode() + b"purchases_per_consent = 3\n", "", "purchases_per_consent = 3"),
    "nothing": (b"", "version", None),
    "no text": (b"\xff\xfe", "", None),
    "too long": (TEXT.encode() + b"#" * policy_file.MOST_BYTES, "", None),
    "too deep": (b"a = " + b"[" * 20_000, "", None),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_file_that_is_wrong_is_refused_with_key_and_line(name: str) -> None:
    content, key, line = WRONG[name]
    with pytest.raises(PolicyWrong) as wrong:
        read(content)
    said = [(one.key, one.line) for one in wrong.value.faults]
    if line is None:
        assert key in {one for one, _ in said}
        return
    number = next(at for at, text in enumerate(content.decode().splitlines(), 1) if line in text)
    assert (key, number) in said


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(PolicyWrong) as wrong:
        read(changed("[rate]", "[rates]"))
    assert [one.key for one in wrong.value.faults] == ["rate", "rates"]
    assert wrong.value.told().endswith("(and 1 more)")


def test_the_digest_is_of_what_is_meant_and_not_of_how_it_is_written() -> None:
    same = "\n".join(line for line in TEXT.splitlines() if not line.startswith("#"))
    assert read(same.encode()).digest == SHIPPED.digest
    assert read(changed("purchases_per_consent = 2", "purchases_per_consent = 3")).digest != SHIPPED.digest
    assert read(changed("alice@example.com", "@example.com")).digest != SHIPPED.digest


@pytest.mark.parametrize("entry", ["ALICE@example.com", "@example.com", "role:admin", "members", "user_01", "auth0|7"])
def test_who_may_come_in_is_named_in_any_of_these_ways(entry: str) -> None:
    assert read(changed("alice@example.com", entry)).policy.allowlist[0] == entry


@pytest.mark.parametrize(
    ("key", "line"),
    [("rate.calls", "calls = 10"), ("scopes.prettyPlease", "prettyPlease"), ("allowlist", "allowlist = [")],
)
def test_a_key_is_found_at_its_line(key: str, line: str) -> None:
    number = SHIPPED.line(key)
    assert number is not None
    assert line in TEXT.splitlines()[number - 1]


@pytest.mark.parametrize(
    "text", ["rate.calls = 1", "[ rate ]\ncalls=1", '["rate"]\n"calls" = 1', "[rate] # x\n\ncalls = 1"]
)
def test_a_key_is_found_in_any_spelling_of_toml(text: str) -> None:
    number = policy_file.line_of(text, ("rate", "calls"))
    assert number == len(text.splitlines())


def test_a_folder_without_a_file_has_none_and_a_pipe_is_no_file(tmp_path: Path) -> None:
    assert policy_file.of_folder(tmp_path) is None
    os.mkfifo(tmp_path / policy_file.NAME)
    with pytest.raises(OSError, match="plain file"):
        policy_file.of_folder(tmp_path)


def test_the_schema_is_that_of_the_reader() -> None:
    told = json.dumps(policy_file.schema(), indent=2) + "\n"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        policy_file.SCHEMA.write_text(told, "utf-8")
    assert policy_file.SCHEMA.read_text("utf-8") == told
    Draft202012Validator.check_schema(json.loads(told))


def test_the_schema_refuses_what_the_reader_refuses_and_no_more() -> None:
    """As far as a schema sees it: what is TOML at all."""
    validator = Draft202012Validator(policy_file.schema())
    validator.validate(tomllib.loads(TEXT))
    seen = 0
    for name, (content, _, _) in WRONG.items():
        try:
            data: Any = tomllib.loads(content.decode())
        except (ValueError, RecursionError):
            continue
        if len(content) <= policy_file.MOST_BYTES:
            seen += 1
            assert not validator.is_valid(json.loads(json.dumps(data, default=str))), name
    assert seen > 15
