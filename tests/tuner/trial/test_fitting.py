"""Trained from behind its frozen prefix or whole, a model becomes the same."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from search_spaces.backbones import BACKBONES
from search_spaces.configuration import complete
from search_spaces.custom_cnn import CustomCNN
from search_spaces.declaration import declared
from search_spaces.finetune import FineTune
from search_spaces.space import populated
from search_spaces.task import Task
from tuner.trial import features as features_module
from tuner.trial import fitting as fitting_module
from tuner.trial.batches import Batches
from tuner.trial.feature_store import FeatureStore
from tuner.trial.features import Features
from tuner.trial.fitting import Fitting
from tuner.trial.frozen_prefix import find

IMAGES, SIDE, CLASSES = 48, 32, 3
RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (IMAGES, SIDE, SIDE, 3)).astype("uint8")
TARGETS = keras.utils.to_categorical(np.arange(IMAGES) % CLASSES, CLASSES)
CHECKED = (PIXELS[:20], TARGETS[:20])


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "store", 1e9)


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Features in float32, so that only the order of operations differs."""
    monkeypatch.setattr(features_module, "HALF_ERROR", 0.0)


@pytest.fixture
def unfolded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every layer by itself: then not even the order of operations differs, and nothing drifts apart over epochs."""
    for module in (features_module, fitting_module):
        monkeypatch.setattr(module, "faster", lambda calls, ends: {})


def live(model: keras.Model) -> None:
    """Untrained weights that let signals through: He's kernels, and normalization by the statistics of these images."""
    flags = [(layer, layer.trainable) for layer in model.layers]
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    momenta = [norm.momentum for norm in norms]
    for layer in model.layers:
        layer.trainable = True
        if type(layer) is keras.layers.Conv2D:
            layer.kernel.assign(keras.initializers.HeNormal(3)(layer.kernel.shape))
    for norm in norms:
        norm.momentum = 0.0
    model(PIXELS.astype("float32"), training=True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    for layer, flag in flags:
        layer.trainable = flag


def whole_fit(fit: Callable[..., Any], x: Any, y: Any, batch_size: int, initial_epoch: int = 0, **options: Any) -> Any:
    """Keras's own `fit` of the whole model on the same batches."""
    batches = Batches(lambda epoch: x, y, batch_size, 3, initial_epoch)
    begin = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: batches.begin(epoch))
    options["callbacks"] = [begin, *options["callbacks"]]
    return fit(batches, initial_epoch=initial_epoch, shuffle=False, **options)


def trained(
    store: FeatureStore | None, configuration: dict[str, Any], backbone: str, epochs: int = 1, views: int = 0
) -> tuple[dict[str, list[float]], np.ndarray, np.ndarray, Features | None]:
    """History, how the weights have changed, the weights, and the features used."""
    space = FineTune(Task(SIDE, CLASSES, IMAGES, epochs), {backbone: None})
    quick = {"optimizer": "sgd", "learning_rate": 1e-3, "batch_size": 16, "dense_layers": 0, "image_size": SIDE}
    keras.utils.set_random_seed(1)
    hp = populated(complete(declared(space), quick | configuration))
    model = space.build(hp)
    live(model)
    keras.utils.set_random_seed(2)
    features = Features(store, 0) if store is not None else None
    if features is None:
        model.fit = partial(whole_fit, model.fit)
    else:
        Fitting(model, features, seed=3, views=views)
    variables = [variable for variable in model.variables if variable.dtype == "float32"]
    before = np.concatenate([np.ravel(variable.numpy()) for variable in variables])
    history = space.fit(hp, model, PIXELS, TARGETS, epochs=epochs, validation_data=CHECKED, verbose=0)
    after = np.concatenate([np.ravel(variable.numpy()) for variable in variables])
    return history.history, after - before, after, features


def assert_same(one: Any, other: Any, tolerance: float) -> None:
    for name in one[0]:
        np.testing.assert_allclose(one[0][name], other[0][name], rtol=tolerance, atol=tolerance)
    assert np.linalg.norm(one[1] - other[1]) <= 10 * tolerance * np.linalg.norm(one[1])
    assert np.linalg.norm(one[1]) > 0


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("backbone", BACKBONES)
def test_whole_and_split_train_alike_on_every_backbone(backbone: str, store: FeatureStore) -> None:
    thawed = {"unfrozen_layers": BACKBONES[backbone].blocks[0], "backbone_lr_ratio": 1.0}
    whole, split = trained(None, thawed, backbone), trained(store, thawed, backbone)
    assert_same(whole, split, 5e-3)  # rounding now and then turns a ReLU on or off
    assert any(store.folder.glob("*/data"))


