"""What the scores at all rungs together say of a configuration that has not been tried."""

import math
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
from scipy.special import ndtr
from threadpoolctl import ThreadpoolController

from search_spaces.configuration import Configuration
from search_spaces.hyperparameter import Hyperparameter
from tuner.proposal.gaussian_process import GaussianProcess
from tuner.proposal.places import Places

ENOUGH = 10
"""Results that a rung must have before anything is concluded from it."""
FAILED = -1.0
"""Stands for the accuracy of a trial that failed: below all others."""
MOST = 150
"""Scores of a rung that a process is fitted to: with all, a proposal would take ever longer."""
BEST = 50
"""How many of them are the best ones; the others are the latest."""
FAILURES = 5
"""Failures that a rung keeps at least, and at most as many as it has results."""
GROWTH = 1.25
"""A rung's kernel is found anew when it has so many times the scores."""
DEPTH = 2.0
"""Scores lower than the median by more than so many times what the best lies above it count as no lower."""
LIKE_BELOW = 5.0
"""Trials that the belief is worth that a rung's scores differ as those of the rung below."""


class RungChain:
    """A Gaussian process a rung: of the scores at the first, then of what each adds to what the one below lets expect.

    So a trial that was stopped early tells of all rungs, and one that got far corrects what the early ones promise
    (Kennedy and O'Hagan, 2000, "Predicting the output from a complex computer code when fast approximations are
    available", Biometrika 87).
    """

    def __init__(self, space: Sequence[Hyperparameter], rungs: Sequence[int]) -> None:
        self._places = Places(space)
        self._levels = {rung: _Level(self._places) for rung in sorted(rungs)}
        self._running: dict[int, np.ndarray] = {}
        self._is_fitted = True

    @property
    def knows_enough(self) -> bool:
        """Whether anything can be concluded."""
        return next(iter(self._levels.values())).results >= ENOUGH

    def begin(self, trial: int, configuration: Configuration) -> None:
        """A trial runs."""
        self._running[trial] = self._places.of(configuration)

    def score(self, trial: int, rung: int, score: float) -> None:
        """A trial that runs has its score at a rung, `FAILED` if it has failed before."""
        self._levels[rung].add(trial, self._running[trial], score)
        self._is_fitted = False

    def end(self, trial: int) -> None:
        """A trial runs no longer."""
        del self._running[trial]

    def gains(self, configurations: Sequence[Configuration]) -> np.ndarray:
        """(configurations,): the logarithm of the expected improvement at the highest rung that has `ENOUGH` results.

        Improvement is over the highest mean of what was tried there (Jones, Schonlau and Welch, 1998, "Efficient Global
        Optimization of Expensive Black-Box Functions"); trials that run make their surroundings less uncertain.
        """
        points = np.array([self._places.of(one) for one in configurations])
        running = np.array(list(self._running.values()))
        mean, variance = np.zeros(len(points)), np.zeros(len(points))
        with _threads().limit(limits=1):
            if not self._is_fitted:
                self._fit()
            for level in self._believed():
                mean = level.beyond(mean) + level.process.mean(points)
                variance = level.slope**2 * variance + level.process.variance(points, running)
        return _log_expected_improvement(mean - self._best, np.sqrt(variance))

    def _believed(self) -> Iterator["_Level"]:
        for level in self._levels.values():
            if level.results < ENOUGH:
                return
            yield level

    def _fit(self) -> None:
        fitted: list[_Level] = []
        for level in self._believed():
            points = level.points()
            level.fit(points, _mean(fitted, points))
            fitted.append(level)
        self._best = float(_mean(fitted, points).max())
        self._is_fitted = True


class _Level:
    """The scores at one rung, and how they follow from those at the rung below."""

    def __init__(self, places: Places) -> None:
        self.process = GaussianProcess(places)
        self.results = 0
        self.slope = self.offset = 0.0
        self._scored: dict[int, tuple[np.ndarray, float]] = {}
        self._added = 0
        self._fitted_at = 0

    def add(self, trial: int, point: np.ndarray, score: float) -> None:
        """A trial's point and score; failures beyond what is kept of them change nothing."""
        if score == FAILED and self._added - self.results >= max(FAILURES, self.results):
            return
        self._scored[trial] = point, score
        self._added += 1
        self.results += score != FAILED
        if len(self._scored) > 2 * MOST:
            self._forget()

    def points(self) -> np.ndarray:
        """(n, coordinates): those that a fit takes."""
        if len(self._scored) > MOST:
            self._forget()
        return np.array([point for point, _ in self._scored.values()])

    def fit(self, points: np.ndarray, below: np.ndarray) -> None:
        """To what is left of the scores when `below`, the means of the rung below, is taken as a guide."""
        scores = self._scores()
        spread = ((below - below.mean()) ** 2).mean()
        if spread > 0:
            shared = ((below - below.mean()) * (scores - scores.mean())).mean()
            count = len(scores)
            self.slope = min(max((count * shared / spread + LIKE_BELOW) / (count + LIKE_BELOW), 0.0), 2.0)
        self.offset = float(scores.mean() - self.slope * below.mean())
        is_kernel_kept = self._added < GROWTH * self._fitted_at
        self.process.fit(points, scores - self.beyond(below), is_kernel_kept)
        if not is_kernel_kept:
            self._fitted_at = self._added

    def beyond(self, below: np.ndarray) -> np.ndarray:
        """What the means of the rung below let expect here."""
        return self.slope * below + self.offset

    def _scores(self) -> np.ndarray:
        """The worst, failures included, are lifted: how bad a bad trial is says nothing of good ones."""
        scores = np.array([score for _, score in self._scored.values()])
        results = scores[scores != FAILED]
        middle = float(np.median(results))
        return np.maximum(scores, middle - DEPTH * max(float(results.max()) - middle, 1e-6))

    def _forget(self) -> None:
        ranked = sorted(self._scored, key=lambda trial: -self._scored[trial][1])
        kept = {*ranked[:BEST], *list(self._scored)[BEST - MOST :]}
        self._scored = {trial: scored for trial, scored in self._scored.items() if trial in kept}


@cache
def _threads() -> ThreadpoolController:
    """Of linear algebra: several would wait for cores that the trials use, and take longer than one alone."""
    return ThreadpoolController()


def _mean(levels: Sequence[_Level], points: np.ndarray) -> np.ndarray:
    """(n,): what is expected at the highest of the levels."""
    mean = np.zeros(len(points))
    for level in levels:
        mean = level.beyond(mean) + level.process.mean(points)
    return mean


def _log_expected_improvement(ahead: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Of a normal distribution whose mean is `ahead` of the best; far below it, where doubles end, its limit."""
    standard = ahead / deviation
    density = np.exp(-(standard**2) / 2) / math.sqrt(2 * math.pi)
    near = np.log(np.maximum(density + standard * ndtr(standard), 1e-300))
    below = np.minimum(standard, -1.0)
    far = -(below**2) / 2 - math.log(math.sqrt(2 * math.pi)) - 2 * np.log(-below)
    return np.where(standard > -25, near, far) + np.log(deviation)
