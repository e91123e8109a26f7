"""The presenter leads the talk's thread: going on counts only where it is awaited, and once for each press."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from talk.stage.control import REPEAT_SECONDS, REST_SECONDS, UNREAD_SECONDS, Control, Order, Presses, Redirected
from talk.stage.keys import Key
from tests.conftest import HANGS


@pytest.fixture
def control() -> Control:
    return Control()


@pytest.fixture
def beside() -> Iterator[Callable[[Callable[[], object]], list[object]]]:
    """Runs something in a thread of its own; what it gave or raised comes into the list."""
    threads: list[threading.Thread] = []

    def run(work: Callable[[], object]) -> list[object]:
        came: list[object] = []

        def do() -> None:
            try:
                came.append(work())
            except BaseException as error:
                came.append(error)

        threads.append(threading.Thread(target=do, daemon=True))
        threads[-1].start()
        return came

    yield run
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_press_while_nothing_is_awaited_skips_no_pause(control: Control, beside: Callable[..., list[object]]) -> None:
    for _ in range(300):
        assert control.go() is False
    came = beside(lambda: control.await_go(30))
    until(lambda: control.awaited == "go")
    time.sleep(0.05)
    assert came == []
    assert control.go() is True
    until(lambda: came)
    assert control.go() is False


def test_a_pause_ends_by_itself_at_its_bound(control: Control) -> None:
    began = time.monotonic()
    control.await_go(0.05)
    assert time.monotonic() - began < HANGS


def test_a_beat_that_was_chosen_is_kept_until_the_talk_can_turn(control: Control) -> None:
    control.request(Order("goto", "buy"))
    control.request(Order("back"))
    with pytest.raises(Redirected) as turned:
        control.check()
    assert turned.value.order == Order("back")
    control.check()  # once


def test_nothing_outweighs_the_end(control: Control) -> None:
    control.request(Order("close"))
    control.request(Order("again"))
    assert control.await_order() == Order("close")


def test_turning_is_no_error_that_anything_could_handle(control: Control) -> None:
    control.request(Order("again"))
    with pytest.raises(Redirected):
        try:
            control.check()
        except Exception as handled:
            raise AssertionError from handled


def test_keys_from_before_the_question_and_from_its_first_instant_are_no_answer(control: Control) -> None:
    assert control.press(Key("enter")) is False
    with control.keys() as keys:
        assert control.press(Key("enter")) is False
        assert keys.pressed(0) == []
        time.sleep(UNREAD_SECONDS + 0.05)
        assert control.press(Key("text", "d")) is True
        assert keys.pressed(1) == [Key("text", "d")]
    assert control.press(Key("enter")) is False


def test_the_presenter_turns_away_from_a_question_too(control: Control) -> None:
    with control.keys() as keys, pytest.raises(Redirected):
        control.request(Order("back"))
        keys.pressed(1)


def test_a_choice_that_nobody_makes_is_none(control: Control, beside: Callable[..., list[object]]) -> None:
    assert control.await_choice(0.02) == ""
    came = beside(lambda: control.await_choice(30))
    until(lambda: control.awaited == "choice")
    control.choose("s")
    until(lambda: came)
    assert came == ["s"]


def counted(*times: float) -> int:
    presses = Presses()
    return sum(presses.counts(at) for at in times)


def test_a_key_that_is_held_down_is_one_press_or_two() -> None:
    # A keyboard waits a quarter to half a second, then repeats.
    assert counted(*[0.0, *(0.4 + number / 30 for number in range(300))]) == 2
    assert counted(*(number / 300 for number in range(3000))) == 1


def test_a_double_press_is_one_and_steady_presses_all_count() -> None:
    assert counted(0.0, REST_SECONDS / 2) == 1
    assert counted(*(number * (REST_SECONDS + 0.01) for number in range(10))) == 10
    assert REPEAT_SECONDS < REST_SECONDS