@pytest.mark.usefixtures("exact", "unfolded")
@pytest.mark.parametrize(
    "configuration",
    [
        {"head": "conv_stack", "feature_dropout": 0.3},
        {"unfrozen_layers": 9, "freeze_batch_norm": False, "warmup_epochs": 1},
        {"unfrozen_layers": 20, "gradual_thaw": True, "optimizer": "adamw", "schedule": "one_cycle"},
        {"unfrozen_layers": 9, "optimizer": "adam", "weight_decay": 1e-2, "clip_norm": 0.5, "label_smoothing": 0.1},
        {"unfrozen_layers": 28},
    ],
    ids=["dropout", "warm-up", "gradual", "decay", "all thawed"],
)
def test_stages_dropout_and_optimizers_make_no_difference(configuration: dict[str, Any], store: FeatureStore) -> None:
    whole = trained(None, configuration, "cifar_cnn", epochs=3)
    split = trained(store, configuration, "cifar_cnn", epochs=3)
    assert_same(whole, split, 1e-6)


@pytest.mark.parametrize("layer_order", ["conv-norm-relu", "norm-relu-conv"])
def test_a_network_from_scratch_trains_as_keras_trains_it(layer_order: str) -> None:
    """Normalization in another kernel and batches gathered elsewhere make no difference to what is learnt."""
    space = CustomCNN(Task(SIDE, CLASSES, IMAGES, 3))
    chosen = {"blocks": 2, "filters": 16, "layer_order": layer_order, "optimizer": "sgd", "learning_rate": 1e-3}
    histories, weights = [], []
    for is_ours in (False, True):
        keras.utils.set_random_seed(1)
        hp = populated(complete(declared(space), chosen | {"batch_size": 16, "dropout": 0.2}))
        model = space.build(hp)
        if is_ours:
            Fitting(model, None, seed=3)
        else:
            model.fit = partial(whole_fit, model.fit)
        history = space.fit(hp, model, PIXELS, TARGETS, epochs=3, validation_data=CHECKED, verbose=0)
        histories.append(history.history)
        weights.append(np.concatenate([np.ravel(w.numpy()) for w in model.weights if w.dtype == "float32"]))
    for name in histories[0]:
        np.testing.assert_allclose(histories[0][name], histories[1][name], rtol=2e-3)
    np.testing.assert_allclose(weights[0], weights[1], rtol=1e-3, atol=1e-3)


def test_half_precision_features_change_little(store: FeatureStore) -> None:
    whole, split = trained(None, {}, "cifar_cnn", epochs=3), trained(store, {}, "cifar_cnn", epochs=3)
    assert_same(whole, split, 2e-3)
    assert {array.name[-3:] for array in store.folder.glob("*-f?")} == {"-f2"}


def test_what_float16_cannot_hold_is_kept_as_float32() -> None:
    np.testing.assert_array_equal(features_module.half(np.array([1.0, 2.0, 3.0], "float32")), [1.0, 2.0, 3.0])
    many = RANDOM.normal(size=(300, 8, 8)).astype("float32")
    np.testing.assert_array_equal(features_module.half(many), many.astype("float16"))
    lone = many.copy()
    lone[1, 0, 0] = 1e6
    lost = ([1.0, 1e6], 1000 + np.linspace(0, 0.1, 100), np.linspace(0, 1e-8, 100), lone, 1000 + 1e-2 * many)
    for values in lost:
        assert features_module.half(np.asarray(values, "float32")) is None


def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts the batches that go through a prefix: 48 training and 20 validation images are one each."""
    seen: list[int] = []
    real = keras.Model.predict_on_batch

    def counted(model: keras.Model, x: np.ndarray) -> Any:
        seen.append(len(x))
        return real(model, x)

    monkeypatch.setattr(keras.Model, "predict_on_batch", counted)
    return seen


def test_a_prefix_is_computed_once_for_all_trials(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = made(monkeypatch)
    trained(store, {}, "cifar_cnn", epochs=2)
    assert len(seen) == 2
    trained(FeatureStore(store.folder, 1e9), {"learning_rate": 1e-2, "dense_layers": 2}, "cifar_cnn", epochs=2)
    assert len(seen) == 2


def test_a_later_cut_goes_on_from_an_earlier_one(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The head's features have left waypoints behind that a thawed block begins at."""
    trained(store, {}, "cifar_cnn")
    before = {path.name for path in store.folder.iterdir()}
    shapes: list[tuple[int, ...]] = []
    real = keras.Model.predict_on_batch
    monkeypatch.setattr(
        keras.Model, "predict_on_batch", lambda model, x: (shapes.append(x.shape[1:]), real(model, x))[1]
    )
    trained(store, {"unfrozen_layers": 9}, "cifar_cnn")
    assert (SIDE, SIDE, 3) not in shapes
    assert before <= {path.name for path in store.folder.iterdir()}


