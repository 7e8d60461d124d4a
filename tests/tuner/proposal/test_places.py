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
    assert point.shape == places.is_label.shape
    assert np.isfinite(point).all()
    numbers = point[~places.is_label]
    assert ((numbers >= -1e-9) & (numbers <= 1 + 1e-9)).all()


def test_numbers_lie_on_their_scale_and_labels_do_not() -> None:
    places = Places(SPACE)
    kind, *others = places.of({"kind": "b", "rate": 1e-3, "batch": 32, "only_b": 0.25, "kept": True})
    assert others == pytest.approx([0.5, 0.5, 0.25])
    assert kind in (0.0, 1.0, 2.0)
    assert places.is_label.tolist() == [True, False, False, False]


def test_labels_that_differ_are_one_apart_and_what_is_not_active_separates_nothing() -> None:
    places = Places(SPACE)
    first = places.of({"kind": "a", "rate": 1e-4, "batch": 16, "kept": False})
    second = places.of({"kind": "c", "rate": 1e-2, "batch": 16, "kept": True})
    assert places.squared_distances(first[None], second[None])[0, 0].tolist() == pytest.approx([1, 1, 0, 0])
