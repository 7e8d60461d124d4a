"""What a model's outputs mean, which labels its loss takes, which metric is its accuracy."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, losses, metrics, ops

from results.formats import in_float32
from search_spaces.outputs import Meaning, Outputs, meaning_by_graph, with_probabilities

IMAGE = np.zeros((1, 4, 4, 3), np.uint8)


def compiled(units: int, activation: Any, loss: Any, given: Any = ("accuracy",)) -> keras.Model:
    last = layers.Dense(units, activation, name="head")
    model = keras.Sequential([keras.Input((4, 4, 3)), layers.Rescaling(1 / 255), layers.Flatten(), last])
    model.compile("sgd", loss, metrics=list(given) if isinstance(given, tuple) else given)
    return model


def own_on_integers(labels: Any, outputs: Any) -> Any:
    """A loss whose name says nothing."""
    place = ops.reshape(ops.cast(labels, "int32"), (-1, 1))
    return -ops.log(ops.take_along_axis(outputs, place, axis=-1) + 1e-7)


def sparse_in_name_only(labels: Any, outputs: Any) -> Any:
    return -ops.sum(labels * ops.log(outputs + 1e-7), axis=-1)


@pytest.mark.parametrize(
    ("units", "activation", "loss", "meaning", "labels"),
    [
        (10, "softmax", "sparse_categorical_crossentropy", Meaning.PROBABILITIES, "integers"),
        (10, "softmax", "categorical_crossentropy", Meaning.PROBABILITIES, "one-hot"),
        (10, "softmax", "kld", Meaning.PROBABILITIES, "one-hot"),
        (10, "softmax", "crossentropy", Meaning.PROBABILITIES, "integers"),
        (10, "softmax", own_on_integers, Meaning.PROBABILITIES, "integers"),
        (10, "softmax", sparse_in_name_only, Meaning.PROBABILITIES, "one-hot"),
        (10, "sigmoid", "binary_crossentropy", Meaning.SHARES, "one-hot"),
        (10, "sigmoid", losses.SparseCategoricalCrossentropy(), Meaning.SHARES, "integers"),
        (10, None, losses.SparseCategoricalCrossentropy(from_logits=True), Meaning.LOGITS, "integers"),
        (10, None, losses.CategoricalCrossentropy(from_logits=True), Meaning.LOGITS, "one-hot"),
        (10, "log_softmax", losses.CategoricalCrossentropy(from_logits=True), Meaning.LOGITS, "one-hot"),
        (10, None, losses.BinaryCrossentropy(from_logits=True), Meaning.SIGMOID_LOGITS, "one-hot"),
        (10, None, "mse", Meaning.SHARES, "one-hot"),
        (10, None, "categorical_hinge", Meaning.LOGITS, "one-hot"),
        (10, "softplus", "categorical_crossentropy", Meaning.SHARES, "one-hot"),
        (2, "sigmoid", "binary_crossentropy", Meaning.SHARES, "one-hot"),
        (2, None, losses.CategoricalCrossentropy(from_logits=True), Meaning.LOGITS, "one-hot"),
        (1, "sigmoid", "binary_crossentropy", Meaning.SHARES, "column"),
        (1, None, losses.BinaryCrossentropy(from_logits=True), Meaning.SIGMOID_LOGITS, "column"),
    ],
)
def test_activation_and_loss_tell(units: int, activation: Any, loss: Any, meaning: Meaning, labels: str) -> None:
    classes = max(units, 2)
    found = Outputs.of(compiled(units, activation, loss), classes, IMAGE)
    assert (found.meaning, found.labels) == (meaning, labels)
    shapes = {"integers": (5,), "one-hot": (5, classes), "column": (5, 1)}
    assert found.targets(np.arange(5) % classes).shape == shapes[labels]


SPARSE = "sparse_categorical_crossentropy"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (("accuracy",), "accuracy"),
        (("acc", "accuracy"), "accuracy"),
        (("acc",), "acc"),
        ({"head": ["mse", "acc"]}, "acc"),
        ((metrics.SparseCategoricalAccuracy(),), "sparse_categorical_accuracy"),
        ((metrics.SparseCategoricalAccuracy(name="head_accuracy"),), "head_accuracy"),
        ((metrics.sparse_categorical_accuracy,), "sparse_categorical_accuracy"),
        (None, "accuracy"),
        ((metrics.CategoricalAccuracy(),), "accuracy"),  # of one-hot labels: it says nothing of these
    ],
)
def test_the_accuracy_has_its_own_name_in_the_logs(given: Any, name: str) -> None:
    model = compiled(3, "softmax", SPARSE, given)
    found = Outputs.of(model, 3, IMAGE)
    assert found.accuracy == name
    logs = model.fit(np.zeros((3, 4, 4, 3)), np.arange(3), verbose=0).history
    assert found.named(logs)["accuracy"] == logs[name]


def test_one_logit_is_counted_at_its_own_threshold() -> None:
    """Keras's "accuracy" would ask whether a logit is over 0.5."""
    model = compiled(1, None, losses.BinaryCrossentropy(from_logits=True))
    found = Outputs.of(model, 2, IMAGE)
    model.layers[-1].set_weights([np.zeros((48, 1)), np.array([0.2])])
    logs = model.evaluate(np.zeros((4, 4, 4, 3)), found.targets(np.ones(4, int)), verbose=0, return_dict=True)
    assert found.named(logs)["accuracy"] == 1
    assert logs["accuracy"] == 0


