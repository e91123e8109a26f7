"""A terminal's bytes as keys: a sequence is one key, however its bytes arrive, and what is not bound types nothing."""

from __future__ import annotations

import pytest

from talk.stage.keys import SPLIT_SECONDS, Key, KeyDecoder

OTHER = Key("other")
FORWARD = Key("forward")
ENTER = Key("enter")

UNBOUND = {
    "Left": b"\x1b[D",
    "Down": b"\x1b[B",
    "Left in application mode": b"\x1bOD",
    "Down in application mode": b"\x1bOB",
    "Ctrl-Left": b"\x1b[1;5D",
    "Alt-Left of rxvt": b"\x1b\x1b[D",
    "Shift-Down of rxvt": b"\x1b[b",
    "PageUp": b"\x1b[5~",
    "Ctrl-PageDown": b"\x1b[6;5~",
    "F1": b"\x1bOP",
    "F5": b"\x1b[15~",
    "F2 of the Linux console": b"\x1b[[B",
    "Shift-Tab": b"\x1b[Z",
    "Alt-d": b"\x1bd",
    "Alt-Enter": b"\x1b\r",
    "mouse, SGR": b"\x1b[<0;100;10M",
    "mouse released, SGR": b"\x1b[<35;100;100m",
    "mouse, X10": b"\x1b[M db",
    "mouse, urxvt": b"\x1b[32;100;10M",
    "focus": b"\x1b[I",
    "d of the kitty protocol": b"\x1b[100;1u",
    "Enter by modifyOtherKeys": b"\x1b[27;5;13~",
    "answer: device attributes": b"\x1b[?62;1;6d",
    "answer: background colour, BEL": b"\x1b]11;rgb:dd/dd/dd\x07",
    "answer: background colour, ST": b"\x1b]11;rgb:dd/dd/dd\x1b\\",
    "answer: DCS": b"\x1bP1$rdb\x1b\\",
    "Left, 8-bit": b"\x9bD",
    "Left, 8-bit in UTF-8": b"\xc2\x9bD",
    "F3, 8-bit": b"\x8fR",
    "answer: 8-bit string": b"\x9d11;rgb:dd/dd/dd\x9c",
    "Ctrl-D": b"\x04",
    "Backspace": b"\x7f",
    "Tab": b"\t",
}


def keys(decoder: KeyDecoder, *pieces: bytes, apart: float) -> list[Key]:
    return [key for at, piece in enumerate(pieces) for key in decoder.feed(piece, at * apart)]


@pytest.mark.parametrize("sequence", UNBOUND.values(), ids=UNBOUND.keys())
def test_what_is_not_bound_types_nothing_whole_or_byte_by_byte(sequence: bytes) -> None:
    whole = KeyDecoder()
    assert set(whole.feed(sequence, 0.0)) == {OTHER}
    assert whole.feed(b"d", 0.01) == [Key("text", "d")]  # and it is over with its last byte
    slow = KeyDecoder()
    pieces = [sequence[at : at + 1] for at in range(len(sequence))]
    assert set(keys(slow, *pieces, apart=SPLIT_SECONDS / 2)) == {OTHER}


@pytest.mark.parametrize("sequence", [b"\x1b[D", b"\x1bOD", b"\x1b[1;5D", b"\x1b[<0;9;9M"])
def test_a_sequence_goes_on_however_late_its_rest_comes(sequence: bytes) -> None:
    decoder = KeyDecoder()
    pieces = [sequence[at : at + 1] for at in range(len(sequence))]
    assert keys(decoder, *pieces, apart=60.0) == [OTHER]


@pytest.mark.parametrize("sequence", [b"\x1b[6~", b"\x1b[C", b"\x1bOC", b"\x9bC"])
def test_page_down_and_right_are_what_a_clicker_sends(sequence: bytes) -> None:
    assert KeyDecoder().feed(sequence, 0.0) == [FORWARD]
    assert keys(KeyDecoder(), sequence[:1], sequence[1:], apart=1.0) == [FORWARD]


def test_escape_alone_holds_up_nothing() -> None:
    decoder = KeyDecoder()
    assert keys(decoder, b"\x1b", b"d", b"\x1b", b"\r", apart=SPLIT_SECONDS * 2) == [Key("text", "d"), ENTER]


def test_enter_breaks_an_unfinished_sequence_off() -> None:
    assert KeyDecoder().feed(b"\x1b[1;\r", 0.0) == [OTHER, ENTER]


def test_a_string_that_never_ends_holds_up_nothing_for_long() -> None:
    decoder = KeyDecoder()
    assert keys(decoder, b"\x1b]11;rgb:", b"d", apart=SPLIT_SECONDS * 2) == [Key("text", "d")]


@pytest.mark.parametrize(
    "pieces",
    [
        (b"\x1b[200~bad idea\rd\x1b[201~",),  # bracketed paste
        (b"\x1b[200~bad ", b"idea\rd\x1b[201~"),
        (b"bad idea\rd",),  # of a terminal that does not mark it
    ],
)
def test_a_paste_is_no_key(pieces: tuple[bytes, ...]) -> None:
    assert keys(KeyDecoder(), *pieces, apart=0.1) == [Key("paste", "bad idea\nd")]


def test_a_paste_whose_end_never_comes_is_a_paste_all_the_same() -> None:
    assert keys(KeyDecoder(), b"\x1b[200~bad\r", b"", apart=1.0) == [Key("paste", "bad\n")]


@pytest.mark.parametrize("typed", [b"d", b"d\r", b"\r\r\r", b"dddd", b"bd"])
def test_what_a_hand_can_type_at_once_is_no_paste(typed: bytes) -> None:
    assert "paste" not in {key.kind for key in KeyDecoder().feed(typed, 0.0)}


def test_a_letter_of_several_bytes_is_one_key_in_any_pieces() -> None:
    assert keys(KeyDecoder(), b"\xc3", b"\xa9", apart=1.0) == [Key("text", "é")]
    assert keys(KeyDecoder(), "日".encode()[:1], "日".encode()[1:], apart=1.0) == [Key("text", "日")]
