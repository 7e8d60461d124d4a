"""Real searches: Ray, Optuna, Keras, files; what a user sees on the way and finds afterwards."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from results.best_models import BestModels
from results.paths import RunPaths
from results.records import TrialRecord, TrialState, read_study, read_trials
from tuner.searcher import MOST_INFEASIBLE

ROOT = Path(__file__).parents[2]

SPACE = """
import keras
import keras_tuner

class Moody(keras_tuner.HyperModel):
    '''No declare: its hyperparameters are found by building. Some moods cannot be built, run or survived.'''

    def build(self, hp):
        mood = hp.Choice("mood", ["good", "unbuildable", "diverging", "deadly"])
        if mood == "unbuildable":
            raise ValueError("no such layer")
        layers = [keras.Input((16, 16, 3)), keras.layers.Rescaling(1 / 255), keras.layers.GlobalAveragePooling2D()]
        model = keras.Sequential([*layers, keras.layers.Dense(10, activation="softmax")])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        if mood == "diverging":
            model.layers[-1].set_weights([value * float("nan") for value in model.layers[-1].get_weights()])
        return model

    def fit(self, hp, model, *args, **kwargs):
        if hp.get("mood") == "deadly":
            import os
            os._exit(1)
        return model.fit(*args, **kwargs)
"""


def run(script: str, *arguments: object, cwd: Path, environment: dict[str, str] | None = None, status: int = 0) -> str:
    """Run one of the scripts as a user does, in their own folder, and give what it printed.

    A search has no finalists unless it says so: they have tests of their own.
    """
    command = [sys.executable, str(ROOT / "scripts" / script), *map(str, arguments)]
    command += ["--finalists", "0"] if script == "search.py" and "--finalists" not in command else []
    done = subprocess.run(command, cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=400,
                          env=os.environ | (environment or {}))  # fmt: skip
    assert done.returncode == status, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("a user's folder")


@pytest.fixture(scope="module")
def found(folder: Path) -> tuple[RunPaths, str]:
    """A search of two trials on the digits, the second of them given."""
    quick = {"blocks": 2, "convs_per_block": 1, "dense_layers": 0, "learning_rate": 0.005}
    (folder / "first.json").write_text(json.dumps([quick | {"filters": 16}, quick]))
    printed = run("search.py", "--space", "custom_cnn", "--data", "digits", "--image-size", 16, "--trials", 2,
                  "--max-epochs", 3, "--configs", "first.json", "--concurrency", 1, "--name", "two",
                  cwd=folder)  # fmt: skip
    return RunPaths.existing(folder / "runs" / "two"), printed


def test_a_search_leaves_what_it_promises(found: tuple[RunPaths, str]) -> None:
    paths, _ = found
    trials = read_trials(paths)
    assert [trial.configuration["filters"] for trial in trials] == [16, 32]
    assert trials[0].state is TrialState.DONE
    assert [epoch.epoch for epoch in trials[0].epochs] == [1, 2, 3]
    study = read_study(paths)
    assert (study.data.training_images, study.data.validation_images, study.data.test_images) == (1257, 270, 270)
    assert study.options["max_epochs"] == 3
    frame = pd.read_csv(paths.leaderboard)
    assert frame.columns[:10].tolist() == [
        "rank", "trial", "state", "val_accuracy", "best_epoch", "epochs", "seconds", "parameters", "size_mb",
        "latency_ms",
    ]  # fmt: skip
    assert tuple(frame.columns[10:]) == (*study.hyperparameters, "reason")
    assert (frame["latency_ms"] > 0).all()
    assert frame["val_accuracy"].max() > 0.5
    assert paths.report.stat().st_size > 10_000


def test_optuna_opens_the_study_under_the_runs_name(found: tuple[RunPaths, str]) -> None:
    paths, _ = found
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(paths.journal)))
    study = optuna.load_study(study_name="two", storage=storage)
    assert study.best_value == pytest.approx(max(trial.best_epoch.val_accuracy for trial in read_trials(paths)
                                                 if trial.best_epoch and trial.state is TrialState.DONE))  # fmt: skip
    assert all(trial.state.is_finished() for trial in study.trials)


def test_the_terminal_shows_the_search_and_no_chatter(found: tuple[RunPaths, str]) -> None:
    paths, printed = found
    assert "digits: 1257 training and 270 validation images of 10 classes, 16x16 pixels" in printed
    assert "Ray's dashboard: http://127.0.0.1:" in printed
    assert "best so far" in printed
    assert "python scripts/export.py runs/two --out model.keras" in printed
    assert "INFO" not in printed
    assert "absl" not in printed
    assert "Started a local Ray instance" in paths.log.read_text()


def test_report_export_and_predict(found: tuple[RunPaths, str], folder: Path) -> None:
    """The exported model, in plain Keras without this project's code, scores what the record says."""
    paths, _ = found
    paths.report.unlink()
    run("report.py", "runs/two", cwd=folder)
    assert paths.report.is_file()
    run("export.py", "runs/two", "--out", "out/model.keras", cwd=folder)
    digits = load_digits()
    for number in (3, 7):
        Image.fromarray((digits.images[number] * 255 / 16).astype(np.uint8)).save(folder / f"{number}.png")
    (folder / "broken.png").write_text("no image")
    printed = run("predict.py", "out/model.keras", "3.png", "7.png", cwd=folder)
    assert "3.png" in printed
    assert "%" in printed
    plain = (
        "import keras, numpy, sys; model = keras.models.load_model('out/model.keras')\n"
        "data = numpy.load('val.npz'); guess = model.predict(data['images'], verbose=0).argmax(axis=1)\n"
        "print('accuracy', (guess == data['labels']).mean())\n"
        "assert not {'tuner', 'results', 'search_spaces'} & set(sys.modules)"
    )
    from tuner.trial import datasets

    data = datasets.load("digits", 16, seed=0)
    np.savez(folder / "val.npz", images=data.validation_images, labels=data.validation_labels)
    output = subprocess.check_output([sys.executable, "-c", plain], cwd=folder, text=True)
    best = max(trial.best_epoch.val_accuracy for trial in read_trials(paths) if trial.best_epoch)
    assert float(output.split("accuracy ")[1]) == pytest.approx(best, abs=0.005)


