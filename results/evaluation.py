"""How good a classifier is on held-out images: accuracy with its interval, classes, calibration."""

from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95
BINS = 10


@dataclass(frozen=True)
class ClassScores:
    """Of one class; a share is None where it would divide by nothing."""

    images: int
    precision: float | None
    """Of the images that were called so, the share that are."""
    recall: float | None
    """Of the images that are so, the share that were called so."""
    f1: float | None


@dataclass(frozen=True)
class CalibrationBin:
    """The images whose likeliest class had a probability in one tenth of the scale."""

    images: int
    confidence: float
    """Mean probability of the likeliest class."""
    accuracy: float


@dataclass(frozen=True)
class Mistaken:
    """Images of one class that were called another."""

    label: int
    called: int
    images: int
    of: int
    """Images of the class."""

    @property
    def share(self) -> float:
        """Of the class's images: a rare class counts as a common one does."""
        return self.images / self.of


@dataclass(frozen=True)
class Evaluation:
    """What a classifier did on labelled images; all shares are of 1."""

    images: int
    accuracy: float
    interval: tuple[float, float]
    """Of the accuracy on all such images, at `CONFIDENCE`: Wilson (1927), "Probable Inference, the Law of Succession,
    and Statistical Inference", which holds for few images and near 1 too."""
    log_loss: float
    """Mean negative logarithm of the right class's probability."""
    calibration_error: float
    """Mean distance between confidence and accuracy over the bins, by their images (Naeini, Cooper and Hauskrecht,
    2015, "Obtaining Well Calibrated Probabilities Using Bayesian Binning")."""
    bins: tuple[CalibrationBin, ...]
    """Those that have images, by confidence."""
    classes: tuple[ClassScores, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Images: a row a class that they are of, a column a class that they were called."""

    def mistaken(self, most: int) -> list[Mistaken]:
        """The classes whose images were most often called another one, by the share of the class, worst first."""
        found = [
            Mistaken(one, other, images, sum(row))
            for one, row in enumerate(self.confusion)
            for other, images in enumerate(row)
            if images and one != other
        ]
        return sorted(found, key=lambda each: (-each.share, -each.images))[:most]


def evaluate(labels: np.ndarray, probabilities: np.ndarray) -> Evaluation:
    """From labels (n,) and probabilities (n, classes); n is at least 1.

    Raises:
        ValueError: there are no images.
    """
    if not len(labels):
        raise ValueError("no images to evaluate on")
    from scipy.stats import binomtest  # here, because it takes a second to import

    called = probabilities.argmax(axis=1)
    right = called == labels
    interval = binomtest(int(right.sum()), len(right)).proportion_ci(CONFIDENCE, "wilson")
    bins = _bins(probabilities.max(axis=1), right)
    own = probabilities[np.arange(len(labels)), labels]
    counts = np.zeros((probabilities.shape[1],) * 2, int)
    np.add.at(counts, (labels, called), 1)
    return Evaluation(
        images=len(labels),
        accuracy=float(right.mean()),
        interval=(float(interval.low), float(interval.high)),
        log_loss=float(-np.log(np.maximum(own, np.finfo(np.float32).tiny)).mean()),
        calibration_error=sum(one.images * abs(one.confidence - one.accuracy) for one in bins) / len(labels),
        bins=bins,
        classes=tuple(_scores(counts, number) for number in range(len(counts))),
        confusion=tuple(tuple(map(int, row)) for row in counts),
    )


def _bins(confidences: np.ndarray, right: np.ndarray) -> tuple[CalibrationBin, ...]:
    places = np.minimum((confidences * BINS).astype(int), BINS - 1)
    return tuple(
        CalibrationBin(int(here.sum()), float(confidences[here].mean()), float(right[here].mean()))
        for here in (places == number for number in range(BINS))
        if here.any()
    )


def _scores(confusion: np.ndarray, number: int) -> ClassScores:
    right, are, called = confusion[number, number], confusion[number].sum(), confusion[:, number].sum()
    return ClassScores(int(are), _share(right, called), _share(right, are), _share(2 * right, are + called))


def _share(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None
