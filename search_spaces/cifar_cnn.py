"""The backbone that comes with the package: a small residual CNN, trained on CIFAR-10 by `scripts/pretrain.py`.

Its weights are an .npz of float16 arrays and, beside it, a .json that says where they come from. NumPy's format, read
without pickle: loading it runs no code.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from search_spaces.errors import UserError
from search_spaces.hyperparameter import Value

if TYPE_CHECKING:
    import keras

BUNDLED = Path(__file__).parent / "weights" / "cifar_cnn.npz"

TRUNK: dict[str, Value] = {
    "blocks": 3,
    "convs_per_block": 2,
    "filters": 32,
    "width_growth": 2.0,
    "kernel_size": 3,
    "residual": True,
    "squeeze_excite": False,
    "batch_norm": "convolution",
    "layer_order": "conv-norm-relu",
    "conv_dropout": 0.0,
}
"""Its trunk as a configuration of the space `custom_cnn`."""

CLASSES = frozenset(("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"))
"""What it was trained to tell apart. It has seen CIFAR-10's training images: what validates there is no news to it."""


def build(pixels: Any, weights: str | None) -> keras.Model:
    """The trunk on raw pixels (0..255), with the bundled weights, those of a file, or random ones, as one flat graph.

    Raises:
        UserError: the file or its .json is missing or damaged.
        KeyError, ValueError: the file holds other weights.
    """
    import keras

    from search_spaces.custom_cnn import trunk
    from search_spaces.space import populated

    features = trunk(populated(TRUNK), pixels)
    model = keras.Model(keras.utils.get_source_inputs(features), features)
    if weights is not None:
        arrays = read(BUNDLED if weights == "bundled" else Path(weights))
        for weight in model.weights:
            weight.assign(arrays[weight.path].astype("float32"))
    return model


def read(file: Path) -> dict[str, np.ndarray]:
    """An array for each variable's path.

    Raises:
        UserError: the file or its .json is missing, or is not what was written.
    """
    facts_file = file.with_suffix(".json")
    remedy = "install the package again" if file == BUNDLED else "make it again with scripts/pretrain.py"
    try:
        content, facts = file.read_bytes(), json.loads(facts_file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"backbone cifar_cnn: cannot read {error.filename} ({error.strerror}): {remedy}") from error
    except ValueError as error:
        raise UserError(f"backbone cifar_cnn: {facts_file} is not JSON: {remedy}") from error
    found, expected = hashlib.sha256(content).hexdigest(), str(facts.get("sha256"))
    if found != expected:
        raise UserError(
            f"backbone cifar_cnn: {file} is damaged: its SHA-256 begins with {found[:12]} "
            f"and should begin with {expected[:12]}: {remedy}"
        )
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return dict(arrays)


def write(file: Path, model: keras.Model, provenance: Mapping[str, Any]) -> None:
    """Write the weights of a model's trunk as float16, and the .json: their checksum and the given facts."""
    arrays = {
        weight.path: np.asarray(weight.value, dtype=np.float16)
        for layer in model.layers
        if layer.name.startswith("block")
        for weight in layer.weights
    }
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    file.write_bytes(buffer.getvalue())
    facts = {"sha256": hashlib.sha256(buffer.getvalue()).hexdigest(), **provenance}
    file.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
