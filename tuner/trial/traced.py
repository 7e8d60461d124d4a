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
from dataclasses import dataclass
from typing import Any

import keras

from tuner.trial.folding import FoldedConvolution
from tuner.trial.frozen_prefix import is_kerases_own, settings, unnamed
from tuner.trial.fused_norm import FusedNorm
from tuner.trial.model_graph import ModelGraph
from tuner.trial.variable_dropout import VariableDropout

MOST_WEIGHTS = 64e6
"""Numbers in the weights and optimizers of all that a worker keeps: 256 MB. A part keeps its whole model alive."""
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
        self._kept: OrderedDict[str, _Traced] = OrderedDict()
        self._in_use: dict[str, _Traced] = {}

    def begin_trial(self) -> None:
        """The trial before has ended: what it has traced can be used from now on."""
        for name, traced in self._in_use.items():
            # They lead to the trial's callbacks and whole model, and to its validation data.
            traced.model.history = traced.model._eval_epoch_iterator = None
            self._kept.pop(name, None)
            self._kept[name] = traced
        self._in_use = {}
        while len(self._kept) > MOST_MODELS or sum(one.weights for one in self._kept.values()) > MOST_WEIGHTS:
            self._kept.popitem(last=False)

    @contextmanager
    def like(self, model: keras.Model, whole: keras.Model, data: Sequence[Any]) -> Iterator[keras.Model]:
        """A traced model that computes what `model` does and trains its variables; `model` itself where there is none.

        Args:
            model: compiled, and built to the variables of its optimizer and metrics.
            whole: the model that it is a part of; what it has traced itself it traces anew, before and after.
            data: what the batches look like.
        """
        if keras.backend.backend() != "tensorflow":  # JAX keeps what it has compiled on disk, by what it computes
            yield model
            return
        for optimizer in _optimizers(model):
            _free_rates(optimizer)
        name = _signature(model, data)
        traced = self._kept.pop(name, None) if name else None
        if name and name not in self._in_use:
            # A model that is compiled again is traced again: only its latest graph is there.
            self._in_use = {key: one for key, one in self._in_use.items() if one.model is not model}
            self._in_use[name] = traced or _Traced(model, _weights(model, whole))
        if traced is None:
            yield model
            return
        whole.predict_function = whole.test_function = None
        try:
            with _stand_for(_variables(model), _variables(traced.model)):
                yield traced.model
        finally:
            whole.predict_function = whole.test_function = None


@dataclass(frozen=True)
class _Traced:
    model: keras.Model
    weights: int
    """Numbers that it keeps in memory."""


@contextmanager
def _stand_for(new: Sequence[keras.Variable], old: Sequence[keras.Variable]) -> Iterator[None]:
    """`new` share the storage of `old`, with their own values in it, and have them back in their own at the end."""
    pairs = [(variable, variable._value, other._value) for variable, other in zip(new, old, strict=True)]
    for variable, other in zip(new, old, strict=True):
        other.trainable = variable.trainable  # a later stage of the earlier trial may have thawed it
    try:
        for variable, own, shared in pairs:
            shared.assign(own)
            variable._value = shared
        yield
    finally:
        for variable, own, shared in pairs:
            if variable._value is shared:  # memory may have run out before its turn came
                own.assign(shared)
                variable._value = own


def _weights(model: keras.Model, whole: keras.Model) -> int:
    return sum(math.prod(variable.shape) for variable in [*whole.variables, *model.optimizer.variables])


def _variables(model: keras.Model) -> list[keras.Variable]:
    """All that a traced function reads, in an order that the graph decides."""
    rates = [rate for optimizer in _optimizers(model) for rate in _rates(optimizer._learning_rate)]
    return [*model.variables, *model.optimizer.variables, *rates]


def _optimizers(model: keras.Model) -> list[keras.optimizers.Optimizer]:
    return list(getattr(model.optimizer, "optimizers", [model.optimizer]))


def _free_rates(optimizer: keras.optimizers.Optimizer) -> None:
    """Make the peaks of its schedule variables; saved, it is what it was."""
    schedule = optimizer._learning_rate
    if isinstance(schedule, Schedule) and next(_rates(schedule), None) is None:
        optimizer._learning_rate = _freed(schedule)


def _freed(schedule: Any) -> Any:
    freed = copy.copy(schedule)
    freed.get_config = schedule.get_config
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


def _signature(model: keras.Model, data: Sequence[Any]) -> str | None:
    """What decides the graph of a training step and of an evaluation; None where that cannot be known."""
    if any(not one.__module__.startswith("keras") for one in keras.saving.get_custom_objects().values()):
        return None  # a name may stand for anything
    try:
        parts = [_calls(model), _compilation(model), model.trainable, data]
        return json.dumps(parts, sort_keys=True, default=repr)
    except Exception:  # a user's schedule that cannot be described, for one
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
        found.append([_plain(args), sorted(kwargs), _plain([kwargs[key] for key in sorted(kwargs)])])
        numbers |= {id(tensor): [len(found), index] for index, tensor in enumerate(call.outputs)}
    return [*found, [numbers[id(tensor)] for tensor in graph.outputs]]


def _described(part: Any) -> list[Any]:
    """A layer or operation without names, seeds and rates that are variables."""
    if not isinstance(part, keras.Layer):
        if not type(part).__module__.startswith("keras."):
            raise _Unknown
        state = settings(part)
        return [type(part).__qualname__, list(state), _plain(list(state.values()))]
    if isinstance(part, SUBSTITUTES):  # their settings are those of the layers in them
        config = None
    elif is_kerases_own(part) and not hasattr(part, "adapt"):  # what it has adapted to are constants of the graph
        config = unnamed(part.get_config())
    else:
        raise _Unknown
    variables = [
        [variable.shape, variable.dtype, variable.trainable, _of_keras(variable.regularizer),
         _of_keras(variable.constraint)]
        for variable in part._trainable_variables + part._non_trainable_variables
    ]  # fmt: skip
    others = [part.trainable, part.autocast, part.dtype_policy.name, _of_keras(part.activity_regularizer)]
    return [type(part).__qualname__, config, others, variables]


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
    if not hasattr(value, "get_config"):
        return _kind(value)
    return [_kind(value), value.get_config(), getattr(value, "dtype", None)]


def _kind(value: Any) -> str:
    """The class, or the function, if it is ours or Keras's."""
    kind = value if hasattr(value, "__qualname__") else type(value)
    wrapped = getattr(value, "fn", getattr(value, "_fn", keras.Model))
    if not (kind.__module__.startswith(("keras.", "search_spaces.")) and wrapped.__module__.startswith("keras.")):
        raise _Unknown
    return f"{kind.__module__}.{kind.__qualname__}"


def _plain(values: Any) -> Any:
    flat = keras.tree.flatten(values)
    if any(getattr(value, "shape", ()) for value in flat):
        raise _Unknown  # a constant array: too long to write out
    return [repr(value) for value in flat]
