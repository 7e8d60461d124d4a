"""The whole product on JAX: search, report, export, prediction."""

import json
from pathlib import Path

import keras
import matplotlib.image
import pytest
from sklearn.datasets import load_digits

from results.paths import RunPaths
from results.records import TrialState, read_study, read_test, read_trials
from tests.integration.test_search import run

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="runs where KERAS_BACKEND is jax")


def test_a_search_on_jax_leaves_a_model_that_predicts(tmp_path: Path) -> None:
    thawed = {"dense_layers": 0, "learning_rate": 3e-3, "batch_size": 64}
    first = [thawed | {"unfrozen_layers": count} for count in (0, 6)]
    (tmp_path / "first.json").write_text(json.dumps([*first, thawed | {"feature_dropout": 0.2, "schedule": "cosine"}]))
    options = {
        "--space": "finetune", "--data": "digits", "--image-size": 16, "--backbones": "cifar_cnn", "--trials": 3,
        "--max-epochs": 2, "--scheduler": "none", "--configs": "first.json", "--name": "jax",
        "--feature-store": "store", "--finalists": 1, "--finalist-seeds": 1,
    }  # fmt: skip
    printed = run("search.py", *(text for option in options.items() for text in option), cwd=tmp_path)
    paths = RunPaths.existing(tmp_path / "runs" / "jax")
    trials = read_trials(paths)
    assert [trial.state for trial in trials] == [TrialState.DONE] * 3, printed
    assert max(trial.epochs[-1].val_accuracy for trial in trials) > 0.5
    assert read_study(paths).versions["keras backend"] == "jax"
    assert any((tmp_path / "store").glob("*/data"))
    test = read_test(paths)
    assert test is not None
    assert test.evaluation.accuracy > 0.5
    run("export.py", paths.root, "--out", "model.keras", cwd=tmp_path)
    matplotlib.image.imsave(tmp_path / "3.png", load_digits().images[3], cmap="gray", vmin=0, vmax=16)
    assert "3.png" in run("predict.py", "model.keras", "3.png", cwd=tmp_path)
