"""A training that is broken off and goes on in another process ends as if nothing had happened."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from search_spaces.configuration import complete
from search_spaces.custom_cnn import CustomCNN
from search_spaces.declaration import declared
from search_spaces.finetune import FineTune
from search_spaces.task import Task
from tuner.trial.checkpoint import Checkpoint
from tuner.trial.datasets import ImageData
from tuner.trial.errors import TrialFailure
from tuner.trial.training import Training

EPOCHS = 5
RANDOM = np.random.default_rng(0)
LABELS = np.arange(60) % 3
PIXELS = (RANDOM.integers(0, 200, (60, 32, 32, 3)) + 20 * LABELS[:, None, None, None]).astype("uint8")
DATA = ImageData("noise", ("a", "b", "c"), PIXELS[:40], LABELS[:40], PIXELS[40:], LABELS[40:], 0)
TASK = Task(image_size=32, classes=3, training_images=40, max_epochs=EPOCHS)


def begun(configuration: dict[str, Any], checkpoint: Checkpoint | None = None) -> Training:
    space: Any = FineTune(TASK, {"cifar_cnn": None}) if "backbone" in configuration else CustomCNN(TASK)
    return Training(space, complete(declared(space), configuration), DATA, EPOCHS, seed=0, checkpoint=checkpoint)


def curve(training: Training) -> list[list[float]]:
    found = []
    while (epoch := training.run_epoch()) is not None:
        found.append([epoch[name] for name in ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")])
    training.close()
    return found


SMALL = {"blocks": 2, "convs_per_block": 1, "filters": 16, "dense_layers": 1, "dense_units": 32, "batch_size": 16}


@pytest.mark.parametrize("after", [1, 3])
@pytest.mark.parametrize(
    "configuration",
    [
        {"optimizer": "adamw", "dropout": 0.3, "schedule": "plateau", "early_stopping": 10},
        {"optimizer": "sgd", "momentum": 0.9, "schedule": "one_cycle", "augmentation": "standard"},
        {"schedule": "cosine", "mix": "mixup", "conv_dropout": 0.2},
        {"mix": "cutmix", "second_stage": True, "second_stage_share": 0.4},
    ],
    ids=["plateau", "augmented", "mixed", "second stage"],
)
def test_the_rest_of_the_curve_is_what_it_would_have_been(
    configuration: dict[str, Any], after: int, tmp_path: Path
) -> None:
    keras.backend.clear_session()
    whole = curve(begun(SMALL | configuration))
    first = begun(SMALL | configuration)
    for _ in range(after):
        first.run_epoch()
    first.checkpoint({}).write(tmp_path / "checkpoint.npz")
    first.close()
    rest = curve(begun(SMALL | configuration, Checkpoint.read(tmp_path / "checkpoint.npz")))
    np.testing.assert_allclose(rest, whole[after:], rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not all of it", b"no archive"])
def test_a_damaged_checkpoint_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.npz").write_bytes(content)
    with pytest.raises(TrialFailure, match=r"checkpoint\.npz is no checkpoint, or a damaged one"):
        Checkpoint.read(tmp_path / "checkpoint.npz")
