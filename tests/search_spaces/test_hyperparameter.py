"""Where values lie on the scale of their range."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.hyperparameter import Range

RANGES = [
    Range(0.0, 1.0),
    Range(-3.0, 5.0),
    Range(1e-5, 1e-1, None, "log"),
    Range(1e-5, 1e-1, None, "reverse_log"),
    Range(0.0, 0.5, 0.1),
    Range(0.0, 0.5, 0.2),
    Range(0.0, math.pi / 4, math.pi / 16),  # ten digits of its end lie beyond it
    Range(0.0, 2 / 3, 1 / 9),
    Range(1, 3, None, "linear", whole=True),
    Range(16, 512, None, "log", whole=True),
    Range(1, 1000, None, "reverse_log", whole=True),
    Range(8, 64, 8, "linear", whole=True),
    Range(5, 5, None, "linear", whole=True),
]


@pytest.mark.parametrize("allowed", RANGES, ids=str)
@given(st.floats(-2, 3))
def test_every_place_has_a_value_that_lies_there(allowed: Range, place: float) -> None:
    value = allowed.at(place)
    assert allowed.nearest(value) == value
    assert type(value) is (int if allowed.whole else float)
    assert allowed.at(allowed.place(float(value))) == pytest.approx(value)


@pytest.mark.parametrize("allowed", RANGES, ids=str)
def test_what_lies_beyond_is_the_end(allowed: Range) -> None:
    last = 0.4 if allowed.step == 0.2 else allowed.high
    assert (allowed.at(-1), allowed.at(2)) == (allowed.low, last)


@pytest.mark.parametrize("allowed", RANGES, ids=str)
@given(st.floats(0, 1), st.floats(0, 1))
def test_the_order_is_kept(allowed: Range, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert allowed.at(low) <= allowed.at(high)


def test_whole_numbers_have_equal_room() -> None:
    three = Range(1, 3, None, "linear", whole=True)
    assert [three.at((place + 0.5) / 9) for place in range(9)] == [1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_a_logarithmic_range_is_halved_at_its_geometric_mean() -> None:
    assert Range(1e-4, 1e-2, None, "log").at(0.5) == pytest.approx(1e-3)
    assert Range(1.0, 100.0, None, "reverse_log").at(0.5) == pytest.approx(91)


@pytest.mark.parametrize("value", [10**400, -(10**400), float("inf"), float("-inf"), float("nan"), 1e308])
@pytest.mark.parametrize("allowed", [Range(0.0, 1.0), Range(0.0, 0.5, 0.1), Range(1, 99, 1, whole=True)])
def test_what_is_far_beyond_a_range_is_outside_of_it(allowed: Range, value: float) -> None:
    assert allowed.nearest(value) is None
