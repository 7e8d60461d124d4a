"""What finalists cost, and how many of them there is time for."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.records import EpochRecord, TrialRecord, TrialState
from tests.results.written_run import a_trial
from tuner.attempts import Attempt
from tuner.budget import Budget
from tuner.clock import StudyClock
from tuner.finalists_plan import plan
from tuner.training_cost import MARGIN, TrainingCost

THREE = [a_trial(number, (0.9,), units=16 * (number + 1)) for number in range(3)]


def timed(*seconds: float, state: TrialState = TrialState.DONE, start: float = 0.0) -> TrialRecord:
    """A trial with epochs of so many seconds, the first after `start`."""
    ends = [start + sum(seconds[: number + 1]) for number in range(len(seconds))]
    epochs = tuple(
        EpochRecord(number, 1.0, 0.5, 1.0, 0.5, each, end)
        for number, (each, end) in enumerate(zip(seconds, ends, strict=True), start=1)
    )
    return replace(a_trial(0), state=state, epochs=epochs, started=0.0)


def a_cost(trial: TrialRecord, seed: int) -> float:
    return 60.0


@pytest.mark.parametrize(
    ("left", "finalists", "seeds"),
    [(None, 3, 3), (5 * 60, 3, 3), (4 * 60, 3, 2), (120, 3, 1), (119, 2, 1), (60, 2, 1), (59, 0, 0)],
)
def test_seeds_go_first_then_finalists_and_none_where_none_can_end(
    left: float | None, finalists: int, seeds: int
) -> None:
    """Two trainings of a minute at a time."""
    found = plan(THREE, 3, a_cost, 2, left)
    assert ([trial.trial for trial in found.finalists], found.seeds) == (list(range(finalists)), seeds)
    assert (found.note is None) == (left in (None, 5 * 60))


def test_what_the_time_does_not_allow_is_told() -> None:
    assert plan(THREE, 3, a_cost, 1, 200).note == (
        "Fewer trainings of finalists: 3 finalists on 3 seeds would take about 9m00s, and there are 3m20s"
    )
    assert plan(THREE, 3, a_cost, 1, 10).note == (
        "No finalist: one training of trial 0 would take about 1m00s, and there are 10s"
    )


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=6), st.integers(1, 4), st.integers(1, 4), st.floats(0, 1e5))
def test_a_plan_always_fits(costs: list[float], seeds: int, at_a_time: int, left: float) -> None:
    trials = [a_trial(number, (0.9,)) for number in range(len(costs))]
    found = plan(trials, seeds, lambda trial, seed: costs[trial.trial], at_a_time, left)
    if found.finalists:
        whole = found.seeds * sum(costs[trial.trial] for trial in found.finalists)
        assert whole / at_a_time * (1 - 1e-9) <= found.seconds <= left
    else:
        assert costs[0] > left


def test_a_training_costs_what_its_epochs_were_measured_to_take() -> None:
    cost = TrainingCost([timed(30.0, 10.0, 12.0, 11.0, state=TrialState.STOPPED, start=5.0)], 20)
    assert cost.of(timed(1.0).configuration) == pytest.approx(MARGIN * (5 + 20 * 11))
    assert cost.of(timed(1.0).configuration, done=15) == pytest.approx(MARGIN * (5 + 5 * 11))


def test_features_that_were_computed_once_are_no_part_of_an_epoch() -> None:
    one = replace(timed(250.0, state=TrialState.INTERRUPTED), features=240.0)
    assert one.seconds_an_epoch == 10.0
    assert TrainingCost([one], 20).of(one.configuration) == pytest.approx(MARGIN * 20 * 10)


def test_one_that_stopped_early_by_itself_is_expected_to_do_so_again() -> None:
    assert TrainingCost([timed(1.0, 1.0, 1.0)], 20).of(timed(1.0).configuration) == pytest.approx(MARGIN * 3)


def test_what_a_finalist_takes_replaces_what_its_trial_took() -> None:
    cost = TrainingCost([timed(2.0, 2.0)], 20)
    cost.observe(timed(6.0, 6.0, state=TrialState.RUNNING))
    assert cost.of(timed(1.0).configuration) == pytest.approx(MARGIN * 12)
    assert cost.of({"never": "measured"}) == 0.0


def test_no_training_begins_that_would_not_end() -> None:
    now = [0.0]

    class Clock(StudyClock):
        def __call__(self) -> float:
            return now[0]

    budget = Budget(Clock(), 100.0, lambda attempt: 60.0)
    one = Attempt(0, {})
    assert budget.allows(one)
    now[0] = 41.0
    assert not budget.allows(one)
    assert budget.left == 59.0
    assert Budget(Clock()).allows(one)
