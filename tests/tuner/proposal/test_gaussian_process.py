"""The Gaussian process, against scikit-learn's and against what it should learn."""

import math

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern

from search_spaces.hyperparameter import Choices, Hyperparameter, Range
from tuner.proposal.gaussian_process import JITTER, GaussianProcess
from tuner.proposal.places import Places

NUMBERS = tuple(Hyperparameter(name, Range(0.0, 1.0), 0.5) for name in "xyz")
NONE = np.empty((0, 3))


def mean_at(process: GaussianProcess, points: np.ndarray) -> np.ndarray:
    return process.mean(process.covariance(points))


def variance_at(process: GaussianProcess, points: np.ndarray, pending: np.ndarray) -> np.ndarray:
    return process.variance(points, process.covariance(points), pending)


def test_with_the_same_kernel_it_says_what_scikit_learn_says() -> None:
    rng = np.random.default_rng(0)
    points, others, values = rng.random((30, 3)), rng.random((20, 3)), rng.normal(5, 2, 30)
    ours = GaussianProcess(Places(NUMBERS))
    ours.fit(points, values, is_kernel_kept=True)
    kernel = Matern(length_scale=0.5 * math.sqrt(3), nu=2.5)
    theirs = GaussianProcessRegressor(kernel, alpha=0.1**2 + JITTER, optimizer=None, normalize_y=True)
    mean, deviation = theirs.fit(points, values).predict(others, return_std=True)
    assert mean_at(ours, others) == pytest.approx(mean)
    assert variance_at(ours, others, NONE) == pytest.approx(deviation**2)


def test_a_pending_point_makes_as_certain_as_one_whose_value_is_known() -> None:
    rng = np.random.default_rng(1)
    points, values, others = rng.random((30, 3)), rng.normal(size=30), rng.random((20, 3))
    process, more = GaussianProcess(Places(NUMBERS)), GaussianProcess(Places(NUMBERS))
    process.fit(points, values, is_kernel_kept=True)
    pending = rng.random((4, 3))
    known = np.concatenate([values, mean_at(process, pending)])
    more.fit(np.concatenate([points, pending]), known, is_kernel_kept=True)
    scale = values.std() / known.std()
    assert variance_at(process, others, pending) == pytest.approx(variance_at(more, others, NONE) * scale**2, rel=1e-6)
    assert (variance_at(process, pending, pending) < variance_at(process, pending, NONE)).all()


def test_it_learns_which_hyperparameters_matter() -> None:
    """`x` waves, the label lifts, `z` does nothing."""
    places = Places((NUMBERS[0], Hyperparameter("label", Choices(("a", "b", "c")), "a"), NUMBERS[2]))
    rng = np.random.default_rng(2)

    def truth(points: np.ndarray) -> np.ndarray:
        return np.sin(6 * points[:, 0]) + 2 * (points[:, 1] == 1)

    def drawn(count: int) -> np.ndarray:
        return np.stack([rng.random(count), rng.integers(0, 3, count), rng.random(count)], axis=1)

    def placed(given: np.ndarray) -> np.ndarray:
        return np.array([places.of({"x": x, "label": "abc"[int(label)], "z": z}) for x, label, z in given])

    given, wanted = drawn(60), drawn(200)
    points, others = placed(given), placed(wanted)
    process = GaussianProcess(places)
    process.fit(points, truth(given) + rng.normal(0, 0.02, 60))
    errors = mean_at(process, others) - truth(wanted)
    deviation = np.sqrt(variance_at(process, others, np.empty((0, others.shape[1]))))
    assert np.sqrt((errors**2).mean()) < 0.1
    assert (np.abs(errors) < 3 * deviation + 0.02).mean() > 0.9
    moved = others.copy()
    moved[:, -1] = 1 - moved[:, -1]
    assert np.abs(mean_at(process, moved) - mean_at(process, others)).mean() < 0.1
    before = GaussianProcess(places)
    before.fit(points, truth(given), is_kernel_kept=True)
    assert np.sqrt(((mean_at(before, others) - truth(wanted)) ** 2).mean()) > 2 * np.sqrt((errors**2).mean())


def test_the_slope_of_the_kernels_search_is_that_of_its_loss() -> None:
    places, rng = Places((*NUMBERS, Hyperparameter("label", Choices(("a", "b", "c")), "a"))), np.random.default_rng(3)
    given = [
        {"x": rng.random(), "y": rng.random(), "z": rng.random(), "label": rng.choice(["a", "b", "c"])}
        for _ in range(25)
    ]
    points, values = np.array([places.of(one) for one in given]), rng.normal(size=25)
    process = GaussianProcess(places)
    kernel = rng.normal(0, 0.3, 6)
    slope = approx_fprime(kernel, lambda at: process._loss(at, points, values)[0], 1e-6)
    assert process._loss(kernel, points, values)[1] == pytest.approx(slope, rel=1e-3, abs=1e-3)
