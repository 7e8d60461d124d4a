"""Times left are told by measured seconds an epoch, not by trials that ended."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.records import EpochRecord, TrialRecord, TrialState
from tests.results.written_run import a_trial
from tuner.config import StudyConfig
from tuner.scheduler import expected_epochs
from tuner.time_left import TimeLeft


def timed(
    number: int, epochs: int, seconds: float, start: float = 0.0, state: TrialState = TrialState.RUNNING
) -> TrialRecord:
    """Epochs of so many seconds each after `start`; one worker a trial number modulo two."""
    made = tuple(EpochRecord(one, 1.0, 0.5, 1.0, 0.5, seconds, start + one * seconds) for one in range(1, epochs + 1))
    return replace(a_trial(number), state=state, started=0.0, epochs=made, worker=f"here {number % 2}")


def test_nothing_is_known_before_the_first_epoch() -> None:
    left = TimeLeft(4, 20, 20)
    left.put(timed(0, 0, 1.0))
    assert left.seconds() is None


def test_finalists_of_190_seconds_an_epoch_are_known_to_take_hours_after_the_first_epoch() -> None:
    left = TimeLeft(9, 20, 20)
    for number in (0, 1):
        left.put(timed(number, 1, 190.0, start=60.0))
    assert left.seconds() == pytest.approx((9 * 20 - 2) * 190 / 2)


def test_trials_that_are_stopped_early_are_expected_to_be_short() -> None:
    left = TimeLeft(20, 20, 2.7)
    for number in range(10):
        left.put(timed(number, 1, 10.0, state=TrialState.STOPPED))
    assert left.seconds() == pytest.approx(10 * 10 * (2.7 + 10) / 11)


def test_what_the_first_trial_of_a_worker_takes_to_begin_is_not_expected_of_the_others() -> None:
    """It loads Keras and computes features, for four minutes here."""
    left = TimeLeft(10, 1, 1)
    left.put(timed(0, 1, 5.0, start=240.0, state=TrialState.DONE))
    assert left.seconds() == pytest.approx(9 * 5)
    left.put(timed(2, 1, 5.0, start=2.0, state=TrialState.DONE))
    assert left.seconds() == pytest.approx(8 * (5 + 2))


def test_a_long_trial_that_runs_alone_takes_as_long_as_it_takes() -> None:
    left = TimeLeft(2, 20, 20)
    left.put(timed(0, 10, 1.0))
    left.put(timed(1, 10, 60.0))
    assert left.seconds() == pytest.approx(600)


def test_asha_lets_one_in_three_go_on() -> None:
    assert expected_epochs(StudyConfig(max_epochs=20)) == pytest.approx(1 + 2 / 3 + 6 / 9 + 11 / 27)
    assert expected_epochs(StudyConfig(max_epochs=20, scheduler="none")) == 20


@given(st.integers(1, 12), st.randoms(use_true_random=False))
def test_the_order_of_changes_does_not_matter(count: int, order: random.Random) -> None:
    states = [TrialState.DONE, TrialState.STOPPED, TrialState.FAILED, TrialState.INFEASIBLE]
    lives = [
        [timed(number, epochs, 1.0 + number, 3.0) for epochs in range(3)]
        + [timed(number, 2, 1.0 + number, 3.0, states[number % 4])]
        for number in range(count)
    ]
    whole, last = TimeLeft(20, 5, 5), TimeLeft(20, 5, 5)
    for life in lives:
        for record in life:
            whole.put(record)
    for life in lives:
        last.put(life[-1])
    found, expected = whole.seconds(), last.seconds()
    assert (found is None) == (expected is None)
    if found is not None:  # but for how many ran beside each other
        assert found == pytest.approx(expected)
