"""What a test split says of a classifier."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from sklearn.metrics import confusion_matrix, log_loss, precision_recall_fscore_support

from results.evaluation import Mistaken, evaluate


def drawn(images: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and probabilities that lean towards them."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, images)
    scores = rng.random((images, classes)) + 0.7 * np.eye(classes)[labels]
    return labels, scores / scores.sum(axis=1, keepdims=True)


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(2, 5), st.integers(0, 1000))
def test_it_says_what_scikit_learn_says(images: int, classes: int, seed: int) -> None:
    labels, probabilities = drawn(images, classes, seed)
    found = evaluate(labels, probabilities)
    called, every = probabilities.argmax(axis=1), list(range(classes))
    precision, recall, f1, counts = precision_recall_fscore_support(labels, called, labels=every, zero_division=np.nan)
    assert np.array_equal(found.confusion, confusion_matrix(labels, called, labels=every))
    assert found.log_loss == pytest.approx(log_loss(labels, probabilities, labels=every))
    for number, scores in enumerate(found.classes):
        own = (scores.images, scores.precision, scores.recall, scores.f1)
        theirs = counts[number], precision[number], recall[number], f1[number]
        assert [np.nan if value is None else value for value in own] == pytest.approx(theirs, nan_ok=True)
    assert found.accuracy == (labels == called).mean()
    assert sum(one.images for one in found.bins) == images


def test_the_interval_holds_the_true_accuracy_as_often_as_it_says() -> None:
    images, truth = 200, 0.9
    labels, held = np.zeros(images, int), 0.0
    for right in range(images + 1):
        probabilities = np.tile([0.0, 1.0], (images, 1))
        probabilities[:right] = 1.0, 0.0
        low, high = evaluate(labels, probabilities).interval
        held += binom.pmf(right, images, truth) * (low <= truth <= high)
    assert held == pytest.approx(0.95, abs=0.015)


def test_a_sure_classifier_that_is_right_half_the_time_is_badly_calibrated() -> None:
    probabilities = np.tile([1.0, 0.0], (10, 1))
    found = evaluate(np.arange(10) % 2, probabilities)
    assert found.calibration_error == pytest.approx(0.5)
    (only,) = found.bins
    assert (only.images, only.confidence, only.accuracy) == (10, 1.0, 0.5)


def test_the_class_that_is_mistaken_by_the_largest_share_comes_first() -> None:
    labels = np.array([0, 0, 0, 0, 0, 1, 1, 2, 2, 2])
    called = np.array([1, 1, 0, 0, 0, 0, 1, 2, 2, 1])
    found = evaluate(labels, np.eye(3)[called]).mistaken(5)
    assert found == [Mistaken(1, 0, 1, 2), Mistaken(0, 1, 2, 5), Mistaken(2, 1, 1, 3)]
    assert evaluate(labels, np.eye(3)[labels]).mistaken(5) == []


def test_no_images_are_refused() -> None:
    with pytest.raises(ValueError, match="no images"):
        evaluate(np.empty(0, int), np.empty((0, 3)))
