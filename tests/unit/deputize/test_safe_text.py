"""Text of a server made safe to show: nothing that moves, turns or hides text is left, and nothing visible is lost."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from deputize.http.sanitizing import safe_data, safe_text

# Marks of Unicode's format category that are drawn: number signs and the like of Arabic, Syriac and Kaithi.
_DRAWN = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
_BLANKS = {0x115F, 0x1160, 0x3164, 0xFFA0}  # Hangul fillers: letters by category, and nothing to be seen


def test_every_control_and_format_character_becomes_visible() -> None:
    unsafe = [
        code
        for code in range(sys.maxunicode + 1)
        if code in _BLANKS or (unicodedata.category(chr(code)) in ("Cc", "Cf", "Cs", "Zl", "Zp") and code not in _DRAWN)
    ]
    assert len(unsafe) > 2200  # the surrogates alone are 2048
    left = [f"U+{code:04X}" for code in unsafe if chr(code) in safe_text(chr(code), one_line=True)]
    assert left == []
    assert safe_text("\t\n") == "\t\n"


@pytest.mark.parametrize("text", ["Grüße, 世界", "שלום", "مرحبا ٤٢", "🙂 naïve cafe\u0301", "a\tb\nc", "│ box ╮"])
def test_what_is_to_be_read_stays_as_it_is(text: str) -> None:
    assert safe_text(text) == text


def test_names_are_made_safe_as_values_are() -> None:
    shown = safe_data({"\x1b[2J\n": ["\x9b1A", {"\u202e": "\ud800"}]})
    assert shown == {"\u241b[2J\u240a": ["<U+009B>1A", {"<U+202E>": "<U+D800>"}]}


def test_what_is_nested_beyond_reason_goes() -> None:
    deep: object = "x"
    for _ in range(5000):
        deep = [deep]
    assert "..." in repr(safe_data(deep))
