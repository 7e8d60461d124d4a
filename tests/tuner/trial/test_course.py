"""A user's `fit` that is broken off after any epoch and goes on in another process ends as if nothing had happened."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuner.trial.checkpoint import Checkpoint
from tuner.trial.datasets import ImageData
from tuner.trial.traced import TracedModels
from tuner.trial.training import Training

EPOCHS = 5
RANDOM = np.random.default_rng(1)
LABELS = np.arange(36) % 3
PIXELS = (RANDOM.integers(0, 200, (36, 8, 8, 3)) + 18 * LABELS[:, None, None, None]).astype("uint8")
DATA = ImageData("noise", ("a", "b", "c"), PIXELS[:24], LABELS[:24], PIXELS[24:], LABELS[24:], 0)
TRACED = TracedModels()
"""As in a worker: it saves a second a model."""
Fit = Callable[..., Any]
EARLY = {"monitor": "val_loss", "patience": 1, "min_delta": 0.02}


class Space(keras_tuner.HyperModel):
    """A user's: a small model with dropout, and a `fit` and an optimizer that are given."""

    def __init__(self, fit: Fit, optimizer: Callable[[], Any] = lambda: keras.optimizers.Adam(0.02)) -> None:
        super().__init__()
        self._fit, self._optimizer = fit, optimizer

    def build(self, hp: Any) -> keras.Model:
        layers = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dropout(0.2)]
        head = [keras.layers.Dense(8, "relu"), keras.layers.BatchNormalization(), keras.layers.Dense(3, "softmax")]
        model = keras.Sequential([keras.Input((8, 8, 3)), *layers, *head])
        compiled(model, self._optimizer())
        return model

    def fit(self, hp: Any, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        return self._fit(model, *args, **{"batch_size": 8} | kwargs)


def compiled(model: keras.Model, optimizer: Any) -> None:
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])


