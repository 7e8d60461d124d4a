"""A Gaussian process over the points of a space."""

import math

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from tuner.proposal.places import Places

ROOT_5 = math.sqrt(5)
AMPLITUDE, NOISE = 0.0, math.log(0.1)
"""Logarithms of what is likeliest beforehand, in standard deviations of what is fitted."""
JITTER = 1e-6
STEPS = 40
"""Of the search for the likeliest kernel."""


class GaussianProcess:
    """Regression with a Matern 5/2 kernel that has a length scale for each hyperparameter.

    Rasmussen and Williams (2006), "Gaussian Processes for Machine Learning", chapters 2, 4.2 and 5.4. The kernel is the
    likeliest one under log-normal priors; that of the length scales grows with the root of their number, without which
    many dimensions look too rough to learn (Hvarfner, Hellsten and Nardi, 2024, "Vanilla Bayesian Optimization Performs
    Great in High Dimensions").
    """

    def __init__(self, places: Places) -> None:
        self._owners = places.owners
        count = len(places)
        length = math.log(0.5 * math.sqrt(max(1, count)))
        self._likeliest = np.array([*[length] * count, AMPLITUDE, NOISE])
        self._spread = np.array([*[1.0] * count, 0.5, 1.0])
        self._bounds = [(-3.0, 4.0)] * count + [(-1.5, 1.5), (-5.0, 0.5)]
        self._kernel = self._likeliest.copy()
        """Logarithms: length scales, amplitude, noise."""

    def fit(self, points: np.ndarray, values: np.ndarray, is_kernel_kept: bool = False) -> None:
        """`points`: (n, coordinates), `values`: (n,). With its kernel kept it takes a hundredth of the time."""
        self._points = points
        self._mean, self._scale = float(values.mean()), max(float(values.std()), 1e-9)
        standard = (values - self._mean) / self._scale
        if not is_kernel_kept:
            self._kernel = minimize(
                self._loss, self._kernel, (points, standard), "L-BFGS-B", jac=True, bounds=self._bounds,
                options={"maxiter": STEPS},
            ).x  # fmt: skip
        correlated = self._covariance(points, points)
        self._factor = cho_factor(correlated + self._noise() * np.eye(len(points)), lower=True, check_finite=False)
        self._weights = self._solved(standard)

    def covariance(self, points: np.ndarray) -> np.ndarray:
        """(n, those it was fitted to): what `mean` and `variance` follow from."""
        return self._covariance(points, self._points)

    def mean(self, known: np.ndarray) -> np.ndarray:
        """(n,): what is expected at the points with that covariance."""
        return known @ self._weights * self._scale + self._mean

    def variance(self, points: np.ndarray, known: np.ndarray, pending: np.ndarray) -> np.ndarray:
        """(n,): how uncertain that is, if what becomes of the `pending` points were known as well."""
        left = math.exp(2 * self._kernel[-2]) - np.einsum("ij,ji->i", known, self._solved(known.T))
        if len(pending):
            beside = self._covariance(pending, self._points)
            explained = self._solved(beside.T)
            own = self._covariance(pending, pending) - beside @ explained + self._noise() * np.eye(len(pending))
            shared = self._covariance(points, pending) - known @ explained
            left -= np.einsum("ij,ji->i", shared, np.linalg.solve(own, shared.T))
        return np.maximum(left, 1e-10) * self._scale**2

    def _solved(self, values: np.ndarray) -> np.ndarray:
        return cho_solve(self._factor, values, check_finite=False)

    def _covariance(self, some: np.ndarray, others: np.ndarray) -> np.ndarray:
        shrunk = self._shrunk(self._kernel)
        return math.exp(2 * self._kernel[-2]) * _matern(*_decayed(_squared_distances(some * shrunk, others * shrunk)))

    def _noise(self) -> float:
        return math.exp(2 * self._kernel[-1]) + JITTER

    def _shrunk(self, kernel: np.ndarray) -> np.ndarray:
        """(coordinates,): what each is multiplied with."""
        return np.exp(-kernel[:-2])[self._owners]

    def _loss(self, kernel: np.ndarray, points: np.ndarray, values: np.ndarray) -> tuple[float, np.ndarray]:
        """The negative logarithm of the posterior density, but for a constant, and its gradient."""
        amplitude, noise = np.exp(2 * kernel[-2:])
        shrunk = points * self._shrunk(kernel)
        decayed = _decayed(_squared_distances(shrunk, shrunk))
        correlation, slope = _matern(*decayed), _matern_slope(*decayed)
        factor = cho_factor(amplitude * correlation + (noise + JITTER) * np.eye(len(values)), lower=True)
        weights = cho_solve(factor, values)
        outer = np.outer(weights, weights) - cho_solve(factor, np.eye(len(values)))
        off = (kernel - self._likeliest) / self._spread
        loss = 0.5 * values @ weights + np.log(np.diag(factor[0])).sum() + 0.5 * off @ off
        # Of all pairs' squared distances along each coordinate the sum weighted with `pulls`, without making them.
        pulls = outer * slope
        along = 2 * (pulls.sum(axis=1) @ shrunk**2 - (shrunk * (pulls @ shrunk)).sum(axis=0))
        lengths = np.bincount(self._owners, along, minlength=len(kernel) - 2)
        gradient = [*(-0.5 * amplitude * lengths), -amplitude * (outer * correlation).sum(), -noise * np.trace(outer)]
        return float(loss), np.array(gradient) + off / self._spread


def _squared_distances(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(some, others)."""
    squares = (some**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)[None, :]
    return np.maximum(squares - 2 * some @ others.T, 0.0)


def _decayed(squared: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n, m) each: the squared distances, the distances in units of the decay, and what it has left."""
    distance = ROOT_5 * np.sqrt(squared)
    return squared, distance, np.exp(-distance)


def _matern(squared: np.ndarray, distance: np.ndarray, decay: np.ndarray) -> np.ndarray:
    """(n, m): the correlation."""
    return (1 + distance + 5 / 3 * squared) * decay


def _matern_slope(squared: np.ndarray, distance: np.ndarray, decay: np.ndarray) -> np.ndarray:
    """(n, m): its slope against the logarithm of a length scale, by that scale's share."""
    return 5 / 3 * (1 + distance) * decay
