"""Values are harmless, fit their width, and tell how long they really are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from demo.panels import safe, shorten
from demo.panels._body import body_lines
from demo.panels._values import clock, left, span, wrap


def test_a_long_value_is_cut_in_the_middle_and_its_length_told() -> None:
    assert shorten("a" * 50 + "z" * 50, 15) == "aaaaa…100…zzzzz"


def test_a_value_that_fits_is_left_alone() -> None:
    assert shorten("alice@example.com", 17) == "alice@example.com"


@given(st.text(), st.integers(0, 60))
def test_a_shortened_value_never_takes_more_columns_than_given(value: str, width: int) -> None:
    assert cell_len(shorten(safe(value), width)) <= width


@given(st.text(), st.integers(1, 60), st.integers(1, 4))
def test_wrapped_prose_never_takes_more_than_given(value: str, width: int, at_most: int) -> None:
    lines = wrap(safe(value), width, at_most=at_most)
    assert len(lines) <= at_most
    assert all(cell_len(line) <= width for line in lines)


@given(st.text(alphabet=st.characters()))
def test_a_safe_value_is_printable_and_can_be_written(value: str) -> None:
    assert safe(value).isprintable()
    safe(value).encode("utf-8")
    safe(value, "ascii").encode("ascii")


@pytest.mark.parametrize(
    ("given_", "shown"),
    [
        ("\x1b[2J", r"\x1b[2J"),
        ("a\u202eb", r"a\u202eb"),
        ("a\u200bb", r"a\u200bb"),
        ("\ud800", r"\ud800"),
        ("a\r\nb", r"a\r\nb"),
        ("\x9b31m", r"\x9b31m"),
        ("a\u00a0b", "a b"),
        ("東京", "東京"),
        ("[bold red]", "[bold red]"),
    ],
)
def test_what_a_terminal_would_obey_or_hide_is_written_out(given_: str, shown: str) -> None:
    assert safe(given_) == shown


def test_an_encoding_nobody_knows_is_treated_as_ascii() -> None:
    assert safe("é", "no-such-encoding") == r"\xe9"


def test_cut_prose_tells_how_many_words_are_missing() -> None:
    assert wrap("one two three four five six seven eight", 18, at_most=2) == ["one two three four", "… 4 more words"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 ms"), (0.0001, "under 1 ms"), (0.041, "41 ms"), (0.9999, "1 s"), (4.25, "4.2 s"), (9.99, "10 s"),
        (59.6, "1 min"), (252, "4 min 12 s"), (3600, "1 h"), (86400 * 2 + 3600 * 3, "2 days 3 h"),
        (float("nan"), "an unknown time"), (float("inf"), "an unknown time"),
    ],
)  # fmt: skip
def test_durations_are_words(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_time_left_and_time_over_are_words() -> None:
    assert left(252.0, 0.0) == "4 min 12 s left"
    assert left(0.0, 12.0) == "expired 12 s ago"
    assert left(float("inf"), 0.0) == "no expiry known"


@pytest.mark.parametrize("at", [None, float("inf"), float("nan"), 1e300, -1e300])
def test_what_is_not_a_time_says_so(at: float | None) -> None:
    assert clock(at) == "unknown time"


def test_json_packs_what_fits_and_opens_what_does_not() -> None:
    assert body_lines('{"a":1,"b":"two","c":{"d":[1,2,3],"e":"eeeeeeeeee"}}', "application/json", 20) == [
        '{"a": 1, "b": "two",', '  "c": {', '    "d": [1, 2, 3],', '    "e": "eeeeeeeeee"', "  }", "}",
    ]  # fmt: skip


def test_a_form_is_shown_field_by_field() -> None:
    assert body_lines("grant_type=refresh_token&refresh_token=***", "application/x-www-form-urlencoded", 60) == [
        "grant_type = refresh_token",
        "refresh_token = ***",
    ]


def test_an_event_stream_shows_its_data() -> None:
    assert body_lines('event: message\ndata: {"a": 1}\n\n', "text/event-stream", 60) == ['{"a": 1}']
