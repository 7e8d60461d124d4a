"""The first model of a user's space, looked at before any trial: whether it can be trained here, and what it needs."""

from collections.abc import Iterator, Mapping
from types import FunctionType
from typing import Any

import keras
import keras_tuner
import numpy as np

from search_spaces.discovery import ask_fit, has_own_fit
from search_spaces.fit_call import refused
from search_spaces.hyperparameter import Value
from search_spaces.outputs import Outputs
from search_spaces.space import populated
from search_spaces.task import Task


def check_first(space: keras_tuner.HyperModel, task: Task, values: Mapping[str, Value]) -> tuple[str, ...]:
    """Build the model, and have it validate two blank images; what comes after are the trials.

    Args:
        values: hyperparameters that it can be built with; the others take their defaults.

    Returns:
        The layers and functions that Keras does not have: a saved model can only be loaded with their code.

    Raises:
        Exception: what the model, its loss or its metrics raised, or a ValueError that says what does not fit.
    """
    hp = populated(values)
    space.declare_hyperparameters(hp)
    model = space.build(hp)
    if not isinstance(model, keras.Model):
        raise TypeError(f"build(hp) returned {type(model).__name__}, but must return a Keras model")
    images, labels = np.zeros((2, *task.input_shape), np.uint8), np.arange(2)
    if not model.built:
        model(keras.ops.convert_to_tensor(images))
    outputs = Outputs.of(model, task.classes, images[:1])
    if getattr(model, "compiled", False) and type(model).evaluate is keras.Model.evaluate:
        model.run_eagerly = True  # tracing takes longer than two images
        model.evaluate(images, outputs.targets(labels), batch_size=2, verbose=0)
    needed = tuple(dict.fromkeys(_foreign(model)))
    _check_fit(space, hp, model, task)
    return needed


def _check_fit(space: keras_tuner.HyperModel, hp: keras_tuner.HyperParameters, model: Any, task: Task) -> None:
    """See that it takes what it is given. One of a space that declares itself may rely on not being called before."""
    try:
        if has_own_fit(space) and not hasattr(space, "declare"):
            ask_fit(space, hp, model, task)
    except TypeError as error:
        if refused(error):
            raise
    except Exception:  # blank images may not suit it
        return


def _foreign(model: keras.Model) -> Iterator[str]:
    if not type(model).__module__.startswith("keras."):
        yield type(model).__name__
        return
    for one in model._flatten_layers():
        if not _is_kerases(type(one).__module__):
            yield f"{one.name} ({type(one).__name__})"
        elif not isinstance(one, keras.layers.Lambda):
            # Keras writes a function of somebody else's as if it were its own.
            yield from (f"{value.__name__}()" for value in vars(one).values() if _is_function_of_theirs(value))
    try:
        config = keras.saving.serialize_keras_object(model)
    except Exception:  # a layer without get_config
        return
    yield from _foreign_in(config)


def _foreign_in(config: Any) -> Iterator[str]:
    """Names in what Keras writes of a model, in the order of its layers."""
    if isinstance(config, Mapping):
        kind, module, inner = config.get("class_name"), config.get("module"), config.get("config")
        if kind == "Lambda" or (isinstance(kind, str) and not _is_kerases(module)):
            name = inner.get("name") if isinstance(inner, Mapping) else inner
            yield f"{name} ({kind})"
            return
        for key, value in config.items():
            if key not in ("compile_config", "build_config"):
                yield from _foreign_in(value)
    elif isinstance(config, list | tuple):
        for value in config:
            yield from _foreign_in(value)


def _is_function_of_theirs(value: object) -> bool:
    return isinstance(value, FunctionType) and not _is_kerases(value.__module__)


def _is_kerases(module: str | None) -> bool:
    return module is None or module == "builtins" or module.partition(".")[0] == "keras"
