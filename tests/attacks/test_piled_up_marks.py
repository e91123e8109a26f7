"""Thousands of marks on one letter, which cover the lines around it and take no column of their own ("Zalgo" text;
Unicode TR 36 section 2.2, UAX 15 section 13 on runs of marks without end): bounded wherever a text of somebody else
reaches a terminal, an export or a page.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable

import pytest

from demo.auth_server.clients import metadata
from demo.panels import values
from deputize import text as texts
from deputize.http import sanitizing

KINDS = {
    "above": "\u0301",
    "below": "\u0323",
    "through": "\u0336",
    "around": "\u0488",
    "spacing": "\u0903",
    "of no class": "\u0e34",
    "invisible": "\u034f",
    "variation selectors": "\ufe00",
    "vowels of Hangul": "\u1161",
    "finals of Hangul": "\u11a8",
    "old vowels of Hangul": "\ud7b0",
    "of every class": "".join(chr(code) for code in range(0x300, 0x370)),
}
SHOWN: dict[str, Callable[[str], str]] = {
    "what the agent was told": sanitizing.safe_text,
    "a name on one line": lambda text: sanitizing.safe_text(text, one_line=True),
    "JSON": texts.json_text,
    "a panel, a page, an export": values.safe,
    "a client on the consent page": metadata.clean_name,
}


def pile(text: str) -> int:
    """The most characters of no width on one letter."""
    most = run = 0
    for character in text:
        hangul = "\u1160" <= character <= "\u11ff" or "\ud7b0" <= character <= "\ud7ff"
        run = run + 1 if hangul or unicodedata.category(character)[0] == "M" else 0
        most = max(most, run)
    return most


@pytest.mark.parametrize("weakened", [False, True], ids=["as it is", "weakened"])
@pytest.mark.parametrize("where", SHOWN)
def test_a_pile_of_marks_is_bounded(where: str, weakened: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if weakened:
        for module in (sanitizing, texts, values, metadata):
            monkeypatch.setattr(module, "bounded", lambda text, _: text)
    piles = {kind: pile(SHOWN[where](f"e{marks * 5000} fine")) for kind, marks in KINDS.items()}
    assert {kind for kind, height in piles.items() if height > texts.MOST_MARKS} == (set(KINDS) if weakened else set())


def test_it_is_told_how_many_are_left_out_and_data_stays_what_it_is() -> None:
    attack = "e" + "\u0301" * 5000 + "x"
    assert sanitizing.safe_text(attack) == "e\u0301\u0301\u0301<+4997 marks>x"
    assert json.loads(texts.json_text({attack: attack})) == {attack: attack}


@pytest.mark.parametrize(
    "word",
    [
        *("မြွှေ့", "ဦး", "ကျွန်ုပ်", "བསྒྲུབས", "རྒྱལ་པོ", "ที่นี้", "ក្រុង", "क्ष्म्यै", "স্ত্রী", "ക്ഷ്ണ", "בְּרֵאשִׁ֖ית", "مُحَمَّدٌ"),
        *(unicodedata.normalize("NFD", word) for word in ("Việt Nam", "한국어", "ǭ", "ΐ")),
        "❤️ 👍🏽 1️⃣",
    ],
)
def test_a_language_is_left_as_it_is(word: str) -> None:
    assert texts.bounded(word * 50, lambda marks: f"[{len(marks)}]") == word * 50
