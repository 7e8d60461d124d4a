"""A training that is broken off and goes on in another process ends as if nothing had happened."""

import dataclasses
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
    first.checkpoint([{}] * after).write(tmp_path / "checkpoint.npz")
    first.close()
    rest = curve(begun(SMALL | configuration, Checkpoint.read(tmp_path / "checkpoint.npz")))
    np.testing.assert_allclose(rest, whole[after:], rtol=2e-4, atol=2e-4)


def staged(checkpoint: Checkpoint | None = None) -> Training:
    """A first stage of ten epochs, and a second one; what is learned is wrong for validation, so both end early."""
    space = CustomCNN(Task(image_size=32, classes=3, training_images=40, max_epochs=14))
    given = {"early_stopping": 3, "learning_rate": 0.03, "second_stage": True, "second_stage_share": 0.3}
    wrong = dataclasses.replace(DATA, validation_labels=(DATA.validation_labels + 1) % 3)
    configuration = complete(declared(space), SMALL | given)
    return Training(space, configuration, wrong, 14, seed=0, checkpoint=checkpoint)


def test_a_stage_that_ended_early_stays_ended(tmp_path: Path) -> None:
    """Keras's number of an epoch is then another than how many there were; cut before, at and after the stage's end."""
    keras.backend.clear_session()
    whole, first = curve(staged()), staged()
    assert len(whole) < 14
    for after in range(1, len(whole)):
        first.run_epoch()
        first.checkpoint([{}] * after).write(tmp_path / f"{after}.npz")
    first.close()
    stopped = [Checkpoint.read(tmp_path / f"{after}.npz").calls[-1]["is_stopped"] for after in range(1, len(whole))]
    ended = 1 + stopped.index(True)
    for after in {ended - 1, ended, ended + 1}:
        rest = curve(staged(Checkpoint.read(tmp_path / f"{after}.npz")))
        assert len(rest) == len(whole) - after
        np.testing.assert_allclose(rest, whole[after:], rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not all of it", b"no archive"])
def test_a_damaged_checkpoint_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.npz").write_bytes(content)
    with pytest.raises(TrialFailure, match=r"checkpoint\.npz is no checkpoint, or a damaged one"):
        Checkpoint.read(tmp_path / "checkpoint.npz")
