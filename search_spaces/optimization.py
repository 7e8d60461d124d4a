"""How a model is trained: optimizer, learning rate and its schedule, batch size, decay, label smoothing."""

from collections.abc import Callable, Collection

import keras
import keras_tuner

from search_spaces.task import Task

BATCH_SIZES = (16, 32, 64, 128, 256)
LEAST_STEPS = 8
"""A batch size is offered when an epoch has at least this many steps (the smallest one always is)."""


def declare(hp: keras_tuner.HyperParameters, task: Task) -> None:
    """Register what both spaces share."""
    sizes = [size for size in BATCH_SIZES if size == BATCH_SIZES[0] or task.steps_per_epoch(size) >= LEAST_STEPS]
    hp.Float("learning_rate", 1e-4, 3e-2, sampling="log", default=1e-3)
    hp.Choice("batch_size", sizes, default=min(64, sizes[-1]))
    hp.Choice("optimizer", ["adam", "adamw", "sgd"], default="adam")
    hp.Choice("weight_decay", [0.0, 1e-5, 1e-4, 1e-3, 1e-2], default=0.0)
    hp.Float("label_smoothing", 0.0, 0.2, step=0.05, default=0.0)
    hp.Choice("schedule", ["constant", "cosine"], default="constant")


def compile_model(
    hp: keras_tuner.HyperParameters,
    model: keras.Model,
    task: Task,
    slow_variables: Collection[keras.Variable] = (),
    ratio: float = 1.0,
) -> None:
    """Compile `model` for one-hot labels with the optimizer that `hp` describes.

    `slow_variables` learn at `ratio` times the learning rate of the rest.
    """
    optimizer = _optimizer(hp, task, 1.0)
    if slow_variables and ratio != 1.0:
        optimizer = keras.optimizers.MultiOptimizer(_by_variable(hp, task, optimizer, slow_variables, ratio))
    if hp.get("optimizer") != "adamw":
        _add_l2(model, hp.get("weight_decay"))
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=hp.get("label_smoothing"))
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])


def _optimizer(hp: keras_tuner.HyperParameters, task: Task, ratio: float) -> keras.optimizers.Optimizer:
    learning_rate = _schedule(hp, task, hp.get("learning_rate") * ratio)
    kind = hp.get("optimizer")
    if kind == "sgd":
        return keras.optimizers.SGD(learning_rate, momentum=0.9, nesterov=True)
    if kind == "adam":
        return keras.optimizers.Adam(learning_rate)
    optimizer = keras.optimizers.AdamW(learning_rate, weight_decay=hp.get("weight_decay"))
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _schedule(
    hp: keras_tuner.HyperParameters, task: Task, peak: float
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    if hp.get("schedule") == "constant":
        return peak
    steps = task.max_epochs * task.steps_per_epoch(hp.get("batch_size"))
    return keras.optimizers.schedules.CosineDecay(peak, decay_steps=steps)


def _by_variable(
    hp: keras_tuner.HyperParameters,
    task: Task,
    fast: keras.optimizers.Optimizer,
    slow_variables: Collection[keras.Variable],
    ratio: float,
) -> Callable[[keras.Variable], keras.optimizers.Optimizer]:
    slow = _optimizer(hp, task, ratio)
    slow_paths = {variable.path for variable in slow_variables}
    return lambda variable: slow if variable.path in slow_paths else fast


def _add_l2(model: keras.Model, weight_decay: float) -> None:
    """Classic decay for Adam and SGD: half the squared norm of each kernel joins the loss (AdamW's is decoupled)."""
    if weight_decay:
        for variable in model.trainable_variables:
            if len(variable.shape) > 1:
                variable.regularizer = keras.regularizers.L2(weight_decay / 2)
