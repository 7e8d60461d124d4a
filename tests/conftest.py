"""Fixtures that several rooms share."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# What tests keep between runs must not be what the user keeps: features, the precision that was measured.
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="thaw-tests-")

import numpy as np
import optuna
import pytest
from PIL import Image

from tuner.trial.datasets import ImageData

atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)
optuna.logging.set_verbosity(optuna.logging.WARNING)

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture
def shared() -> Path:
    """Real CIFAR-10 and real ImageNet weights, where they stand beside the project."""
    if not (SHARED / "data").is_dir():
        pytest.skip("../shared/data is not here: it holds real CIFAR-10 and real ImageNet weights")
    return SHARED


@pytest.fixture
def two_colours() -> ImageData:
    """Two classes that any network can tell apart: reddish and bluish noise, 16x16 pixels."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 100, (60, 16, 16, 3), dtype=np.uint8)
    labels = np.arange(60) % 2
    images[labels == 0, ..., 0] += 120
    images[labels == 1, ..., 2] += 120
    return ImageData("two colours", ("blue", "red"), images[:40], 1 - labels[:40], images[40:], 1 - labels[40:], 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of two classes with 12 images of 20x20 pixels each; a blank in its name, as people have."""
    root = tmp_path / "my photos"
    for label, name in enumerate(("cats", "dogs")):
        (root / name).mkdir(parents=True)
        for number in range(12):
            pixels = np.full((20, 20, 3), 20 * number + label, dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number:02}.png")
    return root