def test_sigmoids_are_kept_as_the_shares_that_they_are() -> None:
    """No softmax is put on them: that would make 0.98 of ten classes into 0.23."""
    model = compiled(3, "sigmoid", "binary_crossentropy")
    logits = np.array([4.0, -4.0, -4.0])
    model.layers[-1].set_weights([np.zeros((48, 3)), logits])
    said = np.asarray(with_probabilities(model, Meaning.SHARES)(np.zeros((1, 4, 4, 3))))[0]
    sigmoids = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(said, sigmoids / sigmoids.sum(), rtol=1e-4)
    assert said[0] == pytest.approx(0.965, abs=1e-3)


@pytest.mark.parametrize(
    ("units", "activation", "meaning", "expected"),
    [
        (1, "sigmoid", Meaning.SHARES, [0.8808, 0.1192]),
        (1, None, Meaning.SIGMOID_LOGITS, [0.8808, 0.1192]),
        (3, None, Meaning.LOGITS, [0.0900, 0.2447, 0.6652]),
        (3, None, Meaning.SIGMOID_LOGITS, [0.1341, 0.3027, 0.5632]),
        (3, None, Meaning.SHARES, [0.0900, 0.2447, 0.6652]),  # all below 0: only their order is known
    ],
)
def test_what_is_saved_gives_a_probability_a_class_and_is_not_changed_again(
    units: int, activation: Any, meaning: Meaning, expected: list[float], tmp_path: Path
) -> None:
    model = compiled(units, activation, "mse")
    bias = [-2.0] if units == 1 else [-2.0, -1.0, 0.0]
    model.layers[-1].set_weights([np.zeros((48, units)), np.array(bias)])
    with_probabilities(model, meaning).save(tmp_path / "model.keras")
    loaded = in_float32(tmp_path / "model.keras")
    assert meaning_by_graph(loaded) is Meaning.PROBABILITIES
    assert len(loaded.layers) == len(keras.models.load_model(tmp_path / "model.keras").layers)
    said = np.asarray(loaded(np.zeros((1, 4, 4, 3), "float32")))[0]
    np.testing.assert_allclose(said, expected, atol=1e-3)


def test_a_file_of_another_program_is_read_by_its_last_activation(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    pixels = keras.Input((4, 4, 3))
    inner = keras.Sequential([keras.Input((4, 4, 3)), layers.Flatten(), layers.Dense(3, "softmax")])
    ends = {
        "nested": (inner(pixels), Meaning.PROBABILITIES),
        "operation": (ops.softmax(layers.Dense(3)(layers.Flatten()(pixels))), Meaning.PROBABILITIES),
        "activation": (layers.Activation("sigmoid")(layers.Dense(3)(layers.Flatten()(pixels))), Meaning.SHARES),
        "mean": (layers.Average()([inner(pixels), inner(pixels)]), Meaning.PROBABILITIES),
        "dropout": (layers.Dropout(0.5)(layers.Dense(3)(layers.Flatten()(pixels))), Meaning.LOGITS),
        "scaled": (layers.Dense(3)(layers.Flatten()(pixels)) * 2.0, Meaning.UNKNOWN),
    }
    for name, (end, meaning) in ends.items():
        model = keras.Model(pixels, end)
        assert meaning_by_graph(model) is meaning, name
        model.save(tmp_path / f"{name}.keras")
        noise = np.random.default_rng(0).uniform(0, 1, (4, 4, 4, 3)).astype("float32")  # larger, sigmoids are all 1
        said = np.asarray(in_float32(tmp_path / f"{name}.keras")(noise))
        np.testing.assert_allclose(said.sum(axis=1), 1, rtol=1e-4)
        np.testing.assert_array_equal(said.argmax(axis=1), np.asarray(model(noise)).argmax(axis=1))


@pytest.mark.parametrize(
    ("model", "classes", "message"),
    [
        (compiled(12, "softmax", SPARSE), 10, "the model has 12 outputs, but the images are of 10 classes"),
        (compiled(1, "sigmoid", "binary_crossentropy"), 3, "the model has 1 outputs, but the images are of 3"),
        (compiled(3, "softmax", "no_such"), 3, "the loss no_such takes neither integer nor one-hot labels: Could not"),
        (compiled(3, "softmax", lambda y, p: ops.sum(p, -1)), 3, "is no smaller for right answers than for wrong"),
    ],
)
def test_what_does_not_fit_is_refused(model: keras.Model, classes: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Outputs.of(model, classes, IMAGE)


def test_two_outputs_are_refused() -> None:
    pixels = keras.Input((4, 4, 3))
    flat = layers.Flatten()(pixels)
    model = keras.Model(pixels, [layers.Dense(3)(flat), layers.Dense(3)(flat)])
    with pytest.raises(ValueError, match="the model has 2 outputs, but one that tells the 3 classes is needed"):
        Outputs.of(model, 3, IMAGE)
