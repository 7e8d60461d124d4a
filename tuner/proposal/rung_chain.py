"""What the scores at all rungs together say of a configuration that has not been tried."""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import takewhile

import numpy as np
from scipy.special import ndtr
from threadpoolctl import ThreadpoolController

from search_spaces.configuration import Configuration
from search_spaces.hyperparameter import Hyperparameter
from tuner.proposal.failures import FAILED, are_enough
from tuner.proposal.gaussian_process import GaussianProcess
from tuner.proposal.places import Places

ENOUGH = 10
"""Results that a rung must have before anything is concluded from it."""
MOST = 150
"""Scores of a rung that a process is fitted to: with all, a proposal would take ever longer."""
BEST = 50
"""How many of them are the best ones; the others are the latest."""
GROWTH = 1.25
"""A rung's kernel is found anew when so many times as many scores have come, or `MOST` more."""
DEPTH = 2.0
"""Scores lower than the median by more than so many times what the best lies above it count as no lower."""
LIKE_BELOW = 5.0
"""Trials that the belief is worth that a rung's scores differ as those of the rung below."""


class RungChain:
    """A Gaussian process a rung: of the scores at the first, then of what each adds to what the one below lets expect.

    So a trial that was stopped early tells of all rungs, and one that got far corrects what the early ones promise
    (Kennedy and O'Hagan, 2000, "Predicting the output from a complex computer code when fast approximations are
    available", Biometrika 87). What it says follows from what it was told, in that order, not from what it was asked.
    """

    def __init__(self, space: Sequence[Hyperparameter], rungs: Sequence[int]) -> None:
        self._places = Places(space)
        self._levels = {rung: _Level(self._places) for rung in sorted(rungs)}
        self._running: dict[int, np.ndarray] = {}
        self._is_fitted = False
        self._best = 0.0

    def begin(self, trial: int, configuration: Configuration) -> None:
        """A trial runs."""
        self._running[trial] = self._places.of(configuration)

    def score(self, trial: int, rung: int, score: float) -> None:
        """A trial that runs has its score at a rung, `FAILED` if it has failed before."""
        level = self._levels[rung]
        if level.add(trial, self._running[trial], score):
            self._is_fitted = False
            if level.is_due and level in self._believed():
                self._fit(renewed=level)

    def end(self, trial: int) -> None:
        """A trial runs no longer."""
        del self._running[trial]

    def gains(self, configurations: Sequence[Configuration]) -> np.ndarray:
        """(configurations,): the logarithm of the expected improvement at the highest rung that has `ENOUGH` results.

        One must have them. Improvement is over the highest mean of what was tried there (Jones, Schonlau and Welch,
        1998, "Efficient Global Optimization of Expensive Black-Box Functions"); trials on the way to a rung make their
        surroundings there less uncertain.
        """
        if not self._is_fitted:
            self._fit()
        points = np.array([self._places.of(one) for one in configurations])
        mean = variance = np.zeros(len(points))
        with _threads().limit(limits=1):
            for level in self._believed():
                known = level.covariance(points)
                mean = level.mean(known, mean)
                variance = level.slope**2 * variance + level.variance(points, known, self._running)
        return _log_expected_improvement(mean - self._best, np.sqrt(variance))

    def _believed(self) -> list["_Level"]:
        return list(takewhile(lambda level: level.results >= ENOUGH, self._levels.values()))

    def _fit(self, renewed: "_Level | None" = None) -> None:
        """Each level to its scores as they are; the kernel of one of them is found anew."""
        levels = self._believed()
        with _threads().limit(limits=1):
            for number, level in enumerate(levels):
                level.fit(_mean(levels[:number], level.points), is_kernel_kept=level is not renewed)
            self._best = float(_mean(levels, levels[-1].points).max())
        self._is_fitted = True


