"""Pre-trained backbones: freezing, thawing, weights, preprocessing."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from search_spaces.backbones import BACKBONES, check_weights, find_weights
from search_spaces.configuration import complete
from search_spaces.discovery import declared
from search_spaces.errors import UserError
from search_spaces.finetune import FineTune, image_sizes
from search_spaces.space import populated
from search_spaces.task import Task
from tests.strategies import configurations

TASK = Task(image_size=32, classes=10, training_images=1000, max_epochs=5)
ALL = dict.fromkeys(BACKBONES)


def built(weights: dict[str, str | None], **given_values: Any) -> keras.Model:
    space = FineTune(TASK, weights)
    return space.build(populated(complete(declared(space), given_values)))


@settings(max_examples=16, deadline=None, suppress_health_check=list(HealthCheck))
@given(configurations(declared(FineTune(TASK, ALL))))
def test_every_declared_configuration_builds_and_gives_probabilities(configuration: dict[str, Any]) -> None:
    model = FineTune(TASK, ALL).build(populated(configuration))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    probabilities = np.asarray(model(pixels, training=False))
    assert probabilities.shape == (2, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-4)
    keras.utils.clear_session()


@pytest.mark.parametrize("name", BACKBONES)
def test_unfrozen_layers_count_from_the_output_end(name: str) -> None:
    """0 trains the head alone, the whole backbone trains everything, and in between exactly the last ones."""
    row = BACKBONES[name]
    head = built({name: None}, unfrozen_layers=0, dense_units=0, image_size=32)
    assert [variable.path.split("/")[0] for variable in head.trainable_variables] == ["probabilities"] * 2
    reference = getattr(keras.applications, row.constructor)(include_top=False, weights=None, input_shape=(32, 32, 3))
    assert row.layers == len(reference.layers) - 1
    everything = {"unfrozen_layers": row.layers, "dense_units": 0, "image_size": 32}
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


def test_the_graph_is_flat() -> None:
    model = built({"mobilenet": None}, image_size=32)
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)


@pytest.mark.parametrize("name", BACKBONES)
def test_raw_pixels_get_the_backbones_own_preprocessing(name: str) -> None:
    """The first convolution must see what Keras's preprocess_input makes of the pixels."""
    row = BACKBONES[name]
    pixels = keras.Input((32, 32, 3))
    network = row.build(pixels, None)
    first = next(layer for layer in network.layers if layer.weights)
    raw = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3)).astype("float32")
    reference = getattr(keras.applications, row.constructor)(include_top=False, weights=None, input_shape=(32, 32, 3))
    reference.set_weights(network.get_weights())
    twin = keras.Model(reference.input, next(layer for layer in reference.layers if layer.weights).output)
    prepared = getattr(keras.applications, row.module).preprocess_input(raw.copy())
    np.testing.assert_allclose(keras.Model(pixels, first.output)(raw), twin(prepared), rtol=1e-4, atol=1e-3)


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
    model = built({"mobilenet": str(file)}, image_size=32, dense_units=0)
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
    check_weights({"mobilenet": file})
    kernel = built({"mobilenet": file}, image_size=96).get_layer("conv1").kernel
    plain = keras.applications.MobileNet(include_top=False, weights=file, input_shape=(96, 96, 3))
    np.testing.assert_array_equal(kernel, plain.get_layer("conv1").kernel)


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "wrong.weights.h5"
    keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 32, 3)).save_weights(file)
    with pytest.raises(UserError, match=r"--weights .*wrong.weights.h5 does not hold the weights of mobilenet: "):
        check_weights({"mobilenet": str(file)})
    (tmp_path / "text.weights.h5").write_text("no weights")
    with pytest.raises(UserError, match="does not hold the weights of vgg16"):
        check_weights({"vgg16": str(tmp_path / "text.weights.h5")})


def test_where_weights_are_found(tmp_path: Path) -> None:
    assert find_weights("imagenet", ["vgg16"]) == {"vgg16": "imagenet"}
    assert find_weights("none", ["vgg16", "resnet50"]) == {"vgg16": None, "resnet50": None}
    (tmp_path / "vgg16.weights.h5").touch()
    assert find_weights(str(tmp_path), ["vgg16"]) == {"vgg16": str(tmp_path / "vgg16.weights.h5")}
    with pytest.raises(UserError, match=r"has no resnet50.weights.h5: add it, or leave resnet50 out"):
        find_weights(str(tmp_path), ["vgg16", "resnet50"])
    with pytest.raises(UserError, match="is one file but 2 backbones are searched"):
        find_weights(str(tmp_path / "vgg16.weights.h5"), ["vgg16", "resnet50"])
    with pytest.raises(UserError, match="no such file or folder"):
        find_weights(str(tmp_path / "nothing.h5"), ["vgg16"])


@pytest.mark.parametrize(
    ("own", "sizes"), [(32, [32, 48, 64, 96]), (8, [32]), (96, [96, 128, 160, 192, 224]), (500, [224])]
)
def test_image_sizes_follow_the_images(own: int, sizes: list[int]) -> None:
    assert image_sizes(own) == sizes


def test_a_thawed_backbone_learns_at_its_own_rate() -> None:
    model = built({"vgg16": None}, unfrozen_layers=4, backbone_lr_ratio=0.1, image_size=32, learning_rate=1e-2)
    rates = {
        variable.path.split("/")[0]: float(model.optimizer._optimizer_map(variable).learning_rate)
        for variable in model.trainable_variables
    }
    assert rates["block5_conv3"] == pytest.approx(1e-3)
    assert rates["probabilities"] == pytest.approx(1e-2)
