"""Models of KerasTuner's users, unchanged, under KerasTuner's own tuner and here."""

import random
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

from results.formats import in_float32, probabilities
from search_spaces.configuration import complete
from search_spaces.discovery import ask_fit, discovered
from search_spaces.errors import UserError
from search_spaces.first_model import check_first
from search_spaces.outputs import Outputs
from search_spaces.registry import SpaceSpec
from search_spaces.task import Task
from tests.search_spaces.kerastuner_users import BINARY, TEN
from tuner.preparation import Request, prepare
from tuner.proposal.neighbours import at_random
from tuner.trial.datasets import ImageData
from tuner.trial.training import Training

USERS = "tests.search_spaces.kerastuner_users"


class Asking(keras_tuner.RandomSearch):
    """KerasTuner's tuner, which asks each model for its hyperparameters and does not train it."""

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
        model = self.hypermodel.build(trial.hyperparameters)
        ask_fit(self.hypermodel, trial.hyperparameters, model, kwargs["task"])
        return random.random()


def of(classes: int) -> tuple[Task, ImageData]:
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (48, 16, 16, 3), dtype=np.uint8), np.arange(48) % classes
    names = tuple(f"class {number}" for number in range(classes))
    data = ImageData("noise", names, images[:28], labels[:28], images[28:], labels[28:], 0)
    return Task(16, classes, 28, 2), data


@pytest.fixture(autouse=True)
def _file_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "widths.json").write_text("[8, 16]")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", [*BINARY, *TEN])
def test_the_same_space_is_found_here_and_there(name: str, tmp_path: Path) -> None:
    task, _ = of(2 if name in BINARY else 10)
    space = SpaceSpec(f"{USERS}:{name}", task, {}, "").create()
    theirs = Asking(space, keras_tuner.Objective("val_loss", "min"), 40, directory=tmp_path, seed=0)
    theirs.search(task=task, verbose=0)
    ours = {(one.name, str(one.allowed)) for one in discovered(space, task).hyperparameters}
    hp = theirs.oracle.get_space()
    assert {name for name, _ in ours} == {one.name for one in hp.space}
    assert len(ours) == len(hp.space)


@pytest.mark.parametrize("name", [*BINARY, *TEN])
def test_it_trains_here_and_there_and_what_is_kept_is_as_good_as_was_said(name: str, tmp_path: Path) -> None:
    task, data = of(2 if name in BINARY else 10)
    space = SpaceSpec(f"{USERS}:{name}", task, {}, "").create()
    found = discovered(space, task)
    needs_code = check_first(space, task, found.buildable)
    assert needs_code == (("scaled (Lambda)",) if name == "WithLambda" else ())
    for configuration in (complete(found.hyperparameters, {}), at_random(found.hyperparameters, random.Random(1))):
        one = Training(space, configuration, data, 2, seed=0)
        epochs = [epoch for _ in range(3) if (epoch := one.run_epoch())]
        assert len(epochs) == configuration.get("epochs", 2)
        if not needs_code:
            one.save_model(tmp_path / "model.keras")
            said = probabilities(in_float32(tmp_path / "model.keras"), data.validation_images)
            assert said.shape == (20, task.classes)
            np.testing.assert_allclose(said.sum(axis=1), 1, rtol=1e-4)
            assert (said.argmax(axis=1) == data.validation_labels).mean() == pytest.approx(epochs[-1]["val_accuracy"])
        one.close()
    theirs = keras_tuner.RandomSearch(space, keras_tuner.Objective("val_loss", "min"), 1, directory=tmp_path, seed=0)
    outputs = Outputs.of(space.build(keras_tuner.HyperParameters()), task.classes, data.train_images[:1])
    validation = (data.validation_images, outputs.targets(data.validation_labels))
    theirs.search(data.train_images, outputs.targets(data.train_labels), validation_data=validation, verbose=0)
    assert len(theirs.oracle.trials) == 1


def test_a_model_that_keras_cannot_load_alone_is_named_before_the_first_trial() -> None:
    found = prepare(Request(f"{USERS}:WithLambda", of(10)[0], (), False, "imagenet", ""))
    assert found.needs_code == ("scaled (Lambda)",)
    assert "its models cannot be exported, tested or served, because Keras does not load scaled" in found.notes[0]
    assert "(kerastuner_users.py, line " in found.notes[0]


TOO_MANY = "the model has 12 outputs, but the images are of 10 classes: its last layer must have 10 units"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("twelve_outputs", rf"cannot be trained: ValueError: {TOO_MANY} \(test_kerastuner_users.py, line \d+\)"),
        ("a_map", r"shape \(None, 12, 12, 4\) for a batch of images, but \(images, 10\) is needed: put a Flatten"),
        ("one_output", r"the model has 1 outputs, but the images are of 10 classes"),
        ("bad_metric", r"cannot be trained: .* \(test_kerastuner_users.py, line \d+\)"),
        ("a_number", r"build\(hp\) returned int, but must return a Keras model"),
    ],
)
def test_what_cannot_be_trained_is_refused_by_the_first_build(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        prepare(Request(f"{__name__}:{name}", of(10)[0], (), False, "imagenet", ""))


def _small(hp: Any, *last: keras.layers.Layer, **compiled: Any) -> keras.Model:
    hp.Boolean("flag")
    model = keras.Sequential([keras.Input((16, 16, 3)), *last])
    options = {"optimizer": "adam", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
    model.compile(**options | compiled)
    return model


def twelve_outputs(hp: Any) -> keras.Model:
    return _small(hp, keras.layers.Flatten(), keras.layers.Dense(12, activation="softmax"))


def a_map(hp: Any) -> keras.Model:
    return _small(hp, keras.layers.Conv2D(4, 5))


def one_output(hp: Any) -> keras.Model:
    return _small(hp, keras.layers.Flatten(), keras.layers.Dense(1), loss="mse")


def bad_metric(hp: Any) -> keras.Model:
    last = keras.layers.Dense(10, activation="softmax")
    return _small(hp, keras.layers.Flatten(), last, metrics=["top_k_categorical_accuracy"])


def a_number(hp: Any) -> int:
    return int(hp.Int("units", 1, 3))
