"""One configuration in training, without Ray."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

from search_spaces.configuration import complete
from search_spaces.custom_cnn import CustomCNN
from search_spaces.declaration import declared
from search_spaces.task import Task
from tuner.trial.datasets import ImageData
from tuner.trial.errors import TrialFailure
from tuner.trial.footprint import Footprints
from tuner.trial.limits import Limits
from tuner.trial.training import Training

TASK = Task(image_size=16, classes=10, training_images=30, max_epochs=2)
USERS = "tests.search_spaces.kerastuner_users"


@pytest.fixture(autouse=True)
def _ended(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close what a test has begun: each training waits in a thread of its own, and holds its model."""
    begun: list[Training] = []
    begin = Training.__init__

    def remembering(self: Training, *arguments: Any, **options: Any) -> None:
        begun.append(self)
        begin(self, *arguments, **options)

    monkeypatch.setattr(Training, "__init__", remembering)
    yield
    for one in begun:
        one.close()


def training(data: ImageData, policy: str = "float32", **given: Any) -> Training:
    space = CustomCNN(Task(data.image_size, 2, len(data.train_labels), max_epochs=4))
    quick = {"blocks": 1, "convs_per_block": 1, "filters": 16, "dense_layers": 0, "learning_rate": 0.01}
    return Training(space, complete(declared(space), quick | given), data, 4, seed=0, dtype_policy=policy)


class Other(keras_tuner.HyperModel):
    """A user's space: its loss, metrics and behaviour are given."""

    def __init__(self, loss: Any = "sparse_categorical_crossentropy", metrics: tuple[str, ...] = ("accuracy",)) -> None:
        super().__init__()
        self.loss, self.metrics = loss, metrics

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        layers = [keras.Input((16, 16, 3)), keras.layers.Rescaling(1 / 255), keras.layers.GlobalAveragePooling2D()]
        model = keras.Sequential([*layers, keras.layers.Dense(2, activation="softmax")])
        model.compile(keras.optimizers.Adam(0.1), self.loss, metrics=list(self.metrics))
        return model


class Unbuilt(Other):
    """As KerasTuner's guide begins: no Input, so that the first batch builds the model; or a subclass of it."""

    def __init__(self, is_subclass: bool) -> None:
        super().__init__()
        self.is_subclass = is_subclass

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        layers = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")]
        model = Chain(layers) if self.is_subclass else keras.Sequential(layers)
        model.compile(keras.optimizers.Adam(0.1), self.loss, metrics=["accuracy"])
        return model


class Chain(keras.Model):
    """Calls its layers in turn."""

    def __init__(self, chained: list[keras.layers.Layer]) -> None:
        super().__init__()
        self.chained = chained

    def call(self, images: Any) -> Any:
        for layer in self.chained:
            images = layer(images)
        return images


@pytest.mark.parametrize("is_subclass", [False, True])
def test_a_model_that_its_first_batch_builds_is_measured_and_trained(two_colours: ImageData, is_subclass: bool) -> None:
    one = Training(Unbuilt(is_subclass), {}, two_colours, 2, seed=0)
    footprints = Footprints(two_colours.validation_images[:1], Limits())
    assert one.measure(footprints.of)["parameters"] == 16 * 16 * 3 * 2 + 2
    assert [one.run_epoch()["epoch"] for _ in range(2)] == [1, 2]


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_an_easy_task_is_learnt(two_colours: ImageData, policy: str) -> None:
    one = training(two_colours, policy)
    epochs = [one.run_epoch() for _ in range(4)]
    assert epochs[-1]["val_accuracy"] == 1.0
    assert epochs[-1]["loss"] < epochs[0]["loss"]
    assert all(epoch["seconds"] > 0 for epoch in epochs)
    assert one.epoch == 4


