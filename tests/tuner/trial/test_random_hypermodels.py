"""HyperModels put together at random: each is searched as KerasTuner does it, or refused with its line.

THAW_RANDOM_HYPERMODELS=1000 tries so many.
"""

import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import layers, losses, metrics, ops

from results.formats import in_float32, probabilities
from search_spaces.configuration import complete
from search_spaces.errors import UserError
from search_spaces.fit_call import call_fit
from search_spaces.outputs import Outputs
from search_spaces.space import populated
from search_spaces.task import Task
from tuner.preparation import Request, prepare
from tuner.trial.datasets import ImageData
from tuner.trial.errors import TrialFailure
from tuner.trial.training import Training

EXAMPLES = int(os.environ.get("THAW_RANDOM_HYPERMODELS", "25"))
EPOCHS = 2
space = keras_tuner.HyperModel()
"""The one that is tried; `prepare` finds it by its name."""


def own_on_integers(labels: Any, outputs: Any) -> Any:
    place = ops.reshape(ops.cast(labels, "int32"), (-1, 1))
    return -ops.log(ops.take_along_axis(ops.softmax(outputs), place, axis=-1) + 1e-7)


def own_on_one_hot(labels: Any, outputs: Any) -> Any:
    return ops.sum(ops.square(labels - outputs), axis=-1)


HEADS: dict[str, Callable[[int, Any], Any]] = {
    "softmax": lambda classes, x: layers.Dense(classes, "softmax", name="head")(layers.Flatten()(x)),
    "softmax layer": lambda classes, x: layers.Softmax()(layers.Dense(classes)(layers.Flatten()(x))),
    "softmax operation": lambda classes, x: ops.softmax(layers.Dense(classes)(layers.Flatten()(x))),
    "convolution": lambda classes, x: layers.GlobalAveragePooling2D()(layers.Conv2D(classes, 1)(x)),
    "logits": lambda classes, x: layers.Dense(classes, name="head")(layers.Flatten()(x)),
    "sigmoids": lambda classes, x: layers.Dense(classes, "sigmoid", name="head")(layers.Flatten()(x)),
    "positive": lambda classes, x: layers.Dense(classes, "softplus")(layers.Flatten()(x)),
    "one sigmoid": lambda classes, x: layers.Dense(1, "sigmoid")(layers.Flatten()(x)),
    "one logit": lambda classes, x: layers.Dense(1)(layers.Flatten()(x)),
    "too many": lambda classes, x: layers.Dense(classes + 2, "softmax")(layers.Flatten()(x)),
    "a map": lambda classes, x: layers.Dense(classes, "softmax")(x),
    "lambda": lambda classes, x: layers.Lambda(ops.softmax)(layers.Dense(classes)(layers.Flatten()(x))),
}
LOSSES: dict[str, Callable[[], Any]] = {
    "sparse": lambda: "sparse_categorical_crossentropy",
    "categorical": lambda: losses.CategoricalCrossentropy(label_smoothing=0.1),
    "binary": lambda: "binary_crossentropy",
    "either": lambda: "crossentropy",
    "sparse of logits": lambda: losses.SparseCategoricalCrossentropy(from_logits=True, name="mine"),
    "categorical of logits": lambda: losses.CategoricalCrossentropy(from_logits=True),
    "binary of logits": lambda: losses.BinaryCrossentropy(from_logits=True),
    "focal": lambda: losses.CategoricalFocalCrossentropy(),
    "squared": lambda: "mse",
    "hinge": lambda: "categorical_hinge",
    "own, integers": lambda: own_on_integers,
    "own, one-hot": lambda: own_on_one_hot,
    "misspelled": lambda: "sparse_crossentropy",
}
METRICS: dict[str, Callable[[], Any]] = {
    "accuracy": lambda: ["accuracy"],
    "acc": lambda: ["acc"],
    "none": lambda: None,
    "other": lambda: [metrics.MeanSquaredError()],
    "sparse": lambda: [metrics.SparseCategoricalAccuracy()],
    "categorical": lambda: [metrics.CategoricalAccuracy(name="head_accuracy")],
    "binary": lambda: [metrics.BinaryAccuracy(), "accuracy"],
    "by head": lambda: {"head": "accuracy"},
    "numbers": lambda: [metrics.Accuracy()],
}


