"""Models that a worker has traced: another with the same graph trains in their stead, with its own weights and rates.

Tracing a model takes TensorFlow about a second, and many trials of a search differ from an earlier one in rates and
seeds only. A traced function knows its variables, not their values: so for the time of a `fit` the new model's
variables stand for the traced one's, with the new model's values in them.
"""

from __future__ import annotations

import copy
import json
import math
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras

from tuner.folding import FoldedConvolution
from tuner.frozen_prefix import is_kerases_own, unnamed
from tuner.fused_norm import FusedNorm
from tuner.model_graph import ModelGraph
from tuner.variable_dropout import VariableDropout

MOST_WEIGHTS = 64e6
"""Numbers in the weights of all that a worker keeps: 256 MB. A part keeps the whole model around it alive."""
MOST_MODELS = 8
"""Each has some 10 MB of graph beside its weights."""
Schedule = keras.optimizers.schedules.LearningRateSchedule
PEAKS = {keras.optimizers.schedules.CosineDecay: ("initial_learning_rate", "warmup_target")}
"""Attributes of schedules that can be variables: the rates. Counts of steps stay in the graph."""


SUBSTITUTES = (FoldedConvolution, FusedNorm, VariableDropout)


class TracedModels:
    """The latest traced models of a worker, by all that decides their graph.

    A model serves one trial at a time: what a trial has traced is there for the next one.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, keras.Model] = OrderedDict()
        self._in_use: dict[str, keras.Model] = {}

    def begin_trial(self) -> None:
        """The trial before has ended: what it has traced can be used from now on."""
        for name, model in self._in_use.items():
            model.history = None  # it leads to the callbacks, and they to the trial's whole model
            self._kept.pop(name, None)
            self._kept[name] = model
        self._in_use = {}
        while len(self._kept) > MOST_MODELS or sum(map(_weights, self._kept.values())) > MOST_WEIGHTS:
            self._kept.popitem(last=False)

    @contextmanager
    def like(self, model: keras.Model) -> Iterator[keras.Model]:
        """A traced model that computes what `model` does and trains its variables; `model` itself where there is none.

        Args:
            model: compiled, and built to the variables of its optimizer and metrics.
        """
        if keras.backend.backend() != "tensorflow":  # JAX keeps what it has compiled on disk, by what it computes
            yield model
            return
        for optimizer in _optimizers(model):
            _free_rates(optimizer)
        name = _signature(model)
        traced = self._kept.pop(name, None) if name else None
        if name and name not in self._in_use:
            self._in_use[name] = traced or model
        if traced is None:
            yield model
            return
        with _stand_for(_variables(model), _variables(traced)):
            yield traced


@contextmanager
def _stand_for(new: Sequence[keras.Variable], old: Sequence[keras.Variable]) -> Iterator[None]:
    """`new` share the storage of `old`, with their own values in it, and have them back in their own at the end."""
    pairs = [(variable, variable._value, other._value) for variable, other in zip(new, old, strict=True)]
    for variable, own, shared in pairs:
        shared.assign(own)
        variable._value = shared
    try:
        yield
    finally:
        for variable, own, shared in pairs:
            own.assign(shared)
            variable._value = own


def _weights(model: keras.Model) -> int:
    return sum(math.prod(variable.shape) for variable in model.variables)


def _variables(model: keras.Model) -> list[keras.Variable]:
    """All that a traced function reads, in an order that the graph decides."""
    rates = [rate for optimizer in _optimizers(model) for rate in _rates(optimizer._learning_rate)]
    return [*model.variables, *model.optimizer.variables, *rates]


def _optimizers(model: keras.Model) -> list[keras.optimizers.Optimizer]:
    return list(getattr(model.optimizer, "optimizers", [model.optimizer]))


def _free_rates(optimizer: keras.optimizers.Optimizer) -> None:
    """Make the peaks of its schedule variables; saved, it is what it was."""
    schedule = optimizer._learning_rate
    if isinstance(schedule, Schedule) and not hasattr(schedule, "freed"):
        optimizer._learning_rate = _freed(schedule)


def _freed(schedule: Any) -> Any:
    freed = copy.copy(schedule)
    freed.get_config, freed.freed = schedule.get_config, True
    for name in PEAKS.get(type(schedule), ()):
        if getattr(schedule, name) is not None:
            setattr(freed, name, keras.Variable(getattr(schedule, name), trainable=False, name=name))
    for name, value in vars(schedule).items():
        if isinstance(value, Schedule):
            setattr(freed, name, _freed(value))
    return freed


def _rates(schedule: Any) -> Iterator[keras.Variable]:
    if isinstance(schedule, Schedule):
        for _, value in sorted(vars(schedule).items()):
            if isinstance(value, keras.Variable):
                yield value
            yield from _rates(value)


class _Unknown(Exception):
    """Something of which nobody can tell what it computes."""


def _signature(model: keras.Model) -> str | None:
    """What decides the graph of a training step and of an evaluation; None where that cannot be known."""
    try:
        return json.dumps([_calls(model), _compilation(model)], sort_keys=True, default=repr)
    except (_Unknown, ValueError):
        return None


def _calls(model: keras.Model) -> list[Any]:
    """Each call: what it computes, on which tensors. Layers are numbered, as one may be called twice."""
    graph = ModelGraph(model)
    numbers: dict[int, Any] = {id(graph.input): [0, *graph.input.shape, graph.input.dtype]}
    layers: dict[int, int] = {}
    found: list[Any] = []
    for call in graph.calls:
        operation = call.operation
        parts = list(operation._flatten_layers()) if isinstance(operation, keras.Layer) else [operation]
        args, kwargs = call.arguments.fill_in(numbers)
        found.append([[layers.setdefault(id(part), len(layers)), _described(part)] for part in parts])
        found.append([_plain(args), _plain(kwargs)])
        numbers |= {id(tensor): [len(found), index] for index, tensor in enumerate(call.outputs)}
    return [*found, [numbers[id(tensor)] for tensor in graph.outputs]]


def _described(part: Any) -> list[Any]:
    """A layer or operation without names, seeds and rates that are variables."""
    if not isinstance(part, keras.Layer):
        if not type(part).__module__.startswith("keras."):
            raise _Unknown
        state = {key: repr(value) for key, value in vars(part).items() if not key.startswith("_") and key != "name"}
        return [type(part).__qualname__, state]
    if isinstance(part, SUBSTITUTES):  # their settings are those of the layers in them
        config = None
    elif is_kerases_own(part):
        config = unnamed(part.get_config())
    else:
        raise _Unknown
    variables = [
        [variable.shape, variable.dtype, variable.trainable, _of_keras(variable.regularizer),
         _of_keras(variable.constraint)]
        for variable in part._trainable_variables + part._non_trainable_variables
    ]  # fmt: skip
    return [type(part).__qualname__, config, part.trainable, part.dtype_policy.name, variables]


def _compilation(model: keras.Model) -> list[Any]:
    """Loss, metrics, and which optimizer each weight has."""
    options = {key: _of_keras(value) for key, value in model._compile_config.config.items() if key != "optimizer"}
    indices = list(getattr(model.optimizer, "_var_to_optimizer_idx", {}).values())
    return [options, _kind(model.optimizer), indices, [_of_optimizer(one) for one in _optimizers(model) if one.built]]


def _of_optimizer(optimizer: keras.optimizers.Optimizer) -> Any:
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        raise _Unknown
    decays = [optimizer._use_weight_decay(variable) for variable in optimizer._trainable_variables]
    config = {key: value for key, value in optimizer.get_config().items() if key not in ("name", "learning_rate")}
    return [_kind(optimizer), config, decays, _of_schedule(optimizer._learning_rate)]


def _of_schedule(schedule: Any) -> Any:
    if isinstance(schedule, keras.Variable):
        return None
    if not isinstance(schedule, Schedule):
        raise _Unknown
    peaks = PEAKS.get(type(schedule), ())
    config = {
        key: _of_schedule(value) if isinstance(value, Schedule) else (value is None if key in peaks else value)
        for key, value in schedule.get_config().items()
        if key != "name"
    }
    return [_kind(schedule), config]


def _of_keras(value: Any) -> Any:
    """A regularizer, loss or metric of Keras's own, by its configuration; plain values as they are."""
    if isinstance(value, list | tuple | dict):
        return keras.tree.map_structure(_of_keras, value)
    if value is None or isinstance(value, str | int | float):
        return value
    return [_kind(value), unnamed(value.get_config())] if hasattr(value, "get_config") else _kind(value)


def _kind(value: Any) -> str:
    """The class, or the function, if it is ours or Keras's."""
    kind = value if hasattr(value, "__qualname__") else type(value)
    wrapped = getattr(value, "fn", getattr(value, "_fn", keras.Model))
    if not (kind.__module__.startswith(("keras.", "search_spaces.")) and wrapped.__module__.startswith("keras.")):
        raise _Unknown
    return f"{kind.__module__}.{kind.__qualname__}"


def _plain(values: Any) -> Any:
    return [repr(value) for value in keras.tree.flatten(values)]