class _Level:
    """The scores at one rung, and how they follow from those at the rung below."""

    def __init__(self, places: Places) -> None:
        self.results = 0
        self.slope = self._offset = 0.0
        self._process = GaussianProcess(places)
        self._scored: dict[int, tuple[np.ndarray, float]] = {}
        self._added = 0
        self._found_at = 0

    @property
    def points(self) -> np.ndarray:
        """(n, coordinates): those that have a score."""
        return np.array([point for point, _ in self._scored.values()])

    @property
    def is_due(self) -> bool:
        """Whether much has changed since its kernel was found."""
        return self._added >= min(GROWTH * self._found_at, self._found_at + MOST)

    def add(self, trial: int, point: np.ndarray, score: float) -> bool:
        """A trial's point and score; says whether it counts: failures do not beyond what is kept of them."""
        if score == FAILED and are_enough(self._added - self.results, self.results):
            return False
        self._scored[trial] = point, score
        self._added += 1
        self.results += score != FAILED
        if len(self._scored) > MOST:
            ranked = sorted(self._scored, key=lambda trial: -self._scored[trial][1])
            kept = {*ranked[:BEST], *list(self._scored)[BEST - MOST :]}
            self._scored = {trial: scored for trial, scored in self._scored.items() if trial in kept}
        return True

    def fit(self, below: np.ndarray, is_kernel_kept: bool) -> None:
        """To what is left of the scores when `below`, what the rung below expects at these points, is a guide."""
        scores = self._lifted()
        spread = ((below - below.mean()) ** 2).mean()
        if spread > 0:
            shared = ((below - below.mean()) * (scores - scores.mean())).mean()
            count = len(scores)
            self.slope = min(max((count * shared / spread + LIKE_BELOW) / (count + LIKE_BELOW), 0.0), 2.0)
        self._offset = float(scores.mean() - self.slope * below.mean())
        self._process.fit(self.points, scores - self.slope * below - self._offset, is_kernel_kept)
        if not is_kernel_kept:
            self._found_at = self._added

    def covariance(self, points: np.ndarray) -> np.ndarray:
        """(n, scores): of points with what has a score."""
        return self._process.covariance(points)

    def mean(self, known: np.ndarray, below: np.ndarray) -> np.ndarray:
        """(n,): what is expected at the points with that covariance, given what is at the rung below."""
        return self.slope * below + self._offset + self._process.mean(known)

    def variance(self, points: np.ndarray, known: np.ndarray, running: Mapping[int, np.ndarray]) -> np.ndarray:
        """(n,): of what this rung adds."""
        pending = [point for trial, point in running.items() if trial not in self._scored]
        return self._process.variance(points, known, np.array(pending))

    def _lifted(self) -> np.ndarray:
        """The scores: how bad a bad trial is says nothing of good ones, so the worst and the failures are lifted."""
        scores = np.array([score for _, score in self._scored.values()])
        results = scores[scores != FAILED]
        worst, middle, best = float(results.min()), float(np.median(results)), float(results.max())
        below_worst = worst - 0.1 * max(best - worst, 1e-6)
        return np.maximum(scores, max(below_worst, middle - DEPTH * max(best - middle, 1e-6)))


@cache
def _threads() -> ThreadpoolController:
    """Of linear algebra: several would wait for cores that the trials use, and take longer than one alone."""
    return ThreadpoolController()


def _mean(levels: Sequence[_Level], points: np.ndarray) -> np.ndarray:
    """(n,): what is expected at the highest of the levels; nothing without any."""
    mean = np.zeros(len(points))
    for level in levels:
        mean = level.mean(level.covariance(points), mean)
    return mean


def _log_expected_improvement(ahead: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Of a normal distribution whose mean is `ahead` of the best; far below it, where doubles end, its limit."""
    standard = ahead / deviation
    density = np.exp(-(standard**2) / 2) / math.sqrt(2 * math.pi)
    near = np.log(np.maximum(density + standard * ndtr(standard), 1e-300))
    below = np.minimum(standard, -1.0)
    far = -(below**2) / 2 - math.log(math.sqrt(2 * math.pi)) - 2 * np.log(-below)
    return np.where(standard > -25, near, far) + np.log(deviation)
