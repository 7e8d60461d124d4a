"""The whole job for each family of models and precision: what is exported, predicted and served is what was trained.

Search, Ctrl+C, resumption, finalists, test split, report, export, ensemble, prediction and serving, on real files.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from results.formats import FORMATS
from results.predictor import Predictor
from results.records import TrialState, read_test
from results.served import served
from tests.one_process import OneProcess, one_process
from tests.whole_job.families import FAMILIES
from tuner import Study, StudyConfig, resume_study, run_study
from tuner.trial.training import Training

__all__ = ["one_process"]

ROUNDING = {"float32": 1e-3, "bfloat16": 0.05}
"""How far a probability may be from the trained model's own: bfloat16 has three digits, and layers add up."""
FORMATS_HERE = [name for name in FORMATS if name != "litert-int8"]
if keras.backend.backend() != "tensorflow" and os.environ.get("WHOLE_JOB") != "all":
    FORMATS_HERE = ["keras"]  # the others are written by TensorFlow from the same file, in a process each


def pictures(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Reddish and bluish noise, some of it so faint that no model is sure."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 100, (count, 32, 32, 3), dtype=np.uint8)
    labels = np.arange(count) % 2
    for label, channel in enumerate((0, 2)):
        images[labels == label, ..., channel] += rng.integers(0, 150, (count // 2, 1, 1), dtype=np.uint8)
    return images, labels


TEST_IMAGES, TEST_LABELS = pictures(16, seed=2)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """What each model that was kept answered to the test images when it had been trained, by its file's digest."""
    found: dict[str, np.ndarray] = {}
    save = Training.save_model

    def saved(training: Training, path: Path) -> None:
        save(training, path)
        answers = training.model(keras.ops.convert_to_tensor(TEST_IMAGES.astype(np.float32)), training=False)
        found[digest(path)] = np.asarray(keras.ops.convert_to_numpy(answers), np.float32)

    monkeypatch.setattr(Training, "save_model", saved)
    return found


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def searched(family: str, precision: str, one_process: OneProcess) -> Study:
    """Two trials of two epochs, cut off in the second one and resumed; then a finalist on two seeds."""
    config = StudyConfig(
        space=f"tests.whole_job.families:{family}", name="job", trials=2, max_epochs=2, scheduler="none",
        precision=precision, finalists=1, finalist_seeds=2, feature_store=Path("store"), dashboard=False,
    )  # fmt: skip
    one_process.results_until_interrupt = 3
    with pytest.raises(KeyboardInterrupt):
        run_study(config, pictures(32, seed=0), validation_data=pictures(16, seed=1),
                  test_data=(TEST_IMAGES, TEST_LABELS), class_names=("red", "blue"))  # fmt: skip
    assert [trial.state for trial in Study.open("runs/job").trials()] == [TrialState.DONE, TrialState.INTERRUPTED]
    return resume_study("runs/job", space=config.space)


def check_exports(study: Study, expected: np.ndarray, precision: str) -> None:
    """Each format, and two models as one, answer as what was trained."""
    for written in study.export("out/job.keras", FORMATS_HERE):
        found = FORMATS[written.format].load(written.path)(TEST_IMAGES)
        assert found == pytest.approx(expected, abs=ROUNDING[precision]), written.format
    plain = keras.models.load_model("out/job.keras")(TEST_IMAGES)
    assert np.asarray(plain) == pytest.approx(expected, abs=ROUNDING[precision]), "called as a function"
    (both,) = study.export("out/both.keras", ensemble=2)
    assert FORMATS["keras"].load(both.path)(TEST_IMAGES).sum(axis=1) == pytest.approx(1, abs=1e-5)


def check_prediction(expected: np.ndarray, precision: str) -> None:
    """The exported model tells the class of an image file."""
    Image.fromarray(TEST_IMAGES[0]).save("image.png")
    (answer,) = Predictor(Path("out/job.keras")).classify([Path("image.png")], top=2)
    found = {guess.label: guess.probability for guess in answer.guesses}
    assert found["red"] == pytest.approx(expected[0, 0], abs=ROUNDING[precision])


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_what_was_trained_is_what_is_handed_over(
    family: Callable[..., keras.Model], precision: str, tmp_path: Path, one_process: OneProcess,
    trained: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    study = searched(family.__name__, precision, one_process)
    assert [trial.state for trial in study.trials()] == [TrialState.DONE] * 2
    test = read_test(study.paths)
    assert test is not None
    model = study.paths.root / test.model
    expected = trained[digest(model)]
    assert np.ptp(expected[:, 0]) > 0.1, "else any two models would agree"
    assert test.evaluation.accuracy == pytest.approx((expected.argmax(axis=1) == TEST_LABELS).mean(), abs=1 / 15)
    check_exports(study, expected, precision)
    check_prediction(expected, precision)
    assert "Test accuracy" in study.paths.report.read_text()
    assert served(str(study.paths.root), None, 1000).model == model
