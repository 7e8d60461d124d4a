"""What several rungs say together."""

import random

import numpy as np

from search_spaces.hyperparameter import Hyperparameter, Range
from tuner.proposal.rung_chain import ENOUGH, FAILED, MOST, RungChain

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


def test_too_few_results_say_nothing() -> None:
    chain = RungChain(SPACE, (1, 3, 9))
    for trial in range(ENOUGH):
        assert not chain.knows_enough
        tried(chain, trial, trial / ENOUGH, 0.5)
    assert chain.knows_enough


def test_what_was_stopped_at_the_first_rung_counts_at_the_last() -> None:
    """Nothing above 0.5 gets further than the first rung; what does hardly differs there."""
    chain, rng = RungChain(SPACE, (1, 3, 9)), random.Random(0)
    for trial in range(60):
        x = rng.random()
        good = 0.6 + 0.1 * x
        tried(chain, trial, x, *((good, good + 0.1, good + 0.15) if x < 0.5 else (0.1,)))
    gains = chain.gains(GRID)
    assert 0.3 < preferred(chain) < 0.55
    assert gains[:11].max() > gains[12:].max() + 5


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
    assert 0.5 < best <= 0.75
    alone = chain.gains([{"x": best}])[0]
    chain.begin(99, {"x": best})
    assert chain.gains([{"x": best}])[0] < alone


def test_after_thousands_the_best_are_still_known() -> None:
    chain, rng = RungChain(SPACE, (1, 3, 9)), random.Random(3)
    tried(chain, 0, 0.25, 0.9)
    for trial in range(1, 3000):
        x = rng.choice((rng.uniform(0, 0.2), rng.uniform(0.3, 1)))
        tried(chain, trial, x, 0.5 + 0.1 * rng.random())
    assert len(chain._levels[1].points()) <= MOST
    assert preferred(chain) == 0.25


def test_gains_stay_finite_where_nothing_can_be_gained() -> None:
    chain = RungChain(SPACE, (1,))
    for trial in range(200):
        tried(chain, trial, trial / 200, 0.9 if trial < 100 else 0.1)
    gains = chain.gains(GRID)
    assert np.isfinite(gains).all()
    assert gains[:9].min() > gains[12:].max()
