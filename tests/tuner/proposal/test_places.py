"""Configurations as points."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces.configuration import complete
from search_spaces.hyperparameter import Choices, Condition, Hyperparameter, Range
from tests.strategies import configurations
from tests.tuner.proposal.test_suggestion import SPACES
from tuner.proposal.places import Places

SPACE = (
    Hyperparameter("kind", Choices(("a", "b", "c")), "a"),
    Hyperparameter("rate", Range(1e-4, 1e-2, None, "log"), 1e-3),
    Hyperparameter("batch", Choices((16, 32, 128)), 16),
    Hyperparameter("only_b", Range(0.0, 1.0), 0.0, (Condition("kind", ("b",)),)),
    Hyperparameter("kept", Choices((True, False)), False, drawn=False),
)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(sorted(SPACES)))
def test_every_configuration_has_a_point(data: st.DataObject, name: str) -> None:
    space = SPACES[name]
    places = Places(space)
    point = places.of(complete(space, data.draw(configurations(space))))
    assert point.shape == places.owners.shape
    assert np.isfinite(point).all()
    assert ((point >= -1e-9) & (point <= 1 + 1e-9)).all()
    assert set(places.owners) == set(range(len(places)))


def test_numbers_lie_on_their_scale() -> None:
    places = Places(SPACE)
    point = places.of({"kind": "b", "rate": 1e-3, "batch": 32, "only_b": 0.25, "kept": True})
    assert point[places.owners != 0] == pytest.approx([0.5, 0.5, 0.25])


def test_labels_that_differ_are_one_apart_and_what_is_not_active_separates_nothing() -> None:
    places = Places(SPACE)
    first = places.of({"kind": "a", "rate": 1e-4, "batch": 16, "kept": False})
    second = places.of({"kind": "c", "rate": 1e-2, "batch": 16, "kept": True})
    apart = np.bincount(places.owners, (first - second) ** 2)
    assert apart.tolist() == pytest.approx([1, 1, 0, 0])


def test_a_label_that_is_not_active_is_as_far_from_each() -> None:
    places = Places((SPACE[0], Hyperparameter("only", Choices(("x", "y", "z")), "x", (Condition("kind", ("b",)),))))
    points = [places.of(one) for one in ({"kind": "a"}, {"kind": "b", "only": "x"}, {"kind": "b", "only": "z"})]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert ((points[one] - points[other])[places.owners == 1] ** 2).sum() == pytest.approx(1)


def test_numbers_are_placed_by_size_and_what_has_one_value_not_at_all() -> None:
    space = (
        Hyperparameter("batch", Choices((64, 16, 32)), 16),
        Hyperparameter("flag", Choices((True, False)), False),
        Hyperparameter("two", Choices(("b", "a")), "a"),
        Hyperparameter("one", Choices(("only",)), "only"),
        Hyperparameter("fixed", Range(0.5, 0.5), 0.5),
    )
    places = Places(space)
    point = places.of({"batch": 32, "flag": True, "two": "b", "one": "only", "fixed": 0.5})
    assert point.tolist() == [0.5, 0.0, 0.0]