def test_a_seed_repeats_a_trial(two_colours: ImageData) -> None:
    losses = [[training(two_colours, feature_dropout=0.3).run_epoch()["loss"]] for _ in range(2)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", "categorical_crossentropy"])
def test_a_users_space_may_want_either_kind_of_labels(two_colours: ImageData, loss: str) -> None:
    one = Training(Other(loss), {}, two_colours, 20, seed=0)
    for _ in range(20):
        accuracy = one.run_epoch()["val_accuracy"]
    assert accuracy == 1.0


def test_a_users_fit_is_used(two_colours: ImageData) -> None:
    class Fitting(Other):
        def fit(self, hp: Any, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
            return model.fit(*args, batch_size=40, **kwargs)

    one = Training(Fitting(), {}, two_colours, 20, seed=0)
    one.run_epoch()
    assert int(one.model.optimizer.iterations) == 1


def test_a_sparse_loss_is_known_by_its_kind_and_not_by_its_name(two_colours: ImageData) -> None:
    for loss in (
        keras.losses.sparse_categorical_crossentropy,
        keras.losses.SparseCategoricalCrossentropy(name="ce"),
        keras.losses.CategoricalCrossentropy(name="sparse"),
    ):
        assert Training(Other(loss), {}, two_colours, 20, seed=0).run_epoch()["epoch"] == 1


def test_a_users_fit_may_choose_the_declared_batch_size_itself(two_colours: ImageData) -> None:
    class Choosing(Other):
        def fit(self, hp: Any, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
            return model.fit(*args, batch_size=hp.get("batch_size"), **kwargs)

    one = Training(Choosing(), {"batch_size": 20}, two_colours, 20, seed=0)
    one.run_epoch()
    assert int(one.model.optimizer.iterations) == 2


def test_divergence_is_a_failure_with_its_reason(two_colours: ImageData) -> None:
    class Diverging(Other):
        def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
            model = super().build(hp)
            model.layers[-1].set_weights([np.full((3, 2), np.nan), np.zeros(2)])
            return model

    with pytest.raises(TrialFailure, match="diverged: loss is nan in epoch 1"):
        Training(Diverging(), {}, two_colours, 20, seed=0).run_epoch()


def test_a_model_that_cannot_be_built_or_run_is_a_failure(two_colours: ImageData) -> None:
    class Broken(keras_tuner.HyperModel):
        def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
            raise ValueError("Negative dimension size\nwith details")

    with pytest.raises(TrialFailure, match="the model cannot be built: ValueError: Negative dimension size$"):
        Training(Broken(), {}, two_colours, 20, seed=0)
    with pytest.raises(
        TrialFailure, match="cannot be built: .*the loss no_such_loss takes neither integer nor one-hot"
    ):
        Training(Other("no_such_loss"), {}, two_colours, 20, seed=0)

    class Breaking(Other):
        def fit(self, *args: Any, **kwargs: Any) -> Any:
            raise ValueError("no such step")

    with pytest.raises(TrialFailure, match="epoch 1 failed: ValueError: no such step"):
        Training(Breaking(), {}, two_colours, 20, seed=0).run_epoch()


def test_memory_that_runs_out_is_called_so(two_colours: ImageData) -> None:
    class Greedy(Other):
        def fit(self, *args: Any, **kwargs: Any) -> Any:
            raise MemoryError("cannot allocate")

    with pytest.raises(TrialFailure, match="^out of memory: cannot allocate"):
        Training(Greedy(), {}, two_colours, 20, seed=0).run_epoch()


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="how TensorFlow words it")
def test_tensorflows_own_lack_of_memory_is_called_so(two_colours: ImageData) -> None:
    class Huge(Other):
        def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
            pixels = keras.Input((16, 16, 3))
            rows = keras.layers.Flatten()(pixels)[:, :1]
            wide = keras.ops.matmul(rows[..., None], keras.ops.ones((1, 2**44), dtype="bool"))
            model = keras.Model(pixels, keras.layers.Dense(2)(keras.ops.mean(wide, axis=-1)))
            model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
            return model

    with pytest.raises(TrialFailure, match="^out of memory: .*[a-z]"):
        Training(Huge(), {}, two_colours, 20, seed=0).run_epoch()


def test_a_place_that_cannot_be_written_is_no_failure_of_the_trial(two_colours: ImageData, tmp_path: Path) -> None:
    one = training(two_colours)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        one.save_model(tmp_path / "no such folder" / "model.keras")


def test_a_model_without_accuracy_gets_it(two_colours: ImageData) -> None:
    epoch = Training(Other(metrics=()), {}, two_colours, 20, seed=0).run_epoch()
    assert epoch is not None
    assert 0 <= epoch["val_accuracy"] <= 1


def test_a_fit_that_returns_no_accuracy_says_what_is_missing(two_colours: ImageData) -> None:
    class Returning(Other):
        def fit(self, hp: Any, model: Any, x: Any, y: Any, **kwargs: Any) -> Any:
            model.fit(x, y, verbose=0)
            return {"loss": 1.0, "val_loss": 1.0}

    with pytest.raises(TrialFailure, match=r"reports no accuracy, val_accuracy: compile it with metrics"):
        Training(Returning(), {}, two_colours, 20, seed=0).run_epoch()


def test_a_saved_model_is_plain_keras_and_answers_the_same(two_colours: ImageData, tmp_path: Path) -> None:
    one = training(two_colours, augmentation="light", optimizer="adamw")
    one.run_epoch()
    one.save_model(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    images = two_colours.validation_images
    expected = one.model.predict(images, verbose=0)
    np.testing.assert_allclose(loaded.predict(images, verbose=0), expected, rtol=1e-5)
    assert not loaded.compiled
    called = np.asarray(loaded(images.astype("float32")))  # where Keras would augment
    np.testing.assert_allclose(called, expected, rtol=1e-4)
    assert loaded.input.name == "pixels"


def test_augmentation_inside_a_users_own_model_is_not_saved_either(two_colours: ImageData, tmp_path: Path) -> None:
    class Nested(keras_tuner.HyperModel):
        def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
            augmentation = keras.Sequential([keras.layers.RandomFlip(), keras.layers.RandomRotation(0.2)])
            head = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")])
            model = keras.Sequential([keras.Input((16, 16, 3)), augmentation, head])
            model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
            return model

    one = Training(Nested(), {}, two_colours, 20, seed=0)
    one.run_epoch()
    one.save_model(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    names = [type(layer).__name__ for layer in loaded._flatten_layers()]
    assert not {"RandomFlip", "RandomRotation"} & set(names)
    assert "Sequential" in names, "the others stay as they are"
    images = two_colours.validation_images
    np.testing.assert_allclose(loaded.predict(images, verbose=0), one.model.predict(images, verbose=0), rtol=1e-5)


def test_it_ends_after_its_last_epoch(two_colours: ImageData) -> None:
    one = training(two_colours)
    assert [one.run_epoch() is None for _ in range(6)] == [False] * 4 + [True] * 2


def test_early_stopping_ends_it_before(two_colours: ImageData) -> None:
    """A rate of nearly nothing: the validation loss does not fall."""
    space = CustomCNN(Task(16, 2, 40, max_epochs=20))
    configuration = complete(declared(space), {"early_stopping": 3, "learning_rate": 1e-4, "label_smoothing": 0.2})

    class Frozen(CustomCNN):
        def begin_stage(self, hp: Any, model: keras.Model, stage: int) -> None:
            super().begin_stage(hp, model, stage)
            model.optimizer.learning_rate = 0.0

    one = Training(Frozen(space.task), configuration, two_colours, 20, seed=0)
    epochs = sum(one.run_epoch() is not None for _ in range(20))
    assert 4 <= epochs < 20


def test_a_plateau_halves_the_rate_after_three_epochs(two_colours: ImageData) -> None:
    """Keras's callback must live through all epochs to count them."""

    class Stuck(CustomCNN):
        def begin_stage(self, hp: Any, model: keras.Model, stage: int) -> None:
            super().begin_stage(hp, model, stage)
            for layer in model.layers:
                layer.trainable = False

    space = Stuck(Task(16, 2, 40, max_epochs=5))
    configuration = complete(declared(space), {"schedule": "plateau", "learning_rate": 0.01, "batch_norm": "none"})
    one = Training(space, configuration, two_colours, 5, seed=0)
    rates = []
    while one.run_epoch():
        rates.append(float(one.model.optimizer.learning_rate))
    assert rates == pytest.approx([0.01, 0.01, 0.01, 0.005, 0.005])


def test_a_users_loop_may_call_the_callbacks_itself(two_colours: ImageData) -> None:
    """As KerasTuner's guide to custom training loops does."""

    class Looping(Other):
        def fit(
            self, hp: Any, model: keras.Model, x: Any, y: Any, validation_data: Any, callbacks: Any, **kw: Any
        ) -> Any:
            for callback in callbacks:
                callback.set_model(model)
            for epoch in range(3):
                logs = model.train_on_batch(x, y, return_dict=True)
                loss, accuracy = model.evaluate(*validation_data, verbose=0)
                for callback in callbacks:
                    callback.on_epoch_end(epoch, logs | {"val_loss": loss, "val_accuracy": accuracy})
            return accuracy

    one = Training(Looping(), {}, two_colours, 10, seed=0)
    epochs = [one.run_epoch() for _ in range(4)]
    assert [epoch["epoch"] if epoch else None for epoch in epochs] == [1, 2, 3, None]


@pytest.mark.parametrize("returned", ["history", "metrics"])
def test_a_users_fit_without_callbacks_counts_as_one_epoch(two_colours: ImageData, returned: str) -> None:
    class Silent(Other):
        def fit(self, hp: Any, model: keras.Model, x: Any, y: Any, validation_data: Any, **kw: Any) -> Any:
            history = model.fit(x, y, epochs=3, validation_data=validation_data, verbose=0)
            return history if returned == "history" else {name: one[-1] for name, one in history.history.items()}

    one = Training(Silent(), {}, two_colours, 10, seed=0)
    epoch = one.run_epoch()
    assert epoch is not None
    assert epoch["epoch"] == 1
    assert one.run_epoch() is None


def test_a_users_fit_that_gives_a_bare_number_is_told_what_is_missing(two_colours: ImageData) -> None:
    class Bare(Other):
        def fit(self, hp: Any, model: keras.Model, *arguments: Any, **kw: Any) -> Any:
            return 0.5

    with pytest.raises(TrialFailure, match=r"its fit\(\) returned float: hand the callbacks on to model.fit\(\)"):
        Training(Bare(), {}, two_colours, 10, seed=0).run_epoch()


class Elsewhere(Other):
    """Its `fit` trains other models than the one it is given: `folds` of them."""

    def __init__(self, folds: int, returned: str, is_told: bool) -> None:
        super().__init__()
        self.folds, self.returned, self.is_told = folds, returned, is_told

    def fit(self, hp: Any, model: keras.Model, x: Any, y: Any, validation_data: Any, callbacks: Any, **kw: Any) -> Any:
        self.trained, accuracies = [], []
        for _ in range(self.folds):
            fold = self.build(hp)
            given = callbacks if self.is_told else []
            history = fold.fit(x, y, epochs=9, validation_data=validation_data, callbacks=given, verbose=0)
            self.trained.append(fold)
            accuracies.append(history.history["val_accuracy"][-1])
        if self.returned == "history":
            return history
        average = float(np.mean(accuracies))
        return {"loss": 0.5, "accuracy": average, "val_loss": 0.5, "val_accuracy": average}


@pytest.mark.parametrize("is_told", [True, False])
def test_a_fit_that_trains_one_other_model_hands_that_one_over(
    two_colours: ImageData, tmp_path: Path, is_told: bool
) -> None:
    space = Elsewhere(1, "history", is_told)
    one = Training(space, {}, two_colours, 20, seed=0)
    epochs = []
    while (epoch := one.run_epoch()) is not None:
        epochs.append(epoch)
    assert len(epochs) == (9 if is_told else 1)
    one.save_model(tmp_path / "model.keras")
    saved = keras.models.load_model(tmp_path / "model.keras").predict(two_colours.validation_images, verbose=0)
    assert np.mean(saved.argmax(axis=1) == two_colours.validation_labels) == pytest.approx(epochs[-1]["val_accuracy"])
    np.testing.assert_allclose(saved, space.trained[0].predict(two_colours.validation_images, verbose=0), rtol=1e-5)


def test_a_fit_of_several_folds_fails_with_what_to_do(two_colours: ImageData) -> None:
    told = Training(Elsewhere(3, "average", is_told=True), {}, two_colours, 20, seed=0)
    with pytest.raises(
        TrialFailure, match=r"trains several models \(folds\?\), so which one to hand over is not known: "
    ):
        [told.run_epoch() for _ in range(10)]
    with pytest.raises(
        TrialFailure, match=r"leaves the model that it is given untrained, so there is none to hand ove"
    ):
        Training(Elsewhere(3, "average", is_told=False), {}, two_colours, 20, seed=0).run_epoch()


def test_folds_whose_model_is_trained_after_them_are_averaged(two_colours: ImageData) -> None:
    class Refitted(Elsewhere):
        def fit(self, hp: Any, model: keras.Model, *arguments: Any, **kw: Any) -> Any:
            average = super().fit(hp, model, *arguments, **kw)
            model.fit(*arguments, epochs=2, verbose=0)
            return average

    space = Refitted(2, "average", is_told=False)
    one = Training(space, {}, two_colours, 20, seed=0)
    assert one.run_epoch() is not None
    assert int(one.model.optimizer.iterations) == 4
    assert one.model not in space.trained


def test_a_loop_over_a_clone_that_nobody_is_told_of_fails(two_colours: ImageData) -> None:
    class Cloning(Other):
        def fit(self, hp: Any, model: keras.Model, x: Any, y: Any, callbacks: Any, **kw: Any) -> Any:
            clone = self.build(hp)
            for callback in callbacks:
                callback.set_model(model)
            for epoch in range(3):
                logs = clone.train_on_batch(x, y, return_dict=True)
                for callback in callbacks:
                    callback.on_epoch_end(epoch, logs | {f"val_{name}": value for name, value in logs.items()})

    with pytest.raises(TrialFailure, match="leaves the model that it is given untrained"):
        Training(Cloning(), {}, two_colours, 20, seed=0).run_epoch()


def test_a_model_that_is_trained_within_another_one_is_handed_over_itself(two_colours: ImageData) -> None:
    """As distillation does, or a model around it that augments."""

    class Around(Other):
        def fit(self, hp: Any, model: keras.Model, *arguments: Any, **kw: Any) -> Any:
            around = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.RandomFlip(), model])
            around.compile(keras.optimizers.Adam(0.1), self.loss, metrics=["accuracy"])
            return around.fit(*arguments, **kw)

    one = Training(Around(), {}, two_colours, 2, seed=0)
    assert [one.run_epoch() is None for _ in range(3)] == [False, False, True]
    assert "random_flip" not in [layer.name for layer in one.model.layers]


def test_two_trainings_do_not_disturb_one_another(two_colours: ImageData) -> None:
    """Keras keeps its precision by thread."""
    one, other = training(two_colours, "mixed_bfloat16"), training(two_colours)
    assert [each.model.layers[3].compute_dtype for each in (one, other)] == ["bfloat16", "float32"]
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_cross_entropy_is_told_without_the_penalty_that_the_loss_holds(two_colours: ImageData, optimizer: str) -> None:
    one = training(two_colours, weight_decay=0.01, optimizer=optimizer)
    epoch = one.run_epoch()
    assert epoch is not None
    penalty = float(sum(one.model.losses)) if one.model.losses else 0.0
    assert (penalty > 0.01) == (optimizer == "adam"), "AdamW decays weights beside the loss"
    assert epoch["val_loss"] - penalty == pytest.approx(epoch["val_categorical_crossentropy"], rel=1e-3)
    assert epoch["categorical_crossentropy"] <= epoch["loss"] + 1e-3
