"""Lines from a pipe: whole, bounded, and without a thread that outlives its use."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import anyio

from demo.bridge import stdio


async def nothing() -> None:
    return None


def lines_of(written: list[bytes], *, too_long: Callable[[], None] = lambda: None) -> list[str]:
    """What is read when this is written, piece after piece, and the pipe is closed."""
    reading, writing = os.pipe()

    def write() -> None:
        for piece in written:
            os.write(writing, piece)
        os.close(writing)

    async def read() -> list[str]:
        with anyio.fail_after(10):
            return [line async for line in stdio.Lines(reading, over=nothing, too_long=too_long)]

    threading.Thread(target=write, daemon=True).start()
    try:
        return anyio.run(read)
    finally:
        os.close(reading)


def test_a_line_in_pieces_is_one_line_and_a_last_one_needs_no_end() -> None:
    assert lines_of([b'{"a', b'":1}\n{"b":2}\n\n', b'{"c":3}']) == ['{"a":1}', '{"b":2}', '{"c":3}']


def test_a_character_cut_between_two_reads_is_whole() -> None:
    text = "é" * 70_000
    assert lines_of([f"{text}\n".encode()]) == [text]


def test_a_line_without_end_is_passed_over_and_the_next_is_read() -> None:
    seen: list[int] = []
    longest, stdio.LONGEST = stdio.LONGEST, 1000
    try:
        found = lines_of([b"x" * 500, b"x" * 200_000, b"\nnext\n"], too_long=lambda: seen.append(1))
    finally:
        stdio.LONGEST = longest
    assert found == ["next"]
    assert seen == [1]


def test_what_is_still_under_way_is_waited_for_before_the_end_is_told() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"last\n")
    os.close(writing)
    order: list[str] = []

    async def over() -> None:
        order.append("waited")

    async def read() -> None:
        async for line in stdio.Lines(reading, over=over):
            order.append(line)
        order.append("ended")

    anyio.run(read)
    os.close(reading)
    assert order == ["last", "waited", "ended"]
