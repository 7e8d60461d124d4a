"""The part of a model that training cannot change, from the input on: where it ends, what it costs, and its name.

What Nautilus (Nakandala & Kumar, SIGMOD 2022) and Alsatian (SIGMOD 2025) share between models, found in any functional
Keras model.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import keras
import numpy as np

from tuner.trial.model_graph import Call, ModelGraph, Substitutes, Tensor, is_plain

TRAINING_COST = 3.0
"""A training step in forward passes: one forward, two of the same size backward."""
NEARLY = 0.03
"""Share of the training's cost that may be computed again in each step for the sake of a smaller or a shared cut."""
STRETCHES = 4
"""Waypoints divide a model into this many stretches of equal cost, or up to twice as many."""
FORMAT = 1
"""Of the arrays: another number makes all that was stored before unknown."""
TRIED, TRIED_SPREAD = 16, 50.0
"""Rows of noise that a layer of unknown make is tried on, and their standard deviation: pixels spread as widely."""
ELEMENT_COST = 4.0
"""What touching an element costs in multiply-adds: both are rough, and only compared with one another."""


@dataclass(frozen=True)
class Cut:
    """A tensor that alone crosses from the frozen part to the rest."""

    tensor: Tensor
    key: str
    """Hash of all in front of it: layers, their weights, precision. Equal keys give equal features for equal images."""
    cost: float
    """Multiply-adds for an image in front of it, roughly."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image's features."""
        return tuple(self.tensor.shape[1:])

    @property
    def size(self) -> int:
        """Numbers in one image's features."""
        return int(np.prod(self.shape))


