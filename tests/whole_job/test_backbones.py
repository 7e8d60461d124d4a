"""Every backbone in the table, trained in bfloat16, is handed over in float32: real graphs, with random weights."""

from pathlib import Path

import keras
import numpy as np
import pytest

from results.convertible import convertible
from results.formats import in_float32
from search_spaces.backbones import BACKBONES, Backbone


def network(backbone: Backbone, policy: str) -> keras.Model:
    """The backbone with a head, on 32x32 pixels; batch normalization lets random weights tell images apart."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(0)
    try:
        pixels = keras.Input((32, 32, 3))
        features = keras.layers.GlobalAveragePooling2D()(backbone.build(pixels, None).output)
        scaled = keras.layers.BatchNormalization(momentum=0.0)(features)
        return keras.Model(pixels, keras.layers.Dense(3, activation="softmax", dtype="float32")(scaled))
    finally:
        keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("backbone", BACKBONES.values(), ids=list(BACKBONES))
def test_every_backbone_of_bfloat16_answers_in_float32_as_one_of_float32(backbone: Backbone, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    images[::2] //= 4
    in_bfloat16, own = network(backbone, "mixed_bfloat16"), network(backbone, "float32")
    own(images.astype(np.float32), training=True)  # the normalization behind the features takes their scale
    in_bfloat16.set_weights(own.get_weights())
    in_bfloat16.save(tmp_path / "model.keras", include_optimizer=False)
    found, expected = in_float32(tmp_path / "model.keras"), own.predict(images, verbose=0)
    assert {layer.compute_dtype for layer in found._flatten_layers()} == {"float32"}
    assert found.predict(images, verbose=0) == pytest.approx(expected, abs=1e-3)
    assert convertible(found).predict(images, verbose=0) == pytest.approx(expected, abs=1e-3)
