"""How a model is trained: optimizer, learning rate and its schedule, batch size, decay, label smoothing, clipping."""

from collections.abc import Callable, Collection
from typing import Any

import keras
import keras_tuner

from search_spaces.task import Task

BATCH_SIZES = (16, 32, 64, 128, 256, 512)
LEAST_STEPS = 8
"""A batch size is offered when an epoch has at least this many steps (the smallest one always is)."""

CROSS_ENTROPY = "categorical_crossentropy"
"""As Keras names the metric."""

ONE_CYCLE_RISE = 0.3
ONE_CYCLE_START = 1 / 25
"""Share of the steps that the rate rises, and the share of its peak that it starts from: PyTorch's OneCycleLR."""
PLATEAU = {"monitor": "val_loss", "factor": 0.5, "patience": 3, "min_lr": 1e-7}
"""Halve the rate when the validation loss has not fallen for three epochs: the values of seed document 003."""


def declare(hp: keras_tuner.HyperParameters, task: Task) -> None:
    """Register what both spaces share. `early_stopping` counts epochs without a lower validation loss; 0 is never."""
    sizes = [size for size in BATCH_SIZES if size == BATCH_SIZES[0] or task.steps_per_epoch(size) >= LEAST_STEPS]
    hp.Float("learning_rate", 1e-4, 3e-2, sampling="log", default=1e-3)
    hp.Choice("schedule", ["constant", "cosine", "plateau", "one_cycle"], default="constant")
    hp.Choice("batch_size", sizes, default=min(64, sizes[-1]))
    hp.Choice("optimizer", ["adam", "adamw", "sgd"], default="adam")
    with hp.conditional_scope("optimizer", ["sgd"]):
        hp.Choice("momentum", [0.0, 0.9, 0.95], default=0.9)
    hp.Choice("weight_decay", [0.0, 1e-5, 1e-4, 1e-3, 1e-2], default=0.0)
    hp.Choice("clip_norm", [0.0, 0.5, 1.0, 5.0], default=0.0)
    hp.Float("label_smoothing", 0.0, 0.2, step=0.05, default=0.0)
    hp.Choice("early_stopping", [0, 3, 5, 10], default=0)


def compile_model(
    hp: keras_tuner.HyperParameters,
    model: keras.Model,
    task: Task,
    first_epoch: int = 0,
    slow_variables: Collection[keras.Variable] = (),
    ratio: float = 1.0,
) -> None:
    """Compile `model` for one-hot labels with the optimizer that `hp` describes, for training from `first_epoch` on.

    `slow_variables` learn at `ratio` times the learning rate of the rest.
    """
    optimizer = _optimizer(hp, task, first_epoch, 1.0)
    if slow_variables and ratio != 1.0:
        slow = _optimizer(hp, task, first_epoch, ratio)
        optimizer = keras.optimizers.MultiOptimizer(_by_variable(optimizer, slow, slow_variables))
    if hp.get("optimizer") != "adamw":
        _add_l2(model, hp.get("weight_decay"))
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=hp.get("label_smoothing"))
    # The loss holds the penalty of `_add_l2` and the smoothing; cross-entropy alone can be compared between trials.
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy", CROSS_ENTROPY])


def callbacks(hp: keras_tuner.HyperParameters) -> list[keras.callbacks.Callback]:
    """What watches the validation loss in training; a new list for each stage."""
    found: list[keras.callbacks.Callback] = []
    if hp.get("schedule") == "plateau":
        found.append(keras.callbacks.ReduceLROnPlateau(**PLATEAU))
    if hp.get("early_stopping"):
        found.append(keras.callbacks.EarlyStopping("val_loss", patience=hp.get("early_stopping")))
    return found


def _optimizer(
    hp: keras_tuner.HyperParameters, task: Task, first_epoch: int, ratio: float
) -> keras.optimizers.Optimizer:
    rate = _schedule(hp, task, first_epoch, hp.get("learning_rate") * ratio)
    clip = {"global_clipnorm": hp.get("clip_norm") or None}
    kind = hp.get("optimizer")
    if kind == "sgd":
        return keras.optimizers.SGD(rate, momentum=hp.get("momentum"), nesterov=hp.get("momentum") > 0, **clip)
    if kind == "adam":
        return keras.optimizers.Adam(rate, **clip)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=hp.get("weight_decay"), **clip)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _schedule(
    hp: keras_tuner.HyperParameters, task: Task, first_epoch: int, peak: float
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    kind = hp.get("schedule")
    if kind in ("constant", "plateau"):
        return peak
    a_epoch = task.steps_per_epoch(hp.get("batch_size"))
    steps = task.max_epochs * a_epoch
    if kind == "cosine":
        schedule = keras.optimizers.schedules.CosineDecay(peak, steps)
    else:  # Smith 2018 (arXiv:1708.07120): up to the peak, then down to nothing
        rise = max(1, round(ONE_CYCLE_RISE * steps))
        schedule = keras.optimizers.schedules.CosineDecay(
            peak * ONE_CYCLE_START, max(1, steps - rise), warmup_target=peak, warmup_steps=rise
        )
    return Continued(schedule, first_epoch * a_epoch) if first_epoch else schedule


class Continued(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule that goes on from step `start`: an optimizer that is made for a later stage counts from 0 again."""

    def __init__(self, schedule: keras.optimizers.schedules.LearningRateSchedule, start: int) -> None:
        self.schedule, self.start = schedule, start

    def __call__(self, step: Any) -> Any:
        return self.schedule(step + self.start)

    def get_config(self) -> dict[str, Any]:
        return {"schedule": self.schedule, "start": self.start}


def _by_variable(
    fast: keras.optimizers.Optimizer, slow: keras.optimizers.Optimizer, slow_variables: Collection[keras.Variable]
) -> Callable[[keras.Variable], keras.optimizers.Optimizer]:
    slow_paths = {variable.path for variable in slow_variables}
    return lambda variable: slow if variable.path in slow_paths else fast


def _add_l2(model: keras.Model, weight_decay: float) -> None:
    """Classic decay for Adam and SGD: half the squared norm of each kernel joins the loss (AdamW's is decoupled)."""
    if weight_decay:
        for variable in model.trainable_variables:
            if len(variable.shape) > 1:
                variable.regularizer = keras.regularizers.L2(weight_decay / 2)
