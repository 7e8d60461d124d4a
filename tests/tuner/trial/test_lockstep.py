"""Work that waits for its turn."""

import threading
from collections.abc import Callable

import pytest

from tuner.trial.lockstep import Lockstep


def test_values_come_one_at_a_time_and_the_work_waits() -> None:
    seen: list[int] = []

    def work(hand_over: Callable[[int], None]) -> None:
        for number in range(3):
            seen.append(number)
            hand_over(number)

    steps = Lockstep(work)
    assert seen == []
    assert steps.next() == 0
    assert seen == [0]
    assert [steps.next(), steps.next(), steps.next(), steps.next()] == [1, 2, None, None]


def test_what_the_work_raises_comes_out_once() -> None:
    def work(hand_over: Callable[[int], None]) -> None:
        hand_over(1)
        raise ValueError("in the work")

    steps = Lockstep(work)
    assert steps.next() == 1
    with pytest.raises(ValueError, match="in the work"):
        steps.next()
    assert steps.next() is None


def test_closing_ends_the_thread_wherever_it_is() -> None:
    before = threading.active_count()

    def work(hand_over: Callable[[int], None]) -> None:
        while True:
            try:
                hand_over(1)
            except Exception:  # as libraries do
                continue

    def stubborn(hand_over: Callable[[int], None]) -> None:
        try:
            hand_over(1)
        finally:  # work that calls back once more while it unwinds
            hand_over(2)

    for started, kind in ((False, work), (True, work), (True, stubborn)):
        steps = Lockstep(kind)
        if started:
            assert steps.next() == 1
        steps.close()
    for _ in range(200):  # the thread may outlive its last value by a moment
        brief = Lockstep(lambda hand_over: None)
        assert (brief.next(), brief.next()) == (None, None)
        brief.close()
    ended = Lockstep(lambda hand_over: None)
    assert ended.next() is None
    ended.close()
    assert threading.active_count() == before
