"""A model whose graph is known trains in the stead of another, and nobody could tell but by the clock."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from search_spaces.configuration import complete
from search_spaces.custom_cnn import CustomCNN
from search_spaces.declaration import declared
from search_spaces.finetune import FineTune
from search_spaces.space import populated
from search_spaces.task import Task
from tuner.trial.fitting import Fitting
from tuner.trial.resources import clear_process
from tuner.trial.traced import TracedModels

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX keeps what it has compiled")

SIDE, CLASSES, EPOCHS = 16, 3, 2
RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (40, SIDE, SIDE, 3)).astype("uint8")
TARGETS = keras.utils.to_categorical(np.arange(40) % CLASSES, CLASSES)
FIRST = {"blocks": 2, "filters": 16, "dropout": 0.2, "conv_dropout": 0.1, "dense_layers": 1, "dense_units": 32}


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with each trace of a training step: a traced one does not come back to Python."""
    found: list[str] = []
    step = keras.Model.train_step
    monkeypatch.setattr(keras.Model, "train_step", lambda model, data: found.append(model.name) or step(model, data))
    return found


def cnn(values: dict[str, Any], seed: int) -> tuple[Any, Any, keras.Model]:
    space = CustomCNN(Task(SIDE, CLASSES, len(PIXELS), EPOCHS))
    hp = populated(complete(declared(space), FIRST | {"batch_size": 16} | values))
    keras.utils.set_random_seed(seed)
    return space, hp, space.build(hp)


def fit(traced: TracedModels, values: dict[str, Any], seed: int) -> tuple[dict[str, list[float]], list[np.ndarray]]:
    """A trial of a warm worker: its history and its weights, optimizer included."""
    clear_process(is_thorough=False)
    traced.begin_trial()
    space, hp, model = cnn(values, seed)
    Fitting(model, None, seed, traced=traced)
    history = space.fit(hp, model, PIXELS, TARGETS, epochs=EPOCHS, validation_data=(PIXELS, TARGETS), verbose=0)
    return history.history, [variable.numpy() for variable in [*model.variables, *model.optimizer.variables]]


@pytest.mark.parametrize(
    ("common", "rates"),
    [
        ({}, {"learning_rate": 3e-3, "dropout": 0.4, "conv_dropout": 0.3}),
        ({"schedule": "cosine", "optimizer": "adamw", "weight_decay": 1e-2}, {"learning_rate": 3e-3}),
        ({"schedule": "one_cycle", "optimizer": "sgd", "clip_norm": 1.0}, {"learning_rate": 3e-2, "dropout": 0.5}),
        ({"second_stage": True, "second_stage_share": 0.5}, {"second_stage_lr_ratio": 0.5, "dropout": 0.5}),
        ({"schedule": "plateau", "weight_decay": 1e-4, "batch_norm": "none"}, {"learning_rate": 2e-3}),
    ],
)
def test_rates_and_seeds_need_no_trace_and_change_nothing(
    common: dict[str, Any], rates: dict[str, Any], traces: list[str]
) -> None:
    traced = TracedModels()
    first = fit(traced, common, 1)
    count = len(traces)
    again = fit(traced, common | rates, 2)
    assert len(traces) == count
    fresh = fit(TracedModels(), common | rates, 2)
    assert len(traces) > count
    assert again[0] == fresh[0] != first[0]
    for one, other in zip(again[1], fresh[1], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "other",
    [
        {"filters": 32},
        {"kernel_size": 5},
        {"optimizer": "sgd"},
        {"weight_decay": 1e-3},
        {"optimizer": "adamw", "weight_decay": 1e-4},
        {"label_smoothing": 0.1},
        {"clip_norm": 1.0},
        {"schedule": "cosine"},
        {"dropout": 0.0},
        {"residual": True},
        {"layer_order": "conv-relu-norm"},
    ],
)
def test_all_else_is_traced(other: dict[str, Any], traces: list[str]) -> None:
    traced = TracedModels()
    fit(traced, {}, 1)
    count = len(traces)
    changed = fit(traced, other, 1)
    assert len(traces) > count
    fresh = fit(TracedModels(), other, 1)
    assert changed[0] == fresh[0]