class FrozenPrefix:
    """What no step of training changes: no weight that trains, batch normalization by stored statistics, no chance.

    Args:
        graph: of the model, its `trainable` flags as they are for the training to come.
        views: whether augmentation at the input may belong to it, because its outcome is kept for each view apart.
    """

    def __init__(self, graph: ModelGraph, views: bool = False) -> None:
        self.graph = graph
        self._parts: dict[tuple[Substitutes, tuple[int, ...]], keras.Model] = {}
        frozen = list(takewhile(lambda call: _is_frozen(call, views), graph.calls))
        costs = np.cumsum([_cost(call) for call in graph.calls])
        self._whole_cost = float(costs[-1]) if len(costs) else 0.0
        keys = _keys(graph, frozen)
        last_random = max((i + 1 for i, call in enumerate(frozen) if is_augmentation(call.operation)), default=0)
        self.is_augmented = last_random > 0
        self.cuts: tuple[Cut, ...] = tuple(
            Cut(tensor, keys[id(tensor)], float(costs[count - 1]))
            for count, tensor in graph.narrows()
            if last_random <= count <= len(frozen) and getattr(tensor, "_keras_mask", None) is None
            and "float" in str(tensor.dtype)
            and None not in tensor.shape[1:]
        )  # fmt: skip

    def part(self, start: Tensor, ends: Sequence[Tensor], substitutes: Substitutes) -> keras.Model:
        """As `ModelGraph.part`, once for the same tensors: what is traced for training images serves validation too."""
        name = substitutes, tuple(map(id, (start, *ends)))
        if name not in self._parts:
            self._parts[name] = self.graph.part(start, ends, substitutes)
        return self._parts[name]

    def choices(self) -> list[Cut]:
        """The cuts that save nearly as much as the last one, the best first: small features, then late ones."""
        if not self.cuts:
            return []
        last = self.cuts[-1]
        spare = NEARLY * TRAINING_COST * (self._whole_cost - last.cost)
        near = [cut for cut in self.cuts if last.cost - cut.cost <= spare]
        return sorted(near, key=lambda cut: (cut.size, -cut.cost))

    def gain(self, cut: Cut) -> float:
        """The share of an epoch's computing that features at `cut` save."""
        return cut.cost / (cut.cost + TRAINING_COST * (self._whole_cost - cut.cost))

    def waypoints(self) -> list[Cut]:
        """The smallest cut of each stretch of the model: the same ones whatever of it is frozen behind them.

        Features stored there make those of any later cut cheap.
        """
        if not self._whole_cost:
            return []
        stretch = 2.0 ** np.floor(np.log2(self._whole_cost / STRETCHES))  # so that a head's size does not move them
        smallest: dict[int, Cut] = {}
        for cut in self.cuts:
            number = int(cut.cost // stretch)
            if number not in smallest or cut.size < smallest[number].size:
                smallest[number] = cut
        return [cut for number, cut in sorted(smallest.items())[:-1] if number]  # the last stretch may go on


def find(model: keras.Model, views: bool = False) -> FrozenPrefix | None:
    """The frozen prefix of a compiled model, or None where it has none, or no graph that can be cut."""
    if not is_plain(model):
        return None
    try:
        prefix = FrozenPrefix(ModelGraph(model), views)
    except ValueError:  # models inside it whose layers share a name cannot be taken apart
        return None
    return prefix if prefix.cuts else None


def _is_frozen(call: Call, views: bool) -> bool:
    layer = call.operation
    if not isinstance(layer, keras.Layer):
        return True
    if layer.trainable_variables or getattr(layer, "activity_regularizer", None) is not None:
        return False
    if views and is_augmentation(layer):
        return True
    # `training=False` among a call's arguments says nothing: Keras (3.15) writes it there whatever its author wrote,
    # and overrides it when the model trains.
    parts = list(layer._flatten_layers())
    own = [part for part in parts if is_kerases_own(part)]
    if any(_is_random(part) or _changes(part) for part in own):
        return False
    return len(own) == len(parts) or _tried(call) is not None


def is_kerases_own(layer: keras.Layer) -> bool:
    """Whether it is a layer of Keras's own that calls no function of somebody else's."""
    if not type(layer).__module__.startswith("keras.") or isinstance(layer, keras.layers.Lambda):
        return False
    functions = (getattr(layer, name, None) for name in ("activation", "recurrent_activation"))
    return all(function is None or function.__module__.startswith("keras.") for function in functions)


def _is_random(layer: keras.Layer) -> bool:
    return bool(layer._seed_generators) and getattr(layer, "rate", None) != 0


def _changes(layer: keras.Layer) -> bool:
    """Whether a layer of Keras's own without trainable weights still has a state that training changes."""
    if isinstance(layer, keras.layers.BatchNormalization):
        return bool(layer.trainable)
    return isinstance(layer, keras.layers.SpectralNormalization) or bool(getattr(layer, "stateful", False))


def is_augmentation(operation: Any) -> bool:
    """Whether it is a layer of Keras's that changes images at random in training, and hands them on in inference."""
    if not isinstance(operation, keras.Layer) or not is_kerases_own(operation):
        return False
    is_image_layer = "image_preprocessing" in type(operation).__module__
    return is_image_layer and any(part._seed_generators for part in operation._flatten_layers())


def _tried(call: Call) -> list[np.ndarray] | None:
    """What a layer that is not Keras's own makes of some noise; None unless that is the same in training and in
    inference, every time, and the layer is the same after it."""
    layer = call.operation
    shapes = [tensor.shape for tensor in call.input_tensors]
    if any(None in shape[1:] for shape in shapes):
        return None
    noise = np.random.default_rng(0)
    values = {
        id(tensor): keras.ops.cast(noise.normal(scale=TRIED_SPREAD, size=(TRIED, *tensor.shape[1:])), tensor.dtype)
        for tensor in call.input_tensors
    }
    args, kwargs = call.arguments.fill_in(values)
    before = [np.array(variable) for variable in layer.variables]
    outcomes = []
    try:
        for mode in (True, True, True, False):
            outcome = keras.tree.flatten(layer(*args, **kwargs | {"training": mode}))
            outcomes.append([np.asarray(keras.ops.convert_to_numpy(value), "float32") for value in outcome])
        is_same = not layer.losses and all(
            np.array_equal(old, np.array(variable)) for old, variable in zip(before, layer.variables, strict=True)
        )
    except Exception:
        return None
    finally:
        for variable, value in zip(layer.variables, before, strict=True):
            variable.assign(value)
    is_same = is_same and all(
        np.allclose(first, other, rtol=1e-3, atol=1e-5)
        for outcome in outcomes[1:]
        for first, other in zip(outcomes[0], outcome, strict=True)
    )
    return outcomes[-1] if is_same else None


def _cost(call: Call) -> float:
    """Every weight of a layer is used once at each position of its output."""
    positions = sum(float(np.prod([side or 1 for side in tensor.shape[1:-1]])) for tensor in call.outputs)
    elements = sum(float(np.prod([side or 1 for side in tensor.shape[1:]])) for tensor in call.outputs)
    kernels = 0.0
    if isinstance(call.operation, keras.Layer):
        kernels = float(sum(np.prod(weight.shape) for weight in call.operation.weights if len(weight.shape) > 1))
    return kernels * positions + ELEMENT_COST * elements


def _keys(graph: ModelGraph, calls: Sequence[Call]) -> dict[int, str]:
    """The key of each tensor: a hash over the calls that lead to it."""
    start = f"{FORMAT} {keras.backend.backend()} {keras.__version__} {graph.input.shape[1:]} {graph.input.dtype}"
    keys = {id(graph.input): hashlib.sha256(start.encode()).hexdigest()}
    for call in calls:
        args, kwargs = call.arguments.fill_in(keys)
        digest = hashlib.sha256()
        for part in (*_identity(call), *_flattened(args, kwargs)):
            digest.update(part)
            digest.update(b"\0")
        for number, tensor in enumerate(call.outputs):
            keys[id(tensor)] = f"{digest.hexdigest()}{number or ''}"
    return keys


def _identity(call: Call) -> Iterator[bytes]:
    """All that decides what an operation computes: its class, configuration and weights, but no name.

    Of a layer that is not Keras's own also its source and what it makes of noise: a configuration tells of a function
    no more than its name.
    """
    operation, kind = call.operation, type(call.operation)
    yield f"{kind.__module__}.{kind.__qualname__}".encode()
    if isinstance(operation, keras.Layer):
        with suppress(Exception):
            yield json.dumps(unnamed(operation.get_config()), sort_keys=True, default=repr).encode()
        parts = list(operation._flatten_layers())
        if not all(is_kerases_own(part) for part in parts):
            yield from (outcome.tobytes() for outcome in _tried(call) or [])
        for part in parts:
            yield part.dtype_policy.name.encode()  # a policy has no more than a name, and names are left out above
            if not is_kerases_own(part):
                with suppress(OSError, TypeError):  # its author may change it between two runs
                    yield inspect.getsource(type(part)).encode()
        for variable in operation.variables:
            if "seed_generator" not in variable.path:
                yield np.ascontiguousarray(variable.numpy() if hasattr(variable, "numpy") else variable).tobytes()
    else:
        yield repr(list(settings(operation).items())).encode()


def settings(operation: Any) -> dict[str, Any]:
    """What one of Keras's operations was made with, by name: it keeps that as plain attributes."""
    return {key: value for key, value in sorted(vars(operation).items()) if not key.startswith("_") and key != "name"}


def unnamed(config: Any) -> Any:
    """A layer's configuration without what does not change what it computes: names, seeds, whether it trains."""
    if isinstance(config, dict):
        left_out = {"name", "trainable", "seed", "shared_object_id"}
        return {key: unnamed(value) for key, value in config.items() if key not in left_out}
    return [unnamed(item) for item in config] if isinstance(config, list | tuple) else config


def _flattened(args: Any, kwargs: Any) -> Iterator[bytes]:
    for value in keras.tree.flatten((args, dict(sorted(kwargs.items())))):
        if hasattr(value, "__array__"):
            array = np.asarray(value)
            yield f"{array.shape} {array.dtype.str}".encode() + array.tobytes()
        else:
            yield repr(value).encode()


class InTraining(keras.layers.Layer):
    """A layer that acts as in training wherever it is called. (An argument would not do: a model overrides it.)"""

    def __init__(self, layer: keras.layers.Layer) -> None:
        super().__init__(dtype=layer.dtype_policy)
        self.layer = layer
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The layer's."""
        return self.layer.compute_output_shape(input_shape)

    def call(self, inputs: Any) -> Any:
        """What the layer gives in training."""
        return self.layer(inputs, training=True)


def augmenting(calls: Sequence[Call]) -> dict[int, Any]:
    """For `ModelGraph.part`: augmentation that acts as in training wherever the part is called."""
    return {id(call): InTraining(call.operation) for call in calls if is_augmentation(call.operation)}
