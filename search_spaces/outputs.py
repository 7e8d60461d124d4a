"""What a model's outputs mean, which labels its loss takes, and which of its metrics is the accuracy.

KerasTuner's users write models with softmax, sigmoid or linear outputs, and with any loss. Here alone it is decided
what those are: by the last activation, which the model's graph tells, else by what the loss rewards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import keras
import numpy as np
from keras.src.trainers.compile_utils import CompileLoss, CompileMetrics

from search_spaces.causes import cause

ACCURACY = "accuracy"
OTHER_NAMES = ("acc", "sparse_categorical_accuracy", "categorical_accuracy", "binary_accuracy")
"""What Keras calls an accuracy in the logs of an epoch, beside "accuracy"."""
MARK = "class_probabilities"
"""The name of the layer that turns other outputs into probabilities: behind it nothing is left to do."""
LEAST = 1e-6
"""Of a probability: what keeps the order of outputs that all are 0 or below."""
PASSING = frozenset(
    {"ActivityRegularization", "Average", "Cast", "Dropout", "Flatten", "GlobalAveragePooling2D", "Identity", "Mean"}
    | {"Reshape", "Squeeze"}
)
"""Classes of layers and operations behind which outputs mean what they meant before."""
FEATURES = ("Conv2D", "Dense", "EinsumDense", "SeparableConv2D")
"""Layers whose outputs without an activation may be any number."""


class Meaning(StrEnum):
    """What the outputs of a model are; one output alone is of the second of two classes."""

    PROBABILITIES = "probabilities"
    """They sum to 1."""
    SHARES = "shares"
    """A probability each, whatever the others are, as sigmoids give."""
    LOGITS = "logits"
    """Logarithms of probabilities that sum to 1, up to a constant."""
    SIGMOID_LOGITS = "sigmoid logits"
    """Logarithms of the odds, each for itself."""
    UNKNOWN = "unknown"
    """Neither the graph nor a loss tells it: it is judged by what they are for some images."""


@dataclass(frozen=True)
class Outputs:
    """What is known of a compiled model before it is trained."""

    meaning: Meaning
    labels: str
    """Which the loss takes: "integers", "one-hot" or, for a single output, a "column" of floats."""
    accuracy: str
    """What the logs of an epoch call the accuracy."""
    classes: int

    @classmethod
    def of(cls, model: keras.Model, classes: int, image: np.ndarray) -> Outputs:
        """Look at a model, and have it count its accuracy if none of its metrics is one.

        Args:
            image: one, as the model takes them: (1, height, width, channels).

        Raises:
            ValueError: its outputs do not fit the classes, or its loss takes none of the kinds of labels.
        """
        units = _units(model, classes, image)
        labels = _labels(model, units, classes)
        meaning = _meaning(model, units, classes, labels)
        threshold = 0.0 if meaning in (Meaning.LOGITS, Meaning.SIGMOID_LOGITS) else 0.5
        accuracy = _accuracy(model, units, labels, threshold) or _counted(model, units, labels, threshold)
        return cls(meaning, labels, accuracy, classes)

    def targets(self, labels: np.ndarray) -> np.ndarray:
        """Labels (n,) as the loss takes them: (n,) int64, (n, classes) or (n, 1) float32."""
        return _encoded(labels, self.labels, self.classes)

    def named(self, logs: Mapping[str, Any]) -> dict[str, Any]:
        """The logs of an epoch with the accuracies under our own names."""
        found = dict(logs)
        for prefix in ("", "val_"):
            names = (self.accuracy, ACCURACY, *OTHER_NAMES)
            known = next((prefix + name for name in names if prefix + name in logs), None)
            if known is not None:
                found[prefix + ACCURACY] = logs[known]
        return found


def fits(units: int, classes: int) -> bool:
    """Whether so many outputs can tell so many classes apart."""
    return units == classes or (units == 1 and classes == 2)


def _units(model: keras.Model, classes: int, image: np.ndarray) -> int:
    is_graph = bool(getattr(model, "outputs", None))
    found = model.outputs if is_graph else model(keras.ops.convert_to_tensor(image), training=False)
    shapes = [tuple(one.shape) for one in keras.tree.flatten(found)]
    if len(shapes) != 1:
        raise ValueError(f"the model has {len(shapes)} outputs, but one that tells the {classes} classes is needed")
    if len(shapes[0]) != 2:
        raise ValueError(
            f"the model gives an array of shape {shapes[0]} for a batch of images, but (images, {classes}) is needed: "
            "put a Flatten or a GlobalAveragePooling2D before its last Dense layer"
        )
    units = int(shapes[0][1])
    if not fits(units, classes):
        one = ", or 1 with a sigmoid" if classes == 2 else ""
        raise ValueError(
            f"the model has {units} outputs, but the images are of {classes} classes: its last layer must have "
            f"{classes} units{one}"
        )
    return units


# ----- labels


def _encoded(labels: np.ndarray, kind: str, classes: int) -> np.ndarray:
    if kind == "column":
        return labels.astype(np.float32).reshape(-1, 1)
    return keras.utils.to_categorical(labels, classes).astype(np.float32) if kind == "one-hot" else labels


def _labels(model: keras.Model, units: int, classes: int) -> str:
    """Whatever tells the loss right from wrong; integers, as the data have them, where it takes both."""
    if units == 1:
        return "column"
    if _loss_of(model) is None:  # a loop of the user's own has its loss, mostly one for integers
        return "integers"
    kinds = ["integers", "one-hot"]
    metrics = getattr(getattr(model, "_compile_metrics", None), "_user_metrics", None)
    if any(isinstance(metric, keras.metrics.CategoricalAccuracy) for metric in keras.tree.flatten(metrics)):
        kinds.reverse()
    errors = []
    for kind in kinds:
        try:
            if _tells(model, kind, classes):
                return kind
        except Exception as error:  # shapes and types, in the words of either backend
            errors.append(error)
    if len(errors) == 2:
        raise ValueError(
            f"the loss {_shown(model)} takes neither integer nor one-hot labels: {cause(errors[0])}"
        ) from errors[0]
    raise ValueError(
        f"the loss {_shown(model)} is no smaller for right answers than for wrong ones, with integer or one-hot labels"
    )


def _tells(model: keras.Model, kind: str, classes: int) -> bool:
    """Whether the loss is smaller for right answers than for wrong ones, whatever the classes are."""
    rng = np.random.default_rng(0)
    images = 3 if classes != 3 else 5  # as many as classes would hide a loss that takes the one for the other
    for turn in range(4):
        labels = rng.integers(0, classes, images)
        right = np.full((images, classes), 0.2 / (classes - 1), np.float32)
        right[np.arange(images), labels] = 0.8
        wrong = np.roll(right, 1 + turn % (classes - 1), axis=1)
        encoded = _encoded(labels, kind, classes)
        if not _loss(model, encoded, right) < _loss(model, encoded, wrong):
            return False
    return True


def _loss_of(model: keras.Model) -> Any:
    return getattr(model, "loss", None)


def _loss(model: keras.Model, labels: np.ndarray, outputs: np.ndarray) -> float:
    """What the model's loss says of these outputs. It is made anew: Keras's own one keeps to the first labels' kind."""
    made = CompileLoss(_loss_of(model), output_names=getattr(model, "output_names", None))
    given = keras.ops.convert_to_tensor(outputs)
    return float(np.mean(keras.ops.convert_to_numpy(made(keras.ops.convert_to_tensor(labels), given))))