def test_two_models_of_one_trial_keep_their_own_weights() -> None:
    traced = TracedModels()
    fit(traced, {}, 1)
    traced.begin_trial()
    models = [cnn({}, seed)[2] for seed in (2, 3)]
    for model in models:
        Fitting(model, None, 0, traced=traced)
        model.fit(PIXELS, TARGETS, 16, epochs=1, verbose=0)
    before = [weight.copy() for weight in models[0].get_weights()]
    models[1].fit(PIXELS, TARGETS, 16, epochs=1, verbose=0)
    for one, other in zip(before, models[0].get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_epoch_that_breaks_off_leaves_the_weights_with_the_model() -> None:
    def stop(epoch: int, logs: Any) -> None:
        raise KeyboardInterrupt

    traced = TracedModels()
    fit(traced, {}, 1)
    traced.begin_trial()
    model = cnn({}, 2)[2]
    Fitting(model, None, 0, traced=traced)
    untrained = model.get_weights()
    with pytest.raises(KeyboardInterrupt):
        model.fit(
            PIXELS, TARGETS, 16, epochs=2, verbose=0, callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=stop)]
        )
    left = model.get_weights()
    assert any(not np.array_equal(one, other) for one, other in zip(untrained, left, strict=True))
    fit(traced, {}, 3)
    for one, other in zip(left, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


class Doubled(keras.layers.Layer):
    """A user's layer: nobody knows what it reads."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def call(self, inputs: Any) -> Any:
        return inputs * self.factor


def with_layer(factor: float) -> keras.Model:
    return dense(Doubled(factor))


def with_loss(factor: float) -> keras.Model:
    model = cnn({}, 1)[2]
    model.compile(
        "sgd", lambda true, guess: factor * keras.losses.categorical_crossentropy(true, guess), metrics=["accuracy"]
    )
    return model


class Falling(keras.optimizers.schedules.LearningRateSchedule):
    """As tutorials have it: without `get_config`."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, step: Any) -> Any:
        return self.factor * 0.1 / (1.0 + keras.ops.cast(step, "float32"))


def with_schedule(factor: float) -> keras.Model:
    model = cnn({}, 1)[2]
    model.compile(keras.optimizers.SGD(Falling(factor)), "categorical_crossentropy", metrics=["accuracy"])
    return model


def dense(layer: Any, **options: Any) -> keras.Model:
    entry = keras.Input((SIDE, SIDE, 3))
    flat = keras.layers.Flatten()(layer(keras.layers.Rescaling(1 / 255)(entry)))
    model = keras.Model(entry, keras.layers.Dense(CLASSES, "softmax", **options)(flat))
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    return model


def with_adapted(factor: float) -> keras.Model:
    adapted = keras.layers.Normalization()
    adapted.adapt(factor * PIXELS.astype("float32"))
    return dense(adapted)


def with_regularizer(factor: float) -> keras.Model:
    return dense(lambda x: x, activity_regularizer=lambda outputs: factor * keras.ops.mean(outputs))


def with_constant(factor: float) -> keras.Model:
    mask = np.full((SIDE, SIDE, 3), factor, "float32")
    return dense(lambda x: keras.ops.multiply(x, mask))


@pytest.mark.parametrize("made", [with_layer, with_loss, with_schedule, with_adapted, with_regularizer, with_constant])
def test_what_a_user_wrote_is_always_traced(made: Callable[[float], keras.Model], traces: list[str]) -> None:
    traced = TracedModels()
    for factor in (1.0, 0.5):
        traced.begin_trial()
        model = made(factor)
        Fitting(model, None, 0, traced=traced)
        model.fit(PIXELS, TARGETS, 16, verbose=0)
    assert len(traces) == 2


def finetune(traced: TracedModels, values: dict[str, Any], epochs: int) -> dict[str, list[float]]:
    """A trial of a small backbone, which wants images twice as large: its history."""
    traced.begin_trial()
    keras.utils.set_random_seed(1)
    space = FineTune(Task(32, CLASSES, len(PIXELS), epochs), {"cifar_cnn": None})
    hp = populated(complete(declared(space), values))
    model = space.build(hp)
    Fitting(model, None, 1, traced=traced)
    large = np.kron(PIXELS, np.ones((1, 2, 2, 1), "uint8"))
    return space.fit(hp, model, large, TARGETS, epochs=epochs, validation_data=(large, TARGETS), verbose=0).history


def test_a_graph_that_thawed_later_serves_the_first_stage_of_another_trial(traces: list[str]) -> None:
    """Two rates in the first stage, and layers of the part that train in the second one only."""
    values = {"unfrozen_layers": 14, "gradual_thaw": True, "batch_size": 16, "augmentation": "light"}
    traced = TracedModels()
    finetune(traced, values | {"learning_rate": 1e-3}, epochs=2)
    count = len(traces)
    again = finetune(traced, values | {"learning_rate": 2e-3}, epochs=2)
    assert len(traces) == count
    assert again == finetune(TracedModels(), values | {"learning_rate": 2e-3}, epochs=2)


def test_a_model_that_is_compiled_again_is_kept_for_its_latest_graph_alone() -> None:
    def trial(traced: TracedModels) -> list[float]:
        traced.begin_trial()
        keras.utils.set_random_seed(1)
        model = dense(lambda x: x)
        Fitting(model, None, 1, traced=traced)
        losses = []
        for smoothing in (0.0, 0.5):
            loss = keras.losses.CategoricalCrossentropy(label_smoothing=smoothing)
            model.compile(keras.optimizers.SGD(0.01), loss, metrics=["accuracy"])
            losses += model.fit(PIXELS, TARGETS, 16, verbose=0).history["loss"]
        return losses

    traced = TracedModels()
    assert trial(traced) == trial(traced) == trial(TracedModels())


def test_a_callback_that_predicts_leaves_the_model_its_own_answers() -> None:
    class Predicting(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.model.predict(PIXELS, verbose=0)

    traced = TracedModels()
    fit(traced, {}, 1)
    traced.begin_trial()
    model = cnn({}, 2)[2]
    Fitting(model, None, 0, traced=traced)
    for _ in range(2):
        model.fit(PIXELS, TARGETS, 16, verbose=0, callbacks=[Predicting()])
        fresh = keras.models.clone_model(model)
        fresh.set_weights(model.get_weights())
        np.testing.assert_allclose(model.predict(PIXELS, verbose=0), fresh.predict(PIXELS, verbose=0), rtol=1e-5)


def test_a_saved_optimizer_has_its_schedule_as_it_was(tmp_path: Any) -> None:
    model = cnn({"schedule": "cosine", "learning_rate": 0.01}, 1)[2]
    Fitting(model, None, 0, traced=TracedModels())
    model.fit(PIXELS, TARGETS, 16, verbose=0, callbacks=[keras.callbacks.ModelCheckpoint(tmp_path / "whole.keras")])
    schedule = keras.models.load_model(tmp_path / "whole.keras").optimizer._learning_rate
    assert schedule.initial_learning_rate == pytest.approx(0.01)


@pytest.mark.parametrize("rates", [{"learning_rate": 1e-3}, {"backbone_lr_ratio": 0.5}])
def test_two_rates_in_one_model_are_told_apart(rates: dict[str, Any], traces: list[str]) -> None:
    values = {"unfrozen_layers": 4, "batch_size": 16, "backbone_lr_ratio": 0.1}
    traced = TracedModels()
    finetune(traced, values, epochs=1)
    count = len(traces)
    again = finetune(traced, values | rates, epochs=1)
    assert len(traces) == count
    assert again == finetune(TracedModels(), values | rates, epochs=1)
