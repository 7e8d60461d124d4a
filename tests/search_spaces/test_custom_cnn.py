"""The CNN from scratch."""

from itertools import pairwise
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search_spaces.configuration import complete
from search_spaces.custom_cnn import CustomCNN
from search_spaces.declaration import declared
from search_spaces.hyperparameter import Range
from search_spaces.space import populated
from search_spaces.task import Task
from tests.life import check_life
from tests.strategies import configurations

TASK = Task(image_size=32, classes=10, training_images=1000, max_epochs=5)


def built(**given_values: Any) -> keras.Model:
    space = CustomCNN(TASK)
    return space.build(populated(complete(declared(space), given_values)))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), st.sampled_from([8, 15, 32]))
def test_every_declared_configuration_trains_and_comes_back(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, size: int
) -> None:
    space = CustomCNN(Task(size, 7, 4, max_epochs=2))
    check_life(space, data.draw(configurations(declared(space))), tmp_path_factory.mktemp("life"))


@pytest.mark.parametrize(("size", "most"), [(8, 3), (15, 3), (16, 4), (32, 5), (224, 5)])
def test_blocks_are_limited_by_the_image_size(size: int, most: int) -> None:
    blocks = next(hp for hp in declared(CustomCNN(Task(size, 10, 1000, 5))) if hp.name == "blocks")
    assert isinstance(blocks.allowed, Range)
    assert blocks.allowed.high == most


def test_declaring_builds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras, "Model", None)
    names = [hp.name for hp in declared(CustomCNN(TASK))]
    assert names[:10] == [
        "blocks", "convs_per_block", "filters", "width_growth", "kernel_size", "residual", "squeeze_excite",
        "batch_norm", "layer_order", "conv_dropout",
    ]  # fmt: skip
    assert {"second_stage", "mix", "augmentation_strength", "clip_norm", "early_stopping"} < set(names)


def test_augmentation_changes_training_images_only() -> None:
    model = built(augmentation="light", batch_norm="none")
    pixels = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3)).astype("float32")
    quiet, again = (np.asarray(model(pixels, training=False)) for _ in range(2))
    np.testing.assert_array_equal(quiet, again)
    noisy = np.asarray(model(pixels, training=True))
    assert np.abs(noisy - quiet).max() > 1e-6


def block_of(model: keras.Model, number: int) -> list[str]:
    """The kinds of layers of one block, in order."""
    names = (layer.name for layer in model.layers)
    return [name.partition("_")[2].rstrip("0123456789") for name in names if name.startswith(f"block{number}_")]


@pytest.mark.parametrize(
    ("given_values", "first", "last"),
    [
        ({"layer_order": "conv-relu-norm"}, ["conv", "relu", "norm", "pool"], ["conv", "relu", "norm", "pool"]),
        ({"layer_order": "conv-norm-relu"}, ["conv", "norm", "relu", "pool"], ["conv", "norm", "relu", "pool"]),
        (
            {"layer_order": "norm-relu-conv"},
            ["conv", "pool"],  # pixels are convolved as they are
            ["norm", "relu", "conv", "last_norm", "last_relu", "pool"],
        ),
        ({"batch_norm": "none"}, ["conv", "relu", "pool"], ["conv", "relu", "pool"]),
        ({"batch_norm": "block"}, ["conv", "relu", "pool", "norm"], ["conv", "relu", "pool", "norm"]),
        ({"conv_dropout": 0.2, "batch_norm": "none"}, ["conv", "relu", "pool", "dropout"],
         ["conv", "relu", "pool", "dropout"]),
    ],
)  # fmt: skip
def test_the_parts_of_a_unit_come_in_their_order(
    given_values: dict[str, Any], first: list[str], last: list[str]
) -> None:
    model = built(blocks=2, convs_per_block=1, **given_values)
    assert block_of(model, 1) == first
    assert block_of(model, 2) == last


def test_a_residual_block_adds_its_input() -> None:
    """With its last normalization at zero, what a block gives is the ReLU of what went in."""
    model = built(blocks=2, convs_per_block=2, filters=16, width_growth=1.0, residual=True)
    model.get_layer("block2_norm2").gamma.assign(np.zeros(16))
    ends = [model.get_layer(name).output for name in ("block1_pool", "block2_sum_relu")]
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype("float32")
    into, out = keras.Model(model.inputs, ends)(pixels)
    np.testing.assert_allclose(np.maximum(into, 0), out, atol=1e-5)


def test_squeeze_and_excite_weighs_channels() -> None:
    model = built(blocks=1, convs_per_block=1, filters=32, squeeze_excite=True)
    ends = [model.get_layer(name).output for name in ("block1_relu1", "block1_excite2", "block1_gated")]
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype("float32")
    features, gate, gated = keras.Model(model.inputs, ends)(pixels)
    assert gate.shape == (2, 1, 1, 32)
    np.testing.assert_allclose(np.asarray(features) * np.asarray(gate), gated, rtol=1e-5)


@pytest.mark.parametrize(("growth", "widths"), [(1.0, [32, 32, 32]), (1.5, [32, 48, 72]), (2.0, [32, 64, 128])])
def test_width_grows_from_block_to_block(growth: float, widths: list[int]) -> None:
    model = built(blocks=3, filters=32, width_growth=growth, kernel_size=5)
    convolutions = [model.get_layer(f"block{number}_conv2") for number in (1, 2, 3)]
    assert [layer.filters for layer in convolutions] == widths
    assert {layer.kernel_size for layer in convolutions} == {(5, 5)}


def test_the_second_stage_trains_the_last_block_and_the_head_at_its_rate() -> None:
    space = CustomCNN(Task(32, 2, 8, max_epochs=4))
    values = {"second_stage": True, "second_stage_share": 0.5, "second_stage_lr_ratio": 0.1, "learning_rate": 0.01}
    hp = populated(complete(declared(space), values))
    model = space.build(hp)
    assert space.stages(hp) == (0, 2)
    assert all(layer.trainable for layer in model.layers)
    rates, kernels = [], []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            optimizers = getattr(model.optimizer, "optimizers", [model.optimizer])
            rates.append({round(float(one.learning_rate), 6) for one in optimizers})
            kernels.append([np.array(model.get_layer(f"block{n}_conv1").kernel) for n in (1, 2, 3)])

    images, labels = np.zeros((8, 32, 32, 3), "uint8"), np.eye(2)[[0, 1] * 4]
    images[::2, 3:9] = 255
    space.fit(hp, model, images, labels, epochs=4, callbacks=[Watch()], verbose=0)
    changed = [[not np.array_equal(a, b) for a, b in zip(*pair, strict=True)] for pair in pairwise(kernels)]
    assert changed == [[True, True, True], [False, False, True], [False, False, True]]
    assert rates[:2] == [{0.01}, {0.01}]
    assert 0.001 in rates[2]
