"""Neighbours and draws of real spaces."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces.configuration import complete
from search_spaces.hyperparameter import Choices, Condition, Hyperparameter, Range
from tests.strategies import configurations
from tests.tuner.proposal.test_suggestion import SPACES
from tuner.proposal.neighbours import at_random, neighbour


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(sorted(SPACES)), st.integers(0, 2**32))
def test_a_neighbour_is_a_whole_configuration_of_the_space(data: st.DataObject, name: str, seed: int) -> None:
    space = SPACES[name]
    configuration = complete(space, data.draw(configurations(space)))
    found = neighbour(space, configuration, random.Random(seed))
    assert complete(space, found) == found


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(SPACES)), st.integers(0, 2**32))
def test_a_draw_is_a_whole_configuration_of_the_space(name: str, seed: int) -> None:
    found = at_random(SPACES[name], random.Random(seed))
    assert complete(SPACES[name], found) == found


SPACE = (
    Hyperparameter("kind", Choices(("a", "b", "c")), "a"),
    Hyperparameter("rate", Range(1e-4, 1e-1, None, "log"), 1e-2),
    Hyperparameter("only_b", Range(1, 9, None, "linear", whole=True), 5, (Condition("kind", ("b",)),)),
    Hyperparameter("kept", Choices((True, False)), False, drawn=False),
)


def test_about_half_of_the_numbers_move_and_some_choices() -> None:
    start = {"kind": "a", "rate": 3e-3, "kept": True}
    found = [neighbour(SPACE, start, random.Random(seed)) for seed in range(1000)]
    moved = [one["rate"] for one in found if one["rate"] != start["rate"]]
    assert 400 < len(moved) < 600
    assert sum(value in (1e-4, 1e-1) for value in moved) > 100  # an end that a draw at random never has
    assert sum(3e-4 < value < 3e-2 for value in moved) > 100
    assert 200 < sum(one["kind"] != "a" for one in found) < 500
    assert all(one["kept"] is True for one in found)
    assert {one["only_b"] for one in found if one["kind"] == "b"} == set(range(1, 10))


@pytest.mark.parametrize("name", ["kind", "rate"])
def test_draws_cover_the_space(name: str) -> None:
    found = [at_random(SPACE, random.Random(seed)) for seed in range(300)]
    if name == "kind":
        assert all(60 < sum(one["kind"] == kind for one in found) < 140 for kind in "abc")
    else:
        assert 100 < sum(one["rate"] < 10**-2.5 for one in found) < 200
    assert all(one["kept"] is False for one in found)