def test_a_warm_start_under_limits_that_nothing_meets(found: tuple[RunPaths, str], folder: Path) -> None:
    printed = run("search.py", "--space", "custom_cnn", "--data", "digits", "--image-size", 16, "--trials", 5,
                  "--warm-start", "two", "--max-parameters", 100, "--name", "tiny", "--no-dashboard",
                  cwd=folder, status=1)  # fmt: skip
    assert "Warm start: 2 trials of two known\n" in printed
    assert "Nothing to rank" in printed
    assert "configurations in a row had more than --max-parameters 100, " in printed
    assert "raise the limit" in printed
    trials = read_trials(RunPaths.existing(folder / "runs" / "tiny"))
    assert MOST_INFEASIBLE <= len(trials) < MOST_INFEASIBLE + 2 * (os.cpu_count() or 1)
    assert {trial.state for trial in trials} == {TrialState.INFEASIBLE}
    assert all((trial.parameters or 0) > 100 for trial in trials)
    known = [trial.configuration for trial in read_trials(found[0])]
    assert not any(trial.configuration in known for trial in trials)


def test_failing_trials_do_not_end_a_study(folder: Path) -> None:
    """A user's space without `declare`, of which one trial cannot be built, one diverges and one kills its worker.

    It has four configurations, and no more are tried.
    """
    (folder / "moody.py").write_text(SPACE)
    moods = ["unbuildable", "diverging", "deadly", "good"]
    (folder / "moods.json").write_text(json.dumps([{"mood": mood} for mood in moods]))
    printed = run("search.py", "--space", "moody:Moody", "--data", "digits", "--image-size", 16, "--trials", 9,
                  "--max-epochs", 2, "--scheduler", "none", "--configs", "moods.json", "--name", "moody",
                  "--no-dashboard", cwd=folder)  # fmt: skip
    trials: dict[str, TrialRecord] = {
        str(trial.configuration["mood"]): trial for trial in read_trials(RunPaths.existing(folder / "runs" / "moody"))
    }
    assert trials["unbuildable"].reason == "the model cannot be built: ValueError: no such layer"
    assert trials["diverging"].reason == "diverged: loss is nan in epoch 1"
    assert trials["deadly"].reason == "its worker failed: The actor died unexpectedly before finishing this task."
    assert {trials[mood].state for mood in moods[:3]} == {TrialState.FAILED}
    assert trials["good"].state is TrialState.DONE
    assert "dashboard" not in printed
    assert "Ended early: no configuration was found that has not been tried; 4 were\n" in printed