def _shown(model: keras.Model) -> str:
    loss = next(iter(keras.tree.flatten(_loss_of(model))), None)
    return loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)


# ----- the accuracy


def _accuracy(model: keras.Model, units: int, labels: str, threshold: float) -> str | None:
    """The log name of the metric that is the share of images whose class is right; None without one.

    Args:
        threshold: of a single output, above which it says the second class.
    """
    compiled = getattr(model, "_compile_metrics", None)
    if compiled is None:
        return None
    made = CompileMetrics(compiled._user_metrics, compiled._user_weighted_metrics, output_names=compiled.output_names)
    outputs = np.full((2, units), 1 / units, np.float32)
    try:
        made.build(_encoded(np.arange(2), labels, units), outputs)
        found = dict(zip(made.result(), made.metrics, strict=True))
    except Exception:  # a metric that fails so fails in training, and says there why
        return None
    names = [name for name, metric in found.items() if _is_accuracy(metric, units, labels, threshold)]
    return next((name for name in names if name == ACCURACY), next(iter(names), None))


def _is_accuracy(metric: keras.metrics.Metric, units: int, labels: str, threshold: float) -> bool:
    """Whether it counts classes right. Keras's `Accuracy` compares numbers, its binary one each of several outputs."""
    function = getattr(metric, "_fn", None)
    if function is keras.metrics.binary_accuracy:
        return units == 1 and getattr(metric, "_fn_kwargs", {}).get("threshold", 0.5) == threshold
    if function is keras.metrics.categorical_accuracy:
        return labels == "one-hot"
    if function is keras.metrics.sparse_categorical_accuracy:
        return labels == "integers"
    return metric.name == ACCURACY and not type(metric).__module__.startswith("keras.")


