"""One warm worker, trial after trial, driven as Ray drives it."""

import gc
import math
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import pytest

from results.best_models import BestModels
from results.paths import RunPaths
from search_spaces.configuration import complete
from search_spaces.custom_cnn import CustomCNN
from search_spaces.declaration import declared
from search_spaces.registry import SpaceSpec
from search_spaces.task import Task
from tuner.activity import Activity, read
from tuner.trainable import TrialSettings, WarmTrial
from tuner.trial import traced
from tuner.trial.datasets import ImageData
from tuner.trial.limits import Limits
from tuner.trial.resources import TrialResources

TASK = Task(16, 2, 40, max_epochs=2)


def config(trial: int, **given: Any) -> dict[str, Any]:
    quick = {"blocks": 1, "convs_per_block": 1, "filters": 16, "dense_layers": 0, "learning_rate": 0.01}
    return {"trial": trial, "configuration": complete(declared(CustomCNN(TASK)), quick | given)}


@pytest.fixture
def worker(two_colours: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WarmTrial]:
    # This process has computed already: TensorFlow takes no thread settings any more.
    monkeypatch.setattr("tuner.trainable.prepare_process", lambda resources: None)
    monkeypatch.setattr(gc, "freeze", lambda: None)
    spec = SpaceSpec("custom_cnn", TASK, {}, str(tmp_path))
    one = WarmTrial.__new__(WarmTrial)  # without Ray's own constructor, which wants a cluster
    one.config = config(0)
    settings = TrialSettings(
        spec, 0, TASK.max_epochs, "float32", TrialResources(1, 0, 1), RunPaths(tmp_path), tmp_path / "store", 1.0, 0,
        Limits(parameters=100_000),
    )  # fmt: skip
    for trial in range(50):
        settings.run.trial(trial).mkdir(parents=True)  # as Ray does
    one.setup(one.config, settings, two_colours)
    yield one
    one.cleanup()


def next_trial(worker: WarmTrial, configuration: dict[str, Any]) -> None:
    worker.config = configuration
    assert worker.reset_config(configuration)


def test_a_trial_ends_after_its_last_epoch_and_its_model_is_kept(worker: WarmTrial, tmp_path: Path) -> None:
    results = [worker.step(), worker.step()]
    assert [(result["epoch"], result["done"]) for result in results] == [(1, False), (2, True)]
    assert results[0]["parameters"] == 546
    assert [kept.trial for kept in BestModels(tmp_path / "best").ranked()] == [0]


def test_a_trial_goes_on_from_its_checkpoint(worker: WarmTrial, tmp_path: Path) -> None:
    whole = [worker.step(), worker.step()]
    next_trial(worker, config(1))
    worker.step()
    next_trial(worker, config(1))  # in the same process here, which knows nothing of it either
    known, rest = worker.step(), worker.step()
    assert (known["epoch"], known["done"], known["before"]) == (1, False, [])
    assert known["val_loss"] == pytest.approx(whole[0]["val_loss"], rel=1e-4)
    assert (rest["epoch"], rest["done"]) == (2, True)
    assert rest["val_loss"] == pytest.approx(whole[1]["val_loss"], rel=1e-4)


def test_a_trial_whose_checkpoint_is_damaged_begins_anew(worker: WarmTrial, tmp_path: Path) -> None:
    worker.step()
    RunPaths(tmp_path).checkpoint(0).write_bytes(b"PK")
    next_trial(worker, config(0))
    assert worker.step()["epoch"] == 1


def test_an_epoch_that_cannot_be_kept_is_not_reported(worker: WarmTrial, tmp_path: Path) -> None:
    folder = RunPaths(tmp_path).trial(0)
    folder.rmdir()
    folder.write_text("no folder")
    assert worker.step()["unwritable"] == f"{folder / '.unfinished-'}{os.getpid()}-checkpoint.npz: Not a directory"


