"""Who won, and whether that is more than noise."""

from dataclasses import replace

import pytest
from scipy.stats import ttest_ind

from results.finalists import failed, lead, outcome, ranked
from results.records import TrialRecord, TrialState
from tests.results.written_run import a_trial


def runs(units: int, *accuracies: float, begin: int = 0) -> list[TrialRecord]:
    """One a seed, of the configuration with so many units."""
    return [
        replace(a_trial(begin + seed, (0.1, accuracy, accuracy - 0.1), units=units), seed=seed)
        for seed, accuracy in enumerate(accuracies, start=1)
    ]


SEARCHED = [a_trial(0, (0.95,), units=16), a_trial(1, (0.94,), units=32), a_trial(2, (0.93,), units=64)]


def test_the_winner_has_the_highest_mean_not_the_highest_score_of_the_search() -> None:
    found = ranked(SEARCHED, [*runs(16, 0.80, 0.84), *runs(32, 0.90, 0.92, begin=2), *runs(64, 0.91, 0.85, begin=4)])
    assert [(one.trial, one.searched, round(one.mean, 6)) for one in found] == [
        (1, 0.94, 0.91), (2, 0.93, 0.88), (0, 0.95, 0.82),
    ]  # fmt: skip
    assert found[0].spread == pytest.approx(0.0141421, abs=1e-6)


def test_a_run_that_did_not_finish_does_not_count() -> None:
    broken = [replace(run, state=TrialState.FAILED) for run in runs(32, 0.99)]
    assert [one.trial for one in ranked(SEARCHED, [*runs(16, 0.8), *broken])] == [0]
    assert ranked(SEARCHED, broken) == []


def test_who_failed_on_a_seed_does_not_win_by_luck_on_another() -> None:
    broken = [replace(run, state=TrialState.FAILED) for run in runs(32, 0.1, 0.1, begin=2)]
    lucky = replace(runs(32, 0.99, begin=5)[0], seed=3)
    found = ranked(SEARCHED, [*runs(16, 0.8, 0.82), *broken, lucky])
    assert [(one.trial, one.failed) for one in found] == [(0, ()), (1, (1, 2))]


def test_a_failure_that_was_repeated_with_luck_is_none() -> None:
    (broken,) = runs(16, 0.1)
    found = ranked(SEARCHED, [replace(broken, state=TrialState.FAILED), *runs(16, 0.8, begin=7)])
    assert [(one.trial, one.failed, one.accuracies) for one in found] == [(0, (), [0.8])]
    assert failed([replace(broken, state=TrialState.FAILED), *runs(16, 0.8, begin=7)]) == []


def test_until_the_test_split_is_opened_nobody_has_won() -> None:
    found = ranked(SEARCHED, runs(16, 0.8))
    assert outcome(found, None, 0)[0].startswith("Trial 0 leads so far: 80.00 % validation accuracy")


def test_of_two_finalists_the_lead_is_students() -> None:
    found = lead(ranked(SEARCHED, [*runs(16, 0.90, 0.91, 0.92), *runs(32, 0.80, 0.82, 0.81, begin=3)]))
    assert found is not None
    theirs = ttest_ind([0.90, 0.91, 0.92], [0.80, 0.82, 0.81]).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=1e-4)
    assert found.difference == pytest.approx(0.1)
    assert not found.is_noise


def test_a_small_lead_is_noise() -> None:
    found = lead(ranked(SEARCHED, [*runs(16, 0.80, 0.90), *runs(32, 0.81, 0.88, begin=2)]))
    assert found is not None
    assert found.is_noise


def test_one_seed_tells_nothing_of_noise() -> None:
    assert lead(ranked(SEARCHED, [*runs(16, 0.9), *runs(32, 0.8, begin=1)])) is None
    assert lead(ranked(SEARCHED, runs(16, 0.9, 0.8))) is None


def test_no_spread_at_all_tells_nothing_of_noise() -> None:
    assert lead(ranked(SEARCHED, [*runs(16, 0.9, 0.9), *runs(32, 0.8, 0.8, begin=2)])) is None