def _plain(hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
    return model.fit(*args, **kwargs)


def _with_epochs(hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
    return model.fit(*args, epochs=hp.Int("epochs", 1, 3), **kwargs)


def _loud(hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
    return model.fit(*args, batch_size=hp.Choice("batch_size", [4, 8]), **{"verbose": 0, **kwargs})


def _by_name(hp: Any, model: Any, x: Any, y: Any, validation_data: Any, callbacks: Any = None) -> Any:
    return model.fit(x, y, validation_data=validation_data, callbacks=callbacks, epochs=2, verbose=0)


def _stopping(hp: Any, model: Any, *args: Any, callbacks: Any, **kwargs: Any) -> Any:
    patience = hp.Int("patience", 1, 2)
    return model.fit(*args, callbacks=[*callbacks, keras.callbacks.EarlyStopping("loss", patience=patience)], **kwargs)


def _returning(hp: Any, model: Any, *args: Any, callbacks: Any, **kwargs: Any) -> Any:
    return {name: values[-1] for name, values in model.fit(*args, **kwargs).history.items()}


def _wrong(hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
    return model.fit(*args, colour="red", **kwargs)


FITS: dict[str, Callable[..., Any] | None] = {
    "KerasTuner's": None,
    "plain": _plain,
    "epochs": _with_epochs,
    "loud": _loud,
    "by name": _by_name,
    "stopping": _stopping,
    "returning": _returning,
    "wrong": _wrong,
}


def _scoped(hp: Any, x: Any) -> Any:
    kind = hp.Choice("kind", ["none", "conv", "pool"])
    with hp.conditional_scope("kind", ["conv"]):
        if kind == "conv":
            x = layers.Conv2D(hp.Int("filters", 2, 4), 1)(x)
    with hp.conditional_scope("kind", ["pool"]):
        if kind == "pool":
            x = layers.AveragePooling2D(hp.Fixed("size", 2))(x)
    return x


def _looped(hp: Any, x: Any) -> Any:
    for number in range(hp.Int("blocks", 1, 2)):
        x = layers.Conv2D(hp.Int(f"filters_{number}", 2, 4, step=2), 1, activation="relu")(x)
    return x


def _flagged(hp: Any, x: Any) -> Any:
    return layers.Dropout(hp.Float("rate", 0.1, 0.3))(x) if hp.Boolean("dropout", default=True) else x


BODIES: dict[str, Callable[[Any, Any], Any]] = {"scoped": _scoped, "looped": _looped, "flagged": _flagged}


@dataclass(frozen=True)
class Recipe:
    """What a HyperModel is put together of."""

    classes: int
    body: str
    head: str
    loss: str
    metrics: str
    fit: str


def hypermodel(recipe: Recipe) -> keras_tuner.HyperModel:
    class Random(keras_tuner.HyperModel):
        def build(self, hp: Any) -> keras.Model:
            pixels = keras.Input((4, 4, 3))
            x = BODIES[recipe.body](hp, layers.Rescaling(1 / 255)(pixels))
            model = keras.Model(pixels, HEADS[recipe.head](recipe.classes, x))
            rate = hp.Float("rate_of_learning", 1e-3, 1e-2, sampling="log")
            model.compile(keras.optimizers.SGD(rate), LOSSES[recipe.loss](), metrics=METRICS[recipe.metrics](),
                          run_eagerly=True)  # fmt: skip
            return model

    own = FITS[recipe.fit]
    if own is not None:
        Random.fit = lambda self, hp, model, *args, **kwargs: own(hp, model, *args, **kwargs)  # type: ignore[method-assign]
    return Random()


def images_of(classes: int) -> ImageData:
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (30, 4, 4, 3), dtype=np.uint8), np.arange(30) % classes
    names = tuple(f"class {number}" for number in range(classes))
    return ImageData("noise", names, images[:11], labels[:11], images[11:], labels[11:], 0)


class Count(keras.callbacks.Callback):
    """Counts epochs."""

    epochs = 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epochs += 1


def kerastuners(space: keras_tuner.HyperModel, configuration: Any, data: ImageData) -> int | Exception:
    """The epochs that it is trained for as KerasTuner calls it, or what it raises."""
    hp, count = populated(configuration), Count()
    try:
        model = space.build(hp)
        outputs = Outputs.of(model, len(data.class_names), data.train_images[:1])
        validation = (data.validation_images, outputs.targets(data.validation_labels))
        training = (data.train_images, outputs.targets(data.train_labels))
        call_fit(space, hp, model, training, lambda: False, validation_data=validation, epochs=EPOCHS, verbose=0,
                 callbacks=[count])  # fmt: skip
    except Exception as error:
        return error
    return count.epochs


RECIPES = st.builds(
    Recipe, st.sampled_from([2, 3, 10]), *(st.sampled_from(list(one)) for one in (BODIES, HEADS, LOSSES, METRICS, FITS))
)


@settings(max_examples=EXAMPLES, deadline=None, derandomize=EXAMPLES < 100, database=None,
          suppress_health_check=list(HealthCheck))  # fmt: skip
@given(recipe=RECIPES)
def test_a_random_hypermodel_runs_as_under_kerastuner_or_is_refused_with_its_line(
    recipe: Recipe, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data, made = images_of(recipe.classes), hypermodel(recipe)
    sys.modules[__name__].space = made
    refusal = _tried(made, data, tmp_path_factory.mktemp("kept"))
    assert refusal is None or re.search(r"\(test_random_hypermodels.py, line \d+\)$", refusal), refusal


def _tried(made: keras_tuner.HyperModel, data: ImageData, folder: Path) -> str | None:
    """Why it is refused before any trial; None for one that a trial was made of."""
    classes = len(data.class_names)
    try:
        found = prepare(Request(f"{__name__}:space", Task(4, classes, 11, EPOCHS), (), False, "imagenet", ""))
    except UserError as error:
        return str(error)
    configuration = complete(found.hyperparameters, {})
    theirs, failure, one = kerastuners(made, configuration, data), None, None
    try:
        one = Training(made, configuration, data, EPOCHS, seed=0)
        epochs = [epoch for _ in range(EPOCHS + 2) if (epoch := one.run_epoch())]
    except TrialFailure as error:
        failure = error
    try:
        assert isinstance(theirs, Exception) == (failure is not None), (theirs, failure)
        if one is not None and not isinstance(theirs, Exception):
            assert len(epochs) == max(theirs, 1)
            if not found.needs_code:
                _compare(one, epochs[-1]["val_accuracy"], data, folder)
    finally:
        if one is not None:
            one.close()
    return None


def _compare(one: Training, accuracy: float, data: ImageData, folder: Path) -> None:
    """What is kept gives probabilities, and is as accurate as was said of it."""
    one.save_model(folder / "model.keras")
    said = probabilities(in_float32(folder / "model.keras"), data.validation_images)
    assert said.shape == (19, len(data.class_names))
    np.testing.assert_allclose(said.sum(axis=1), 1, rtol=1e-4)
    assert (said.argmax(axis=1) == data.validation_labels).mean() == pytest.approx(accuracy, abs=1e-6)
