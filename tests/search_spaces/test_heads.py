"""From features to probabilities."""

from typing import Any

import keras
import keras_tuner
import pytest

from search_spaces import heads
from search_spaces.configuration import complete
from search_spaces.declaration import read
from search_spaces.space import populated


def layers(**given: Any) -> list[tuple[str, Any]]:
    """Kinds of layers of a head on 8 features, with their width or rate."""
    hp = keras_tuner.HyperParameters()
    heads.declare(hp)
    features = keras.Input((8,))
    model = keras.Model(features, heads.classify(populated(complete(read(hp), given)), features, 3))
    return [(type(one).__name__, getattr(one, "units", getattr(one, "rate", None))) for one in model.layers[1:]]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"dense_layers": 0}, [("Dense", 3)]),
        ({"dense_layers": 0, "feature_dropout": 0.3}, [("Dropout", 0.3), ("Dense", 3)]),
        ({"dense_units": 100, "dropout": 0.5}, [("Dense", 100), ("Dropout", 0.5), ("Dense", 3)]),
        ({"dense_layers": 2, "dense_units": 64}, [("Dense", 64), ("Dense", 64), ("Dense", 3)]),
        (
            {"dense_layers": 2, "dense_units": 256, "dense_taper": True, "dense_batch_norm": True, "dropout": 0.5},
            [("Dense", 256), ("BatchNormalization", None), ("Dropout", 0.5),
             ("Dense", 128), ("BatchNormalization", None), ("Dropout", 0.5), ("Dense", 3)],
        ),
    ],
)  # fmt: skip
def test_a_head_is_what_its_hyperparameters_say(given: dict[str, Any], expected: list[tuple[str, Any]]) -> None:
    assert layers(**given) == expected


@pytest.mark.parametrize("side", [1, 2, 4])
def test_a_conv_stack_takes_even_a_single_position(side: int) -> None:
    hp = keras_tuner.HyperParameters()
    heads.declare_conv_stack(hp)
    features = keras.Input((side, side, 5))
    stacked = heads.conv_stack(populated(complete(read(hp), {"stack_filters": 32})), features)
    assert stacked.shape == (None, max(1, side // 4), max(1, side // 4), 64)
