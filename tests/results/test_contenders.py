"""Trials that could not win are no finalists; the one that is truly best nearly always is."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import binomtest

from results.contenders import SEED_SPREAD, Contenders, _wilson
from tests.results.written_run import a_trial


def test_trials_far_below_the_best_are_left_out_and_named() -> None:
    found = Contenders.of([a_trial(0, (0.834,)), a_trial(1, (0.477,)), a_trial(2, (0.336,)), a_trial(3)], 435)
    assert [trial.trial for trial in found.first(3)] == [0]
    assert found.left_out(3) == (
        "Not among the finalists: trial 1 (47.70 %), trial 2 (33.60 %), further below the best trial (83.40 %) than "
        "435 validation images and other seeds explain"
    )


def test_trials_that_few_images_cannot_tell_apart_all_go_on_but_no_more_than_asked_for() -> None:
    found = Contenders.of([a_trial(number, (0.9 - number / 100,)) for number in range(5)], 435)
    assert [trial.trial for trial in found.first(3)] == [0, 1, 2]
    assert found.left_out(3) is None


@pytest.mark.parametrize(("images", "count"), [(20, 2), (20_000, 1)])
def test_the_same_gap_is_noise_on_few_images_and_not_on_many(images: int, count: int) -> None:
    found = Contenders.of([a_trial(0, (0.9,)), a_trial(1, (0.8,))], images)
    assert len(found.first(3)) == count


def test_without_a_trial_nobody_contends() -> None:
    assert Contenders.of([a_trial(0)], 100).first(3) == []
    assert Contenders.of([], 100).left_out(3) is None


@pytest.mark.parametrize(("right", "images"), [(0, 7), (7, 7), (90, 100)])
def test_limits_are_those_of_scipy(right: int, images: int) -> None:
    theirs = binomtest(right, images).proportion_ci(0.95, "wilson")
    own = _wilson(right / images, images, -1.959964), _wilson(right / images, images, 1.959964)
    assert own == pytest.approx((theirs.low, theirs.high), abs=1e-6)


@pytest.mark.parametrize("images", [30, 400])
def test_the_truly_best_trial_is_left_out_in_fewer_than_one_study_of_twenty(images: int) -> None:
    """Studies of twenty trials that are nearly alike, where luck has most to say."""
    rng, lost, studies = np.random.default_rng(0), 0, 400
    for _ in range(studies):
        true = np.sort(rng.uniform(0.8, 0.85, 20))[::-1]
        seen = rng.binomial(images, np.clip(true + rng.normal(0, SEED_SPREAD, 20), 0, 1)) / images
        trials = [dataclasses.replace(a_trial(number, (float(each),))) for number, each in enumerate(seen)]
        lost += all(trial.trial != 0 for trial in Contenders.of(trials, images).first(20))
    assert lost / studies <= 0.05