def rows(training: Training, folder: Path | None = None) -> list[list[float]]:
    """Of each epoch its number, metrics and rate; with a folder, a checkpoint after each is left there."""
    found = []
    while (epoch := training.run_epoch()) is not None:
        rate = float(training.model.optimizer.learning_rate)
        found.append([*(epoch[name] for name in ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")), rate])
        if folder is not None:
            training.checkpoint([{}] * training.epoch).write(folder / f"{training.epoch}.npz")
    training.close()
    return found


def begun(space: Space, checkpoint: Checkpoint | None = None) -> Training:
    TRACED.begin_trial()
    return Training(space, {}, DATA, EPOCHS, seed=0, traced=TRACED, checkpoint=checkpoint)


def check(space: Space, folder: Path, cuts: Sequence[int] = (1, 4)) -> list[int]:
    """Cut after those epochs, the rest is what it would have been, and the weights it ends with too.

    Returns:
        The epoch after which each went on; 0 for one that began anew.
    """
    whole = begun(space)
    expected = rows(whole, folder)
    weights, found = whole.model.get_weights(), []
    for after in sorted({min(cut, len(expected) - 1) for cut in cuts}):
        rest = begun(space, Checkpoint.read(folder / f"{after}.npz"))
        found.append(rest.epoch)
        np.testing.assert_allclose(rows(rest), expected[found[-1] :], rtol=1e-4, atol=1e-5)
        for one, other in zip(rest.model.get_weights(), weights, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
    return found


class Waiting(keras.callbacks.Callback):
    """A user's own early stopping: plain state."""

    def __init__(self) -> None:
        super().__init__()
        self.least, self.waited = float("inf"), 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.waited = 0 if logs["val_loss"] < self.least - 0.05 else self.waited + 1
        self.least = min(self.least, logs["val_loss"])
        self.model.stop_training = self.waited > 2


class Smoothing(keras.callbacks.Callback):
    """A user's own rate, by an array of what it has seen."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = np.zeros(2)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.seen = 0.5 * self.seen + [logs["loss"], logs["val_loss"]]
        self.model.optimizer.learning_rate = 0.01 * float(self.seen.mean())


class WarmUp(keras.callbacks.Callback):
    """A user's own rate, by the number of the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.step = 0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.step += 1
        self.model.optimizer.learning_rate = 0.002 * self.step


class Reading(keras.callbacks.Callback):
    """A rate by the weights: only training can tell them."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        kernel = self.model.get_weights()[0]
        self.model.optimizer.learning_rate = 0.01 * float(np.abs(kernel).mean())


def by_epoch(epoch: int, rate: float) -> float:
    return rate * (0.5 if epoch % 2 else 1.5)


WATCHERS: dict[str, Callable[[], keras.callbacks.Callback]] = {
    "early": lambda: keras.callbacks.EarlyStopping(**EARLY),
    "early, best": lambda: keras.callbacks.EarlyStopping(**EARLY, restore_best_weights=True),
    "plateau": lambda: keras.callbacks.ReduceLROnPlateau(patience=1, factor=0.3, min_delta=0.05),
    "scheduler": lambda: keras.callbacks.LearningRateScheduler(by_epoch),
    "waiting": Waiting,
    "smoothing": Smoothing,
    "warm-up": WarmUp,
}


@pytest.mark.parametrize("is_before", [True, False])
@pytest.mark.parametrize("watcher", WATCHERS)
def test_a_callback_before_or_after_ours(watcher: str, is_before: bool, tmp_path: Path) -> None:
    def fit(model: keras.Model, *args: Any, callbacks: Any, **kwargs: Any) -> Any:
        own = [WATCHERS[watcher]()]
        return model.fit(*args, callbacks=own + callbacks if is_before else callbacks + own, **kwargs)

    assert all(check(Space(fit), tmp_path))


def two_phases(model: keras.Model, *args: Any, callbacks: Any, epochs: int, **kwargs: Any) -> Any:
    """Only the head; then all, with another optimizer."""
    for layer in model.layers[:-1]:
        layer.trainable = False
    compiled(model, keras.optimizers.SGD(0.1, momentum=0.9))
    early = [keras.callbacks.EarlyStopping(**EARLY, restore_best_weights=True)]
    first = model.fit(*args, callbacks=callbacks + early, epochs=3, **kwargs)
    model.trainable = True
    for layer in model.layers:
        layer.trainable = True
    compiled(model, keras.optimizers.Adam(0.01 * first.history["val_loss"][-1]))
    plateau = [keras.callbacks.ReduceLROnPlateau(patience=0, min_delta=0.1)]
    return model.fit(*args, callbacks=callbacks + plateau, initial_epoch=len(first.epoch), epochs=epochs, **kwargs)


def in_a_loop(model: keras.Model, *args: Any, epochs: int, **kwargs: Any) -> Any:
    for _ in range(epochs):
        history = model.fit(*args, epochs=1, **kwargs)
    return history


def second_unreported(model: keras.Model, *args: Any, callbacks: Any, epochs: int, **kwargs: Any) -> Any:
    """A first phase that nobody is told of."""
    model.fit(*args, epochs=2, **kwargs)
    compiled(model, keras.optimizers.SGD(0.05))
    return model.fit(*args, epochs=4, callbacks=callbacks, **kwargs)


def from_the_third(model: keras.Model, *args: Any, epochs: int, **kwargs: Any) -> Any:
    return model.fit(*args, epochs=epochs + 2, initial_epoch=2, **kwargs)


def unshuffled_weighted(model: keras.Model, *args: Any, **kwargs: Any) -> Any:
    return model.fit(*args, shuffle=False, class_weight={0: 1.0, 1: 2.0, 2: 0.5}, **kwargs)


def without_keywords(model: keras.Model, x: Any, y: Any, validation_data: Any, callbacks: Any, **kwargs: Any) -> Any:
    return model.fit(x, y, 8, EPOCHS, 0, [callbacks, [Waiting()]], validation_data=validation_data)


@pytest.mark.parametrize(
    "fit", [two_phases, in_a_loop, second_unreported, from_the_third, unshuffled_weighted, without_keywords]
)
def test_a_fit_of_the_users_own_goes_on(fit: Fit, tmp_path: Path) -> None:
    """Cut within a phase, at its end and in the next one."""
    assert all(check(Space(fit), tmp_path, range(1, EPOCHS)))


OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "accumulated": lambda: keras.optimizers.Adam(0.02, gradient_accumulation_steps=2),
    "averaged": lambda: keras.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.8),
    "averaged often": lambda: keras.optimizers.Adam(0.02, use_ema=True, ema_overwrite_frequency=4),
    "scheduled": lambda: keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 3, 0.7), 0.9),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_an_optimizer_goes_on(optimizer: str, tmp_path: Path) -> None:
    assert all(check(Space(plainly, OPTIMIZERS[optimizer]), tmp_path))


def plainly(model: keras.Model, *args: Any, **kwargs: Any) -> Any:
    return model.fit(*args, **kwargs)


def reading(model: keras.Model, *args: Any, callbacks: Any, **kwargs: Any) -> Any:
    return model.fit(*args, callbacks=[*callbacks, Reading()], **kwargs)


def measured_between(model: keras.Model, *args: Any, epochs: int, **kwargs: Any) -> Any:
    model.fit(*args, epochs=2, **kwargs)
    loss = model.evaluate(*kwargs["validation_data"], verbose=0)[0]
    compiled(model, keras.optimizers.Adam(0.01 * loss))
    return model.fit(*args, epochs=3, **kwargs)


def stepping(
    model: keras.Model, x: Any, y: Any, validation_data: Any, callbacks: Any, epochs: int, **kwargs: Any
) -> Any:
    for callback in callbacks:
        callback.set_model(model)
    for epoch in range(epochs):
        logs = model.train_on_batch(x, y, return_dict=True)
        loss, accuracy = model.evaluate(*validation_data, verbose=0)
        for callback in callbacks:
            callback.on_epoch_end(epoch, logs | {"val_loss": loss, "val_accuracy": accuracy})
    return accuracy


def split_by_keras(model: keras.Model, x: Any, y: Any, validation_data: Any, **kwargs: Any) -> Any:
    return model.fit(x, y, validation_split=0.25, **kwargs)


def saving(model: keras.Model, *args: Any, callbacks: Any, **kwargs: Any) -> Any:
    saved = keras.callbacks.ModelCheckpoint("best.weights.h5", save_best_only=True, save_weights_only=True)
    history = model.fit(*args, callbacks=[*callbacks, saved], **kwargs)
    model.load_weights("best.weights.h5")
    return history


@pytest.mark.parametrize("fit", [reading, stepping, split_by_keras, saving])
def test_a_fit_that_cannot_go_on_begins_anew(
    fit: Fit, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert check(Space(fit), tmp_path, (1,)) == [0]
    assert "The trial begins anew and does not go on after epoch 1, because this would not end the same: " in (
        capfd.readouterr().err
    )


def test_a_fit_that_measures_between_its_phases_goes_on_in_the_first_only(tmp_path: Path) -> None:
    assert check(Space(measured_between), tmp_path, (1, 3)) == [1, 0]


class Chain(keras.Model):
    """Not functional, with what it does in a step its own."""

    def __init__(self) -> None:
        super().__init__()
        self.flat, self.drop, self.head = keras.layers.Flatten(), keras.layers.Dropout(0.2), keras.layers.Dense(3)

    def call(self, images: Any, training: bool = False) -> Any:
        pixels = keras.ops.cast(images, "float32") / 255
        return keras.ops.softmax(self.head(self.drop(self.flat(pixels), training=training)))


def test_a_model_of_a_class_of_its_own_goes_on(tmp_path: Path) -> None:
    class Subclassed(Space):
        def build(self, hp: Any) -> keras.Model:
            model = Chain()
            compiled(model, keras.optimizers.Adam(0.02))
            return model

    assert all(check(Subclassed(plainly), tmp_path))


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=st.lists(st.sampled_from(sorted(WATCHERS)), max_size=2, unique=True),
    after=st.lists(st.sampled_from(sorted(WATCHERS)), max_size=2, unique=True),
    phases=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    optimizer=st.sampled_from([*sorted(OPTIMIZERS), ""]),
    is_compiled=st.booleans(),
    cut=st.integers(1, 4),
)
def test_whatever_a_fit_is_made_of_it_ends_the_same(
    tmp_path: Path, before: list[str], after: list[str], phases: list[int], optimizer: str, is_compiled: bool, cut: int
) -> None:
    """Phases of some epochs, callbacks before and after ours, each phase compiled anew or not: on, or begun anew."""
    make = OPTIMIZERS.get(optimizer, lambda: keras.optimizers.Adam(0.02))
    if optimizer == "scheduled":  # Keras lets no callback set the rate of a schedule
        before = after = ["early, best"]

    def fit(model: keras.Model, *args: Any, callbacks: Any, epochs: int, **kwargs: Any) -> Any:
        for number, count in enumerate(phases):
            if number and is_compiled:
                compiled(model, make())
            watchers = [*(WATCHERS[name]() for name in before), *callbacks, *(WATCHERS[name]() for name in after)]
            model.fit(*args, epochs=count, callbacks=watchers, **kwargs)

    space = Space(fit, make)
    if sum(phases) > 1:
        check(space, tmp_path, (cut,))