def test_views_are_kept_and_come_round(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    augmented = {"augmentation": "light", "augmentation_strength": 0.2}
    seen = made(monkeypatch)
    history, *_ = trained(store, augmented, "cifar_cnn", epochs=5, views=2)
    assert len(seen) == 3
    assert len(history["loss"]) == 5
    again, *_ = trained(FeatureStore(store.folder, 1e9), augmented, "cifar_cnn", epochs=5, views=2)
    assert again == history
    assert len(seen) == 3
    without, *_ = trained(store, {}, "cifar_cnn", epochs=5, views=2)
    assert without["loss"] != history["loss"]


def test_views_differ_from_one_another_and_from_the_plain_images(store: FeatureStore) -> None:
    pixels = keras.Input((SIDE, SIDE, 3))
    shifted = keras.layers.RandomTranslation(0.3, 0.3)(pixels)
    frozen = keras.layers.Conv2D(4, 3, strides=2, trainable=False)(shifted)
    model = keras.Model(pixels, keras.layers.Dense(CLASSES)(keras.layers.Flatten()(frozen)))
    prefix = find(model, views=True)
    assert prefix is not None
    features, cut = Features(store, 0), prefix.cuts[-1]
    arrays = [features.of(prefix, cut, PIXELS, view) for view in (None, 0, 1)]
    plain, first, second = (np.array(array.values, "float32") for array in arrays if array is not None)
    for one, other in ((plain, first), (plain, second), (first, second)):
        assert np.abs(one - other).mean() > 0.1 * np.abs(plain).mean()
    part = prefix.graph.part(prefix.graph.input, [cut.tensor])
    np.testing.assert_allclose(plain, part.predict(PIXELS, verbose=0), rtol=5e-3, atol=0.1)


def test_models_inside_that_cannot_be_taken_apart_train_whole(store: FeatureStore) -> None:
    pixels = keras.Input((SIDE, SIDE, 3))
    twins = []
    for _ in range(2):
        entry = keras.Input((SIDE, SIDE, 3))
        twins.append(keras.Model(entry, keras.layers.Conv2D(2, 3, name="same", trainable=False)(entry)))
    total = keras.layers.Add()([twin(pixels) for twin in twins])
    model = keras.Model(pixels, keras.layers.Dense(CLASSES, "softmax")(keras.layers.Flatten()(total)))
    model.compile("sgd", "categorical_crossentropy")
    Fitting(model, Features(store, 0), seed=0)
    assert len(model.fit(PIXELS, TARGETS, verbose=0).history["loss"]) == 1


def test_without_views_augmentation_trains_the_whole_model(store: FeatureStore) -> None:
    trained(store, {"augmentation": "light"}, "cifar_cnn")
    assert not store.folder.exists()


def unusable(folder: Path) -> FeatureStore:
    folder.write_text("a file where the folder should be")
    return FeatureStore(folder, 1e9)


@pytest.mark.usefixtures("unfolded")
@pytest.mark.parametrize("broken", [unusable, lambda folder: FeatureStore(folder, 2e4)], ids=["folder", "room"])
def test_without_a_usable_store_the_trial_goes_on(broken: Callable[[Path], FeatureStore], tmp_path: Path) -> None:
    split = trained(broken(tmp_path / "store"), {"head": "conv_stack"}, "cifar_cnn")
    assert_same(trained(None, {"head": "conv_stack"}, "cifar_cnn"), split, 1e-6)


def test_the_user_learns_that_features_are_too_large(tmp_path: Path) -> None:
    *_, features = trained(FeatureStore(tmp_path, 2e4), {"head": "conv_stack"}, "cifar_cnn")
    assert features is not None
    assert not features.is_used
    assert "do not fit into --feature-store-gb 2e-05" in (features.warning or "")


def test_what_would_gain_nothing_needs_no_room(tmp_path: Path) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((SIDE, SIDE, 3)),
            layers.Rescaling(0.1),
            layers.Conv2D(64, 3),
            layers.Flatten(),
            layers.Dense(CLASSES),
        ]
    )
    model.compile("sgd", "mse")
    features = Features(FeatureStore(tmp_path, 1), 0)
    Fitting(model, features, seed=3)
    model.fit(PIXELS, TARGETS, verbose=0)
    assert features.warning is None
    assert not features.is_used


def test_the_user_learns_why_nothing_is_stored(tmp_path: Path) -> None:
    *_, features = trained(unusable(tmp_path / "store"), {}, "cifar_cnn")
    assert features is not None
    assert features.warning is not None
    assert "features are not stored" in features.warning
    assert str(tmp_path / "store") in features.warning


class Watching(keras.callbacks.Callback):
    """What a callback of the user's may do with its model."""

    def __init__(self) -> None:
        super().__init__()
        self.outcomes: list[np.ndarray] = []
        self.rates: list[float] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.outcomes.append(self.model.predict(PIXELS[:4], verbose=0))
        self.rates.append(float(self.model.optimizer.learning_rate.numpy()))
        self.model.optimizer.learning_rate = 0.0
        self.model.stop_training = epoch == 1


