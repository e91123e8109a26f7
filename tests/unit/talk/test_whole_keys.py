"""What the session makes of a terminal's bytes: whole sequences, named by Textual; nothing comes in pieces."""

from __future__ import annotations

import pytest
from textual import events
from textual.message import Message

from talk.stage.keys import SPLIT_SECONDS, Splitter
from talk.stage.whole_keys import messages
from tests.unit.talk.test_keys import UNBOUND

TYPES = {"d of the kitty protocol", "Ctrl-D", "Backspace", "Tab"}
"""What is a key there, which the session then does not bind, or binds as the letter that it is."""


def read(*pieces: bytes, apart: float = 0.0) -> list[Message]:
    splitter = Splitter()
    return [one for at, piece in enumerate(pieces) for one in messages(splitter.feed(piece, at * apart))]


def letters(found: list[Message]) -> list[str]:
    return [one.key for one in found if isinstance(one, events.Key) and one.is_printable]


@pytest.mark.parametrize("sequence", [UNBOUND[name] for name in UNBOUND if name not in TYPES])
@pytest.mark.parametrize("apart", [0.0, SPLIT_SECONDS / 2])
def test_no_letter_of_a_sequence_is_a_key_whole_or_byte_by_byte(sequence: bytes, apart: float) -> None:
    assert letters(read(sequence)) == []
    assert letters(read(*(sequence[at : at + 1] for at in range(len(sequence))), apart=apart)) == []
    assert letters(read(sequence, b"d")) == ["d"]


@pytest.mark.parametrize("sequence", [b"\x1b[D", b"\x1bOD", b"\x1b[1;5D"])
def test_a_sequence_over_a_slow_line_is_still_one(sequence: bytes) -> None:
    found = read(*(sequence[at : at + 1] for at in range(len(sequence))), apart=5.0)
    assert [one.key for one in found if isinstance(one, events.Key)] in (["left"], ["ctrl+left"])


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        (b" ", "space"),
        (b"\r", "enter"),
        (b"\x1b[C", "right"),
        (b"\x9bC", "right"),
        (b"\x1bOC", "right"),
        (b"\x1b[6~", "pagedown"),
        (b"\x1b[5~", "pageup"),
        (b".", "full_stop"),
        (b"\x11", "ctrl+q"),
        (b"\x1b[32;;32u", "space"),
    ],
)
def test_the_presenter_s_keys_have_their_names(sent: bytes, key: str) -> None:
    assert [one.key for one in read(sent) if isinstance(one, events.Key)] == [key]


def test_escape_is_a_key_once_nothing_follows_it() -> None:
    found = read(b"\x1b", b"", apart=SPLIT_SECONDS * 2)
    assert [one.key for one in found if isinstance(one, events.Key)] == ["escape"]


@pytest.mark.parametrize("sent", [b"\x1b[200~bad idea\rd\x1b[201~", b"bad idea\rd"])
def test_a_paste_is_one_paste_whether_the_terminal_says_so_or_not(sent: bytes) -> None:
    (found,) = read(sent)
    assert isinstance(found, events.Paste)
    assert found.text == "bad idea\nd"
