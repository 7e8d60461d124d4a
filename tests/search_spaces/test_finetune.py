"""Fine-tuning: freezing, thawing and when, weights, rates."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search_spaces.backbones import BACKBONES, without_weights
from search_spaces.configuration import complete
from search_spaces.declaration import declared
from search_spaces.errors import UserError
from search_spaces.finetune import FineTune, backbone_layers
from search_spaces.space import populated
from search_spaces.task import Task
from tests.life import check_life
from tests.strategies import configurations

TASK = Task(image_size=32, classes=10, training_images=1000, max_epochs=5)


def built(weights: dict[str, str | None], **given_values: Any) -> keras.Model:
    space = FineTune(TASK, weights)
    return space.build(populated(complete(declared(space), given_values)))


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), st.sampled_from(sorted(BACKBONES)))
def test_every_declared_configuration_trains_and_comes_back(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, name: str
) -> None:
    space = FineTune(Task(image_size=16, classes=7, training_images=4, max_epochs=2), {name: None})
    check_life(space, data.draw(configurations(declared(space))), tmp_path_factory.mktemp("life"))


@pytest.mark.parametrize("name", BACKBONES)
def test_unfrozen_layers_count_from_the_output_end(name: str) -> None:
    """0 trains the head alone, the whole backbone trains everything, and in between exactly the last ones."""
    row = BACKBONES[name]
    head = built({name: None}, unfrozen_layers=0, dense_layers=0, image_size=32)
    assert [variable.path.split("/")[0] for variable in head.trainable_variables] == ["probabilities"] * 2
    reference = row.build(keras.Input((32, 32, 3)), None)
    everything = {"unfrozen_layers": row.layers, "dense_layers": 0, "image_size": 32}
    if row.batch_norm:
        everything["freeze_batch_norm"] = False
    whole = built({name: None}, **everything)
    assert len(whole.trainable_variables) == len(reference.trainable_variables) + 2
    half = built({name: None}, **everything | {"unfrozen_layers": row.layers // 2})
    expected = sum(len(layer.trainable_variables) for layer in reference.layers[-(row.layers // 2) :])
    assert len(half.trainable_variables) == expected + 2


def test_batch_norm_stays_frozen_among_thawed_layers() -> None:
    model = built({"mobilenet": None}, unfrozen_layers=85, freeze_batch_norm=True, image_size=32)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert norms
    assert not any(layer.trainable for layer in norms)


@pytest.mark.parametrize("name", sorted(set(BACKBONES) - {"convnext_tiny"}))  # Keras's ConvNeXt has Sequentials inside
def test_the_graph_is_flat(name: str) -> None:
    assert not any(isinstance(layer, keras.Model) for layer in built({name: None}, image_size=32).layers)


@pytest.mark.parametrize("name", BACKBONES)
def test_the_layers_of_the_backbone_are_found_in_the_model(name: str) -> None:
    row = BACKBONES[name]
    alone = row.build(keras.Input((32, 32, 3)), None).layers[-row.layers :]
    for head in ("dense", "conv_stack"):
        found = backbone_layers(built({name: None}, head=head, augmentation="standard", image_size=32), row)
        assert [type(layer) for layer in found] == [type(layer) for layer in alone]
        assert [layer.count_params() for layer in found] == [layer.count_params() for layer in alone]
        keras.utils.clear_session()


@pytest.mark.parametrize(
    ("max_epochs", "given_values", "plan"),
    [
        (10, {"unfrozen_layers": 0}, {0: 0}),
        (10, {"unfrozen_layers": 5}, {0: 5}),
        (10, {"unfrozen_layers": 5, "warmup_epochs": 3}, {0: 0, 3: 5}),
        (3, {"unfrozen_layers": 5, "warmup_epochs": 3}, {0: 0}),
        (10, {"unfrozen_layers": 18, "gradual_thaw": True}, {0: 4, 1: 8, 2: 12, 3: 15, 4: 18}),
        (10, {"unfrozen_layers": 9, "gradual_thaw": True, "warmup_epochs": 2}, {0: 0, 2: 4, 3: 8, 4: 9}),
        (3, {"unfrozen_layers": 18, "gradual_thaw": True}, {0: 12, 1: 15, 2: 18}),
        (1, {"unfrozen_layers": 18, "gradual_thaw": True}, {0: 18}),
    ],
)
def test_layers_thaw_when_they_should(max_epochs: int, given_values: dict[str, Any], plan: dict[int, int]) -> None:
    space = FineTune(Task(32, 10, 1000, max_epochs), {"vgg16": None})
    hp = populated(complete(declared(space), {"dense_layers": 0, "image_size": 32} | given_values))
    model = space.build(hp)
    thawed = {}
    for stage, epoch in enumerate(space.stages(hp)):
        space.begin_stage(hp, model, stage)
        thawed[epoch] = sum(layer.trainable for layer in backbone_layers(model, BACKBONES["vgg16"]))
    assert thawed == plan


def test_more_layers_than_the_backbone_has_is_an_error_and_no_clamp() -> None:
    with pytest.raises(UserError, match="'unfrozen_layers' is 86 but must be a whole number from 0 to 85"):
        built({"mobilenet": None, "vgg16": None}, unfrozen_layers=86)
    with pytest.raises(UserError, match="'unfrozen_layers' is 85 but must be a whole number from 0 to 18"):
        built({"mobilenet": None, "vgg16": None}, backbone="vgg16", unfrozen_layers=85)


def test_an_image_size_that_the_backbone_does_not_take() -> None:
    with pytest.raises(UserError, match="'image_size' is 16 but must be one of 32, 48, 64, 96"):
        built({"mobilenet": None}, image_size=16)


def test_backbones_have_the_image_sizes_that_they_take() -> None:
    space = FineTune(Task(16, 10, 1000, 5), {"mobilenet": None, "vgg16": None, "cifar_cnn": None})
    sizes = {one.conditions[0].values: one for one in declared(space) if one.name == "image_size"}
    assert {names: one.allowed.values for names, one in sizes.items()} == {
        ("mobilenet", "vgg16"): (32, 48), ("cifar_cnn",): (16, 24, 32, 48)
    }  # fmt: skip
    assert [one.default for one in sizes.values()] == [48, 32]
    small = declared(FineTune(TASK, {"mobilenet": None, "cifar_cnn": None}))
    assert complete(small, {"backbone": "cifar_cnn"})["image_size"] == 32


def test_unit_scaling_replaces_the_backbones_own() -> None:
    """What document 001 did: ResNet50 on pixels of 0..1."""
    pixels = np.full((1, 32, 32, 3), 255, "uint8")
    seen = {}
    for scaling in ("own", "unit"):
        model = built({"resnet50": None}, image_size=32, input_scaling=scaling)
        seen[scaling] = np.asarray(keras.Model(model.inputs, model.get_layer("conv1_pad").input)(pixels))
    np.testing.assert_allclose(seen["unit"], 1.0, rtol=1e-6)
    assert seen["own"].max() > 100


def fixed_weights(path: Path) -> Path:
    """MobileNet with small weights from a formula, saved as a weights file."""
    model = keras.applications.MobileNet(include_top=False, weights=None, input_shape=(32, 32, 3))
    counter = 0
    values = []
    for weight in model.get_weights():
        steps = np.arange(counter, counter + weight.size, dtype=np.float64).reshape(weight.shape)
        values.append((0.5 + 0.5 * np.sin(steps)) * (0.05 if weight.ndim > 1 else 1.0))
        counter += weight.size
    model.set_weights(values)
    model.save_weights(path)
    return path


def test_weights_really_load(tmp_path: Path) -> None:
    """A fixed image through fixed weights gives the known features, computed once with plain Keras."""
    file = fixed_weights(tmp_path / "mobilenet.weights.h5")
    model = built({"mobilenet": str(file)}, image_size=32, dense_layers=0)
    pooled = next(layer for layer in model.layers if isinstance(layer, keras.layers.GlobalAveragePooling2D))
    features = keras.Model(model.input, pooled.output)
    pixels = (np.arange(32 * 32 * 3) % 256).reshape(1, 32, 32, 3).astype("uint8")
    found = np.asarray(features(pixels))[0]
    plain = keras.applications.MobileNet(include_top=False, weights=str(file), input_shape=(32, 32, 3), pooling="avg")
    np.testing.assert_allclose(found, np.asarray(plain(pixels / 127.5 - 1.0))[0], rtol=1e-4, atol=1e-5)
    assert found[:4].tolist() == pytest.approx([0.068529, 3.779169, 4.364673, 4.270628], rel=1e-2)


def test_real_imagenet_weights_load(shared: Path) -> None:
    """Frozen ImageNet filters see an edge; the published file fits the table's MobileNet."""
    file = str(shared / "data" / "mobilenet_1_0_notop.weights.h5")
    without_weights({"mobilenet": file})
    kernel = built({"mobilenet": file}, image_size=96).get_layer("conv1").kernel
    plain = keras.applications.MobileNet(include_top=False, weights=file, input_shape=(96, 96, 3))
    np.testing.assert_array_equal(kernel, plain.get_layer("conv1").kernel)


def test_a_thawed_backbone_learns_at_its_own_rate() -> None:
    model = built({"vgg16": None}, unfrozen_layers=4, backbone_lr_ratio=0.1, image_size=32, learning_rate=1e-2)
    rates = {
        variable.path.split("/")[0]: float(model.optimizer._optimizer_map(variable).learning_rate)
        for variable in model.trainable_variables
    }
    assert rates["block5_conv3"] == pytest.approx(1e-3)
    assert rates["probabilities"] == pytest.approx(1e-2)