def test_every_twentieth_trial_also_forgets_what_makes_it_faster(
    worker: WarmTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.step()
    asked: list[bool] = []
    monkeypatch.setattr("tuner.trainable.clear_process", asked.append)
    for trial in range(1, 41):
        next_trial(worker, config(trial))
    assert [trial for trial, is_thorough in enumerate(asked, start=2) if is_thorough] == [20, 40]


def test_a_failed_trial_leaves_the_worker_as_warm_as_it_was(worker: WarmTrial) -> None:
    worker.config["configuration"] = config(0)["configuration"] | {"optimizer": "sgd", "learning_rate": 1e30}
    result = worker.step()
    assert "diverged" in result["failure"]
    assert result["done"]
    assert math.isnan(result["val_accuracy"])
    next_trial(worker, config(1))
    assert worker.step()["epoch"] == 1


@pytest.mark.parametrize(("gpus", "alone", "again"), [(0.5, False, True), (0.5, True, False), (1, False, False)])
def test_out_of_memory_on_a_shared_gpu_is_worth_a_second_try(
    worker: WarmTrial, monkeypatch: pytest.MonkeyPatch, gpus: float, alone: bool, again: bool
) -> None:
    def greedy(space: CustomCNN, *arguments: Any, **options: Any) -> Any:
        raise MemoryError("no room")

    monkeypatch.setattr(CustomCNN, "fit", greedy)
    worker._settings = replace(worker._settings, resources=TrialResources(1, gpus, 2))
    worker.config |= {"alone": True} if alone else {}
    result = worker.step()
    assert result["failure"] == "out of memory: no room"
    assert result.get("again", False) == again


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the graphs are TensorFlow's")
def test_the_graphs_of_older_trials_are_let_go(worker: WarmTrial, monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow keeps traced graphs for ever unless it is told: 8 MB a trial."""
    monkeypatch.setattr(traced, "MOST_MODELS", 1)
    counts = []
    for trial in range(6):
        worker.step()
        next_trial(worker, config(trial + 1, filters=16 * (1 + trial % 2)))
        counts.append(sum(type(one).__name__ == "FuncGraph" and "step" in one.name for one in gc.get_objects()))
    assert counts[3] == counts[-1] > 0  # the first two are timed, which leaves graphs to collect


def test_a_trial_that_ends_by_itself_repeats_its_last_result(
    worker: WarmTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_epoch(space: CustomCNN, hp: Any, model: Any, x: Any, y: Any, **options: Any) -> Any:
        return model.fit(x, y, **options | {"epochs": 1})

    monkeypatch.setattr(CustomCNN, "fit", one_epoch)
    first, second = worker.step(), worker.step()
    assert not first["done"]
    assert second == first | {"ended": True, "done": True}


def test_a_model_beyond_a_limit_is_not_trained(worker: WarmTrial) -> None:
    next_trial(worker, config(1, dense_layers=1, dense_units=512, filters=64, pooling="flatten"))
    assert worker.step() == {
        "infeasible": "more than --max-parameters 100,000", "val_accuracy": pytest.approx(math.nan, nan_ok=True),
        "done": True, "parameters": 2_100_738, "value": 2_100_738,
    }  # fmt: skip
    next_trial(worker, config(2))
    result = worker.step()
    assert (result["epoch"], result["done"]) == (1, False)
    assert 4 * result["parameters"] == result["file_bytes"] < 400_000
    assert result["latency"] > 0


@pytest.mark.parametrize(("left", "most"), [(0.0, 100.0), (100.0, 0.0), (0.0, None)])
def test_a_trial_that_would_not_reach_its_first_rung_ends_after_some_steps(
    worker: WarmTrial, monkeypatch: pytest.MonkeyPatch, left: float, most: float | None
) -> None:
    for name in ("STEPS", "SECONDS"):
        monkeypatch.setattr(f"tuner.trial.pace.{name}", 0)
    next_trial(worker, config(0) | {"left": left} | ({} if most is None else {"most": most}))
    result = worker.step()
    assert result["too_long"] > 0
    assert result["to_epoch"] == 1
    assert result["done"]
    assert math.isnan(result["val_accuracy"])
    assert result["parameters"] == 546
    next_trial(worker, config(1) | {"left": 1000.0, "most": 1000.0})
    assert [worker.step()["epoch"], worker.step()["epoch"]] == [1, 2]


def test_a_worker_says_what_it_does(worker: WarmTrial, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(Activity, "_write", lambda self, what, share=None: said.append(what))
    worker.step()
    worker.step()
    assert list(dict.fromkeys(said)) == [
        "loading Keras",
        "building the model",
        "measuring the model",
        "epoch 1",
        "epoch 2",
    ]
    assert said.count("epoch 1") > 2, "and each step"


def test_what_a_worker_does_is_in_its_trials_folder_only(worker: WarmTrial, tmp_path: Path) -> None:
    worker.step()
    assert read(RunPaths(tmp_path).activity(0)) is not None
    next_trial(worker, config(1))
    worker.step()
    assert (read(RunPaths(tmp_path).activity(1)) or "").startswith("epoch 1")


def test_a_worker_says_of_how_many_images_it_computes_features(worker: WarmTrial) -> None:
    worker.step()
    worker.step()
    assert worker._features is not None
    next_trial(worker, config(1))
    worker._features.images = 2493
    worker._tell_of_features(0.4)
    assert read(worker._settings.run.activity(1)) == "computing features of 2,493 images, 40 %"
