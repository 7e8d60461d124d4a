"""Limits that few configurations meet."""

import random

import pytest

from search_spaces.configuration import Configuration
from search_spaces.hyperparameter import Choices, Condition, Hyperparameter, Range
from tuner.proposal.feasibility import Feasibility
from tuner.proposal.log_linear import ENOUGH
from tuner.proposal.proposer import Proposer

SPACE = (
    Hyperparameter("blocks", Range(1, 6, None, "linear", whole=True), 3),
    Hyperparameter("filters", Range(8, 128, None, "log", whole=True), 32),
    Hyperparameter("dense", Choices((False, True)), False),
    Hyperparameter("units", Range(32, 1024, None, "log", whole=True), 128, (Condition("dense", (True,)),)),
    Hyperparameter("rate", Range(1e-4, 1e-1, None, "log"), 1e-2),
)
LIMIT = 3000.0


def parameters(configuration: Configuration) -> float:
    found = float(configuration["blocks"]) * 9 * float(configuration["filters"]) ** 2
    return found + float(configuration.get("units", 10)) * float(configuration["filters"])


@pytest.mark.parametrize("seed", range(5))
def test_draws_soon_stay_within_a_limit_that_one_in_fifteen_meets(seed: int) -> None:
    proposer = Proposer(SPACE, (1,), seed, {"parameters": LIMIT})
    within = []
    for number in range(60):
        configuration = proposer.propose(number)
        assert configuration is not None
        found = parameters(configuration)
        within.append(found <= LIMIT)
        proposer.begin(number, configuration)
        proposer.measure(configuration, {"parameters": found})
        proposer.end(number, is_infeasible=found > LIMIT)
    assert sum(within[30:]) > 20


def test_without_limits_nothing_is_drawn_differently() -> None:
    free, limited = Proposer(SPACE, (1,), 3), Proposer(SPACE, (1,), 3, {"parameters": 1e9})
    for number in range(20):
        one, other = free.propose(number), limited.propose(number)
        assert one == other
        assert one is not None
        for proposer in (free, limited):
            proposer.begin(number, one)
            proposer.measure(one, {"parameters": parameters(one)})
            proposer.end(number)


def test_too_little_is_no_reason_to_turn_away() -> None:
    feasibility = Feasibility(SPACE, {"parameters": LIMIT, "latency": 5.0})
    large: Configuration = {"blocks": 6, "filters": 128, "dense": False, "rate": 0.01}
    for number in range(ENOUGH):
        assert feasibility.excess(large) == 0
        feasibility.observe(large, {"parameters": 1e6 + number, "latency": None})
    assert feasibility.excess(large) > 1


def test_about_one_in_fifteen_is_within() -> None:
    """So that the test above says something."""
    from tuner.proposal.neighbours import at_random

    rng = random.Random(0)
    share = sum(parameters(at_random(SPACE, rng)) <= LIMIT for _ in range(2000)) / 2000
    assert 0.03 < share < 0.15
