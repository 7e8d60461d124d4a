"""The table of backbones: what its rows say is so, and where weights come from."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from search_spaces import cifar_cnn
from search_spaces.backbones import BACKBONES, find_weights, unseen, without_weights
from search_spaces.errors import UserError

BY_KERAS = [name for name, row in BACKBONES.items() if row.module]


@pytest.mark.parametrize("name", BACKBONES)
def test_one_tensor_crosses_each_block_boundary(name: str) -> None:
    """So a network can be cut there, and a block is thawed whole."""
    row = BACKBONES[name]
    network = row.build(keras.Input((32, 32, 3)), None)
    assert list(row.blocks) == sorted(set(row.blocks))
    for boundary in row.blocks:
        first = network.layers[-boundary]
        before = {id(layer) for layer in network.layers[:-boundary]}
        behind = [one for one in network.operations if id(one) not in before]
        if row.blocks[-1] != boundary:
            behind = behind[behind.index(first) :]
        inside = {id(one) for one in behind}
        crossing = {
            id(tensor)
            for one in behind
            for node in one._inbound_nodes
            for tensor in node.input_tensors
            if id(tensor._keras_history.operation) not in inside
        }
        assert len(crossing) == 1, (name, boundary, first.name)
    if row.module:
        reference = getattr(keras.applications, row.constructor)(include_top=False, weights=None)
        assert row.layers == len(reference.layers) - 1


@pytest.mark.parametrize("name", BY_KERAS)
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


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "wrong.weights.h5"
    keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 32, 3)).save_weights(file)
    with pytest.raises(UserError, match=r"--weights .*wrong.weights.h5 does not hold the weights of mobilenet: "):
        without_weights({"mobilenet": str(file)})
    (tmp_path / "text.weights.h5").write_text("no weights")
    with pytest.raises(UserError, match="does not hold the weights of vgg16"):
        without_weights({"vgg16": str(tmp_path / "text.weights.h5")})


def test_where_weights_are_found(tmp_path: Path) -> None:
    assert find_weights("imagenet", ["vgg16"]) == {"vgg16": "imagenet"}
    assert find_weights("none", ["vgg16", "resnet50"]) == {"vgg16": None, "resnet50": None}
    (tmp_path / "vgg16.weights.h5").touch()
    assert find_weights(str(tmp_path), ["vgg16"]) == {"vgg16": str(tmp_path / "vgg16.weights.h5")}
    with pytest.raises(UserError, match=r"has no resnet50.weights.h5: add it, or leave resnet50 out"):
        find_weights(str(tmp_path), ["vgg16", "resnet50"])
    assert find_weights(str(tmp_path), ["vgg16", "resnet50", "cifar_cnn"], needs_all=False) == {
        "vgg16": str(tmp_path / "vgg16.weights.h5"), "cifar_cnn": "bundled"
    }  # fmt: skip
    with pytest.raises(UserError, match="is one file but 2 backbones are searched"):
        find_weights(str(tmp_path / "vgg16.weights.h5"), ["vgg16", "resnet50"])
    with pytest.raises(UserError, match="no such file or folder"):
        find_weights(str(tmp_path / "nothing.h5"), ["vgg16"])


def test_the_weights_that_come_with_the_package_are_found(tmp_path: Path) -> None:
    for weights in ("imagenet", str(tmp_path)):
        assert find_weights(weights, ["cifar_cnn"]) == {"cifar_cnn": "bundled"}
    assert find_weights("none", ["cifar_cnn"]) == {"cifar_cnn": None}


@pytest.mark.parametrize(
    ("own", "sizes"), [(32, [32, 48, 64, 96]), (8, [32]), (96, [96, 128, 160, 192, 224]), (500, [224])]
)
def test_image_sizes_follow_the_images(own: int, sizes: list[int]) -> None:
    assert BACKBONES["vgg16"].image_sizes(own) == sizes


@pytest.mark.parametrize(("own", "sizes"), [(8, [16, 24]), (32, [32, 48, 64, 96]), (96, [96]), (300, [96])])
def test_the_small_backbone_takes_small_images(own: int, sizes: list[int]) -> None:
    assert BACKBONES["cifar_cnn"].image_sizes(own) == sizes


def test_nobody_is_validated_on_what_it_has_seen() -> None:
    assert "cifar_cnn" not in unseen(None, cifar_cnn.CLASSES, "imagenet")
    assert "cifar_cnn" in unseen(None, ("cat", "dog"), "imagenet")
    assert "cifar_cnn" in unseen(None, cifar_cnn.CLASSES, "none")
    assert unseen(("vgg16",), cifar_cnn.CLASSES, "imagenet") == ("vgg16",)
    with pytest.raises(UserError, match="--backbones cifar_cnn: it was trained on CIFAR-10"):
        unseen(("cifar_cnn", "vgg16"), cifar_cnn.CLASSES, "imagenet")


def features(weights: str | None) -> np.ndarray:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    keras.utils.set_random_seed(0)
    return np.asarray(BACKBONES["cifar_cnn"].build(keras.Input((32, 32, 3)), weights)(pixels))


def test_the_bundled_weights_load_and_fit_a_megabyte() -> None:
    provenance = json.loads(cifar_cnn.BUNDLED.with_suffix(".json").read_text())
    assert cifar_cnn.BUNDLED.stat().st_size <= 1_000_000
    assert provenance["validation_accuracy"] > 0.8
    assert {"data", "data_fingerprint", "configuration", "seed", "epochs", "minutes"} <= set(provenance)
    assert {array.dtype for array in cifar_cnn.read(cifar_cnn.BUNDLED).values()} == {np.dtype("float16")}
    assert np.abs(features(str(cifar_cnn.BUNDLED)) - features(None)).max() > 0.1


def test_weights_that_were_written_are_read(tmp_path: Path) -> None:
    one = BACKBONES["cifar_cnn"].build(keras.Input((32, 32, 3)), None)
    cifar_cnn.write(tmp_path / "own.npz", one, {"seed": 1})
    again = BACKBONES["cifar_cnn"].build(keras.Input((32, 32, 3)), str(tmp_path / "own.npz"))
    for old, new in zip(one.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(old, new, rtol=1e-3, atol=1e-6)


def test_damaged_weights_are_named(tmp_path: Path) -> None:
    file = tmp_path / "copy.npz"
    with pytest.raises(UserError, match=r"cannot read .*copy.npz \(No such file or directory\): make it again with"):
        without_weights({"cifar_cnn": str(file)})
    for suffix in (".npz", ".json"):
        shutil.copy(cifar_cnn.BUNDLED.with_suffix(suffix), file.with_suffix(suffix))
    content = bytearray(file.read_bytes())
    content[5000] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"backbone cifar_cnn: .*copy.npz is damaged: its SHA-256 begins with"):
        without_weights({"cifar_cnn": str(file)})
    file.with_suffix(".json").write_text("{")
    with pytest.raises(UserError, match=r"copy.json is not JSON"):
        without_weights({"cifar_cnn": str(file)})


def test_a_damaged_installation_says_how_to_mend_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar_cnn, "BUNDLED", tmp_path / "cifar_cnn.npz")
    with pytest.raises(UserError, match=r"cifar_cnn.npz \(No such file or directory\): install the package again"):
        without_weights(find_weights("imagenet", ["cifar_cnn"]))


def test_weights_of_another_trunk_are_refused(tmp_path: Path) -> None:
    small = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="block1_conv1")])
    cifar_cnn.write(tmp_path / "small.npz", small, {})
    with pytest.raises(UserError, match=r"small.npz does not hold the weights of cifar_cnn"):
        without_weights({"cifar_cnn": str(tmp_path / "small.npz")})