def test_kerastuner_users_models_are_searched_unchanged(folder: Path) -> None:
    """A build function and a HyperModel with a `fit` of its own, from a file that knows nothing of this project."""
    shutil.copy(ROOT / "tests" / "search_spaces" / "kerastuner_users.py", folder / "their_models.py")
    for name, expected in (("build_model", "units_0"), ("DropoutCNN", "batch_size")):
        run("search.py", "--space", f"their_models:{name}", "--data", "digits", "--image-size", 16, "--trials", 3,
            "--max-epochs", 2, "--fix", "lr=0.01", "--name", name, "--no-dashboard", cwd=folder)  # fmt: skip
        paths = RunPaths.existing(folder / "runs" / name)
        trials = read_trials(paths)
        assert len(trials) == 3
        assert {trial.configuration["lr"] for trial in trials} == {0.01}
        assert all(expected in trial.configuration and trial.epochs for trial in trials)


def test_a_search_without_internet_takes_the_backbone_that_it_has(folder: Path) -> None:
    """ImageNet weights are left out and named, the bundled backbone is searched."""
    closed = {"KERAS_HOME": str(folder / "empty"), "https_proxy": "http://127.0.0.1:9"}
    printed = run("search.py", "--space", "finetune", "--data", "digits", "--trials", 1, "--max-epochs", 1,
                  "--name", "bundled", "--no-dashboard", cwd=folder, environment=closed)  # fmt: skip
    assert "Backbones: cifar_cnn. Left out, because their weights cannot be had" in printed
    (trial,) = read_trials(RunPaths.existing(folder / "runs" / "bundled"))
    assert trial.configuration["backbone"] == "cifar_cnn"


def test_a_search_begins_with_the_recipes_that_fit(folder: Path) -> None:
    printed = run("search.py", "--space", "custom_cnn", "--data", "digits", "--trials", 1, "--max-epochs", 1,
                  "--recipes", "all", "--fix", "blocks=2", "--name", "known", "--no-dashboard", cwd=folder)  # fmt: skip
    assert "Left out: recipe 000-cnn does not fit here: hyperparameter 'blocks' is 3 but must be 2" in printed
    assert "Left out: recipe 004-m4 does not fit here: hyperparameter 'batch_size' is 512 but must be one of" in printed
    (trial,) = read_trials(RunPaths.existing(folder / "runs" / "known"))
    assert (trial.configuration["dense_units"], trial.configuration["early_stopping"]) == (512, 10)


def test_a_time_budget_ends_the_search(folder: Path) -> None:
    run("search.py", "--space", "custom_cnn", "--data", "digits", "--trials", 50, "--max-epochs", 500, "--scheduler",
        "none", "--time-budget", "25s", "--name", "brief", "--no-dashboard", cwd=folder)  # fmt: skip
    paths = RunPaths.existing(folder / "runs" / "brief")
    trials = read_trials(paths)
    assert 1 <= len(trials) <= 4
    assert {trial.state for trial in trials} == {TrialState.INTERRUPTED}
    for kept in BestModels(paths.best).ranked():  # and no model is kept of an epoch that is not recorded
        assert trials[kept.trial].epochs[kept.epoch - 1].val_accuracy == kept.val_accuracy
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(paths.journal)))
    assert all(trial.state.is_finished() for trial in optuna.load_study(study_name="brief", storage=storage).trials)


def test_a_process_that_cannot_prepare_is_told_of_and_its_log_kept(folder: Path) -> None:
    """A library that does not load; the log says so."""
    (folder / "broken").mkdir()
    (folder / "broken" / "keras_tuner.py").write_text("raise ImportError('built for another processor')")
    command = [sys.executable, str(ROOT / "scripts" / "search.py"), "--space", "custom_cnn", "--data", "digits"]
    done = subprocess.run([*command, "--name", "unprepared", "--no-dashboard"], cwd=folder, text=True,
                          capture_output=True, env=os.environ | {"PYTHONPATH": str(folder / "broken")})  # fmt: skip
    assert done.returncode == 1
    assert "the process that prepares the study died" in done.stderr
    assert "search.log has the traceback" in done.stderr
    assert "built for another processor" in (folder / "runs" / "unprepared" / "search.log").read_text()