def _counted(model: keras.Model, units: int, labels: str, threshold: float) -> str:
    """Compile it with one more metric, if it is compiled as Keras does it."""
    config = getattr(model, "_compile_config", None)
    if config is None or type(model).compile is not keras.Model.compile:
        return ACCURACY
    # Keras's own string takes outputs for probabilities.
    own = keras.metrics.BinaryAccuracy("class_accuracy", threshold=threshold) if units == 1 else ACCURACY
    metrics = [*keras.tree.flatten(config.config.get("metrics") or []), own]
    model.compile(**config.config | {"metrics": metrics})
    return _accuracy(model, units, labels, threshold) or ACCURACY


# ----- the meaning


def _meaning(model: keras.Model, units: int, classes: int, labels: str) -> Meaning:
    by_graph = meaning_by_graph(model)
    if by_graph in (Meaning.PROBABILITIES, Meaning.SHARES) or _loss_of(model) is None:
        return by_graph
    try:
        found = _rewarded(model, units, classes, labels)
        if by_graph is Meaning.LOGITS and found is Meaning.SHARES and not _bounds(model, units, classes, labels):
            return Meaning.LOGITS
        return found
    except Exception:  # the loss has rules of its own
        return by_graph


def _rewarded(model: keras.Model, units: int, classes: int, labels: str) -> Meaning:
    """The meaning under which the true shares of some classes have the smallest loss.

    That is what proper scoring rules have in common: the expected loss is smallest where the answer is the truth.
    """
    counts = np.ones(classes, int)
    counts[:2] = 5, 2
    shares = counts / counts.sum()
    shares = shares[1:2] if units == 1 else shares
    odds = np.log(shares / (1 - shares))
    candidates = {Meaning.SHARES: shares, Meaning.SIGMOID_LOGITS: odds}
    if units > 1:
        candidates[Meaning.LOGITS] = np.log(shares)
    drawn = _encoded(np.repeat(np.arange(classes), counts), labels, classes)
    losses = {
        meaning: _loss(model, drawn, np.tile(answer.astype(np.float32), (len(drawn), 1)))
        for meaning, answer in candidates.items()
    }
    return min(losses, key=losses.__getitem__)


def _bounds(model: keras.Model, units: int, classes: int, labels: str) -> bool:
    """Whether right answers can be too large, as for a squared error; a hinge only wants them to be large enough."""
    answers = np.eye(classes, dtype=np.float32)[:, -units:]
    targets = _encoded(np.arange(classes), labels, classes)
    return _loss(model, targets, 3 * answers) > _loss(model, targets, answers) + 1e-3


def meaning_by_graph(model: keras.Model) -> Meaning:
    """What the last activation of a functional or sequential model says, without its loss."""
    outputs = keras.tree.flatten(getattr(model, "outputs", None) or [])
    return _of_tensor(outputs[0]) if len(outputs) == 1 else Meaning.UNKNOWN


