"""What several rungs say together."""

import math
import random

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from search_spaces.hyperparameter import Hyperparameter, Range
from tuner.proposal.failures import FAILED
from tuner.proposal.rung_chain import ENOUGH, MOST, RungChain, _log_expected_improvement

SPACE = (Hyperparameter("x", Range(0.0, 1.0), 0.5),)
GRID = [{"x": place / 20} for place in range(21)]


def tried(chain: RungChain, trial: int, x: float, *scores: float) -> None:
    """One trial with its scores at the first rungs."""
    chain.begin(trial, {"x": x})
    for rung, score in zip((1, 3, 9), scores, strict=False):
        chain.score(trial, rung, score)
    chain.end(trial)


def preferred(chain: RungChain) -> float:
    return float(GRID[int(chain.gains(GRID).argmax())]["x"])


def test_results_that_are_all_alike_say_nothing() -> None:
    chain = RungChain(SPACE, (1, 3, 9))
    for trial in range(ENOUGH):
        tried(chain, trial, trial / ENOUGH, 0.5)
    assert np.isfinite(chain.gains(GRID)).all()


@pytest.mark.parametrize("seed", range(3))
def test_what_was_stopped_at_the_first_rung_counts_at_the_last(seed: int) -> None:
    """Nothing above 0.5 gets further than the first rung; below, less is better."""
    chain, rng = RungChain(SPACE, (1, 3, 9)), random.Random(seed)
    for trial in range(40):
        x = rng.random()
        good = 0.6 - 0.2 * x + rng.gauss(0, 0.02)
        tried(chain, trial, x, *((good, good + 0.1, good + 0.15) if x < 0.5 else (0.1,)))
    gains = chain.gains(GRID)
    assert preferred(chain) < 0.3
    assert gains[:6].max() > gains[12:20].max() + 20


def test_a_late_rung_corrects_an_early_one() -> None:
    """At the first rung more is better, later less is."""
    chain, rng = RungChain(SPACE, (1, 3, 9)), random.Random(1)
    for trial in range(30):
        x = rng.random()
        tried(chain, trial, x, 0.3 + 0.2 * x)
    assert preferred(chain) > 0.8
    for trial in range(30, 60):
        x = rng.random()
        tried(chain, trial, x, 0.3 + 0.2 * x, 0.7 - 0.3 * x)
    assert preferred(chain) < 0.2


def test_failures_are_shunned_and_trials_that_run_keep_others_away() -> None:
    chain, rng = RungChain(SPACE, (1, 3, 9)), random.Random(2)
    for trial in range(40):
        x = rng.random()
        tried(chain, trial, x, FAILED if x > 0.7 else 0.5 + 0.3 * x)
    best = preferred(chain)
    assert 0.5 < best <= 0.7
    alone = chain.gains([{"x": best}])[0]
    chain.begin(99, {"x": best})
    assert chain.gains([{"x": best}])[0] < alone


def test_after_thousands_the_best_are_still_known() -> None:
    chain, rng = RungChain(SPACE, (1, 3, 9)), random.Random(3)
    tried(chain, 0, 0.25, 0.9)
    for trial in range(1, 3000):
        x = rng.choice((rng.uniform(0, 0.2), rng.uniform(0.3, 1)))
        tried(chain, trial, x, 0.5 + 0.1 * rng.random())
    assert len(chain._levels[1].points) <= MOST
    assert preferred(chain) == 0.25


def test_gains_stay_finite_where_nothing_can_be_gained() -> None:
    chain = RungChain(SPACE, (1,))
    for trial in range(200):
        tried(chain, trial, trial / 200, 0.9 if trial < 100 else 0.1)
    gains = chain.gains(GRID)
    assert np.isfinite(gains).all()
    assert gains[:9].min() > gains[12:].max()


def test_the_number_that_stands_for_failures_sets_no_scale() -> None:
    """Most results are chance; accuracies in percent say the same as in shares."""
    shares, percents = RungChain(SPACE, (1,)), RungChain(SPACE, (1,))
    for trial in range(60):
        x = trial / 60
        score = 0.5 + x if 0.2 < x < 0.4 else 0.1 if trial % 2 else FAILED
        tried(shares, trial, x, score)
        tried(percents, trial, x, score if score == FAILED else 100 * score)
    assert 0.2 < preferred(shares) < 0.45
    assert percents.gains(GRID) == pytest.approx(shares.gains(GRID) + math.log(100), abs=1e-3)


def test_endless_failures_are_forgotten() -> None:
    chain = RungChain(SPACE, (1,))
    for trial in range(20):
        tried(chain, trial, trial / 40, 0.5 + trial / 100)
    for trial in range(20, 2000):
        tried(chain, trial, 0.9, FAILED)
    assert len(chain._levels[1].points) == 40
    assert 0.3 < preferred(chain) < 0.8


def test_a_trial_that_runs_is_pending_only_where_it_has_no_score() -> None:
    """At the first rung it is known; one like it that has ended makes the same difference there."""
    running, ended = RungChain(SPACE, (1, 3)), RungChain(SPACE, (1, 3))
    for chain in (running, ended):
        for trial in range(20):
            tried(chain, trial, trial / 20, 0.5 + 0.1 * (trial % 3))
        chain.begin(20, {"x": 0.33})
        chain.score(20, 1, 0.6)
    ended.end(20)
    assert running.gains(GRID) == pytest.approx(ended.gains(GRID))


def test_what_it_says_does_not_depend_on_what_it_was_asked() -> None:
    asked, told = RungChain(SPACE, (1, 3, 9)), RungChain(SPACE, (1, 3, 9))
    for trial in range(80):
        x = (trial * 0.37) % 1
        for chain in (asked, told):
            tried(chain, trial, x, *((0.4 + x / 3, 0.5 - x / 5)[: 1 + trial % 2]))
        if trial >= ENOUGH:
            asked.gains(GRID)
    assert asked.gains(GRID).tolist() == told.gains(GRID).tolist()


def test_expected_improvement_is_that_of_the_normal_distribution() -> None:
    def integral(ahead: float, deviation: float) -> float:
        return float(quad(lambda gain: gain * norm.pdf(gain, ahead, deviation), 0, ahead + 12 * deviation)[0])

    ahead, deviation = np.array([0.5, 0.0, -1.0, -6.0]), np.array([0.2, 1.0, 0.5, 1.0])
    expected = [math.log(integral(*each)) for each in zip(ahead, deviation, strict=True)]
    assert _log_expected_improvement(ahead, deviation) == pytest.approx(expected, rel=1e-5)
    far = _log_expected_improvement(np.array([-24.999, -25.001, -1e6]), np.ones(3))
    assert far[0] > far[1] > far[2]
    assert far[0] - far[1] < 0.1