def split(store: FeatureStore) -> keras.Model:
    """A frozen convolution and a head that trains on what it puts out."""
    pixels = keras.Input((SIDE, SIDE, 3))
    hidden = keras.layers.Conv2D(4, 3, trainable=False)(keras.layers.Rescaling(1 / 255)(pixels))
    model = keras.Model(pixels, keras.layers.Dense(CLASSES, "softmax")(keras.layers.Flatten()(hidden)))
    model.compile(keras.optimizers.SGD(0.1), "categorical_crossentropy", metrics=["accuracy"])
    Fitting(model, Features(store, 0), seed=0)
    return model


def test_callbacks_see_the_whole_model_and_steer_it(store: FeatureStore) -> None:
    model = split(store)
    watching = Watching()
    history = model.fit(PIXELS, TARGETS, epochs=5, callbacks=[watching], verbose=0)
    assert history.epoch == [0, 1]
    assert watching.rates == [pytest.approx(0.1), 0.0]
    np.testing.assert_array_equal(watching.outcomes[0], watching.outcomes[1])
    assert store.folder.exists()


class Between(keras.callbacks.Callback):
    """Reads the weights after each step."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[np.ndarray] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.seen.append(np.array(self.model.get_weights()[-2]))


def test_callbacks_see_the_weights_after_each_step(store: FeatureStore) -> None:
    model = split(store)
    between = Between()
    model.fit(PIXELS, TARGETS, 16, epochs=2, callbacks=[between], verbose=0)
    assert len({weights.tobytes() for weights in between.seen}) == len(between.seen) == 6
    np.testing.assert_array_equal(between.seen[-1], model.get_weights()[-2])


def test_what_is_not_known_is_left_to_keras(store: FeatureStore) -> None:
    pixels = keras.Input((SIDE, SIDE, 3))
    model = keras.Model(pixels, keras.layers.Dense(CLASSES)(keras.layers.Flatten()(pixels)))
    model.compile("sgd", "mse")
    Fitting(model, Features(store, 0), seed=0)
    history = model.fit(PIXELS, TARGETS, validation_split=0.25, class_weight={0: 1.0, 1: 2.0, 2: 1.0}, verbose=0)
    assert set(history.history) == {"loss", "val_loss"}


def test_a_loop_of_single_epochs_is_not_given_the_same_batches_each_time() -> None:
    def learned(is_loop: bool) -> np.ndarray:
        keras.utils.set_random_seed(0)
        pixels = keras.Input((SIDE, SIDE, 3))
        scaled = keras.layers.Rescaling(1 / 255)(pixels)
        model = keras.Model(pixels, keras.layers.Dense(CLASSES, "softmax")(keras.layers.Flatten()(scaled)))
        model.compile(keras.optimizers.SGD(0.01), "categorical_crossentropy")
        Fitting(model, None, seed=0)
        for _ in range(3 if is_loop else 1):
            model.fit(PIXELS, TARGETS, 16, epochs=1 if is_loop else 3, verbose=0)
        return np.concatenate([np.ravel(weights) for weights in model.get_weights()])

    np.testing.assert_allclose(learned(is_loop=True), learned(is_loop=False), rtol=1e-5, atol=1e-6)


class OwnStep(keras.Model):
    """As people write a loop of their own: it computes in the model's precision, as Keras hands everything over."""

    def __init__(self) -> None:
        super().__init__()
        self.flat, self.dense = keras.layers.Flatten(), keras.layers.Dense(CLASSES, activation="softmax")
        self.types: set[str] = set()

    def call(self, x: Any) -> Any:
        return self.dense(self.flat(x / 255))

    def compute_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None, training: bool = True) -> Any:
        self.types |= {keras.backend.standardize_dtype(one.dtype) for one in (x, y)}
        return -keras.ops.mean(y * keras.ops.log(y_pred + 1e-6))


def test_floats_come_in_the_models_precision_and_weights_for_some_classes_are_enough() -> None:
    model = OwnStep()
    model(PIXELS[:1])
    model.compile("sgd", metrics=["accuracy"])
    Fitting(model, None, seed=0)
    pixels, targets = PIXELS.astype(np.float64), TARGETS.astype(np.float64)
    model.fit(pixels, targets, validation_data=(pixels, targets), verbose=0)
    assert model.types == {"float32"}
    other = keras.Sequential([keras.Input((SIDE, SIDE, 3)), keras.layers.Flatten(), keras.layers.Dense(CLASSES)])
    other.compile("sgd", "mse")
    Fitting(other, None, seed=0)
    other.fit(PIXELS, TARGETS, class_weight={0: 5.0}, verbose=0)