def _of_tensor(tensor: Any) -> Meaning:
    operation, node, _ = tensor._keras_history
    kind = type(operation).__name__
    if operation.name == MARK or kind == "Softmax":
        return Meaning.PROBABILITIES
    if kind == "Sigmoid":
        return Meaning.SHARES
    if isinstance(operation, keras.Model):
        return meaning_by_graph(operation)
    activation = getattr(operation, "activation", None)
    if activation is not None and activation is not keras.activations.linear:
        known = {keras.activations.softmax: Meaning.PROBABILITIES, keras.activations.sigmoid: Meaning.SHARES}
        own = isinstance(activation, keras.layers.Layer) and _of_layer(activation)
        return own or (known.get(activation, Meaning.UNKNOWN) if callable(activation) else Meaning.UNKNOWN)
    if kind in PASSING or kind == "Activation":
        before = {_of_tensor(one) for one in operation._inbound_nodes[node].input_tensors}
        return before.pop() if len(before) == 1 else Meaning.UNKNOWN
    return Meaning.LOGITS if kind in FEATURES else Meaning.UNKNOWN


def _of_layer(activation: keras.layers.Layer) -> Meaning:
    """Of a layer that is another one's activation, as in `Dense(10, activation=Softmax())`."""
    is_softmax = isinstance(activation, keras.layers.Softmax)
    return Meaning.PROBABILITIES if is_softmax else Meaning.UNKNOWN


def with_probabilities(model: keras.Model, meaning: Meaning) -> keras.Model:
    """The model with a probability a class as its one output, whatever its outputs mean; they sum to 1.

    Sigmoids of several classes are divided by their sum: an image is of one class, the order stays as it is, and where
    the sigmoids are calibrated they sum to 1 already. A model without a graph is returned as it is.
    """
    (given,) = keras.tree.flatten(getattr(model, "outputs", None) or [None])
    if given is None:
        return model
    if meaning is Meaning.UNKNOWN:
        meaning = _seen(model, int(given.shape[-1]))
    is_single = given.shape[-1] == 1
    if meaning is Meaning.PROBABILITIES and not is_single:
        return model if isinstance(model.output_shape, tuple) else keras.Model(model.inputs[0], given)
    if meaning is Meaning.LOGITS and not is_single:
        return keras.Model(model.inputs[0], keras.layers.Softmax(name=MARK, dtype="float32")(given))
    before = given
    if meaning in (Meaning.LOGITS, Meaning.SIGMOID_LOGITS):
        given = keras.layers.Activation("sigmoid", dtype="float32")(given)
    else:  # what a squared error trains may be beyond 0 and 1
        given = keras.layers.ReLU(max_value=1.0 if is_single else None, dtype="float32")(given)
    if is_single:
        found = keras.layers.Concatenate(name=MARK, dtype="float32")([1.0 - given, given])
    else:  # the second term alone puts them in order where all are 0 or below
        given = given + LEAST * keras.layers.Softmax(dtype="float32")(before)
        total = keras.ops.sum(given, axis=-1, keepdims=True)
        found = keras.layers.Activation("linear", name=MARK, dtype="float32")(given / total)
    return keras.Model(model.inputs[0], found)


def _seen(model: keras.Model, units: int) -> Meaning:
    """Judged by some images: dark, bright and noise."""
    shape = model.input_shape[1:]
    noise = np.random.default_rng(0).uniform(0, 255, (2, *shape))
    pixels = np.concatenate([noise, np.zeros((1, *shape)), np.full((1, *shape), 255.0)]).astype(np.float32)
    (found,) = keras.tree.flatten(model(keras.ops.convert_to_tensor(pixels), training=False))
    values = keras.ops.convert_to_numpy(found).astype(np.float32)
    if (values < 0).any() or (values > 1).any():
        return Meaning.LOGITS
    return Meaning.PROBABILITIES if np.allclose(values.sum(axis=1), 1, atol=1e-3) and units > 1 else Meaning.SHARES
