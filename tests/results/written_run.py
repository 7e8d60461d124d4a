"""A run directory written by hand, through the same records that the tuner writes."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from results.best_models import BestModels
from results.evaluation import evaluate
from results.examples import save_examples
from results.paths import RunPaths
from results.records import (
    DataRecord,
    EpochRecord,
    StudyRecord,
    TestOpening,
    TestRecord,
    TrialRecord,
    TrialState,
    read_study,
    write,
)

HYPERPARAMETERS = ("optimizer", "learning_rate", "momentum", "units")


def a_trial(
    number: int,
    accuracies: Sequence[float] = (),
    state: TrialState = TrialState.DONE,
    reason: str | None = None,
    **configuration: Any,
) -> TrialRecord:
    """A trial that started ten seconds after the one before it, with an epoch a second."""
    began = 10.0 * number
    epochs = tuple(
        EpochRecord(epoch, 1.0, accuracy, 1.0, accuracy, seconds=1.0, ended=began + epoch)
        for epoch, accuracy in enumerate(accuracies, start=1)
    )
    return TrialRecord(
        number,
        state,
        {"optimizer": "adam", "learning_rate": 0.001, "units": 64} | configuration,
        began,
        seconds=1.25 * len(epochs),
        epochs=epochs,
        parameters=12345 if epochs else None,
        file_bytes=49380 if epochs else None,
        latency=1.25 if epochs else None,
        reason=reason,
    )


def many_trials(number: int = 12) -> list[TrialRecord]:
    """Trials whose accuracy depends on the optimizer alone; momentum is active with one of the two."""
    return [
        a_trial(
            each,
            (0.3, 0.9 - each / 1000) if each % 2 else (0.1,),
            TrialState.DONE if each % 2 else TrialState.STOPPED,
            learning_rate=10.0 ** -(1 + each % 5),
            **({"optimizer": "sgd", "momentum": each / 20} if each % 2 else {}),
        )
        for each in range(number)
    ]


def write_run(
    root: Path,
    trials: Sequence[TrialRecord],
    hyperparameters: tuple[str, ...] = HYPERPARAMETERS,
    class_names: tuple[str, ...] = ("cat", "dog"),
    skipped: tuple[str, ...] = (),
) -> RunPaths:
    """Write the study's and the trials' records."""
    paths = RunPaths(root)
    for trial in trials:
        paths.trial(trial.trial).mkdir(parents=True)
        write(paths.trial_record(trial.trial), trial)
    root.mkdir(exist_ok=True)
    study = StudyRecord(
        name=paths.name,
        started="2026-01-02T03:04:05+00:00",
        command="python scripts/search.py --data pets",
        options={"data": "pets", "time_budget": None, "backbones": ["vgg16", "resnet50"]},
        data=DataRecord("pets", 96, class_names, 1400, 300, 300, "0123456789abcdef", skipped),
        versions={"python": "3.11.7"},
        machine={"platform": "Linux", "ray": {"CPU": 2.0, "memory": 2.0**34}},
        hyperparameters=hyperparameters,
        precision="float32",
    )
    write(paths.study, study)
    return paths


def keep_model(paths: RunPaths, trial: TrialRecord) -> None:
    """As if the search had kept the model of its last epoch."""
    paths.best.mkdir(exist_ok=True)
    epoch = trial.epochs[-1]
    BestModels(paths.best).offer(
        trial.trial, {"epoch": epoch.epoch, "val_accuracy": epoch.val_accuracy}, lambda file: file.touch()
    )


def decide(paths: RunPaths, trials: Sequence[TrialRecord], images: int = 60) -> None:
    """As if these trials had been the finalists, on two seeds each, and the first of them had met the test split."""
    for number, (trial, seed) in enumerate((trial, seed) for trial in trials for seed in (1, 2)):
        again = replace(trial, trial=number, state=TrialState.DONE, seed=seed)
        paths.finalists.trial(number).mkdir(parents=True)
        write(paths.finalists.trial_record(number), again)
    study, rng = read_study(paths), np.random.default_rng(0)
    classes = len(study.data.class_names)
    labels = rng.integers(0, classes, images)
    scores = rng.random((images, classes)) + 0.7 * np.eye(classes)[labels]
    probabilities = scores / scores.sum(axis=1, keepdims=True)
    pictures = rng.integers(0, 256, (images, 8, 8, 3), dtype=np.uint8)
    examples = save_examples(paths.examples, pictures, labels, probabilities)
    opening = TestOpening("2026-01-03T03:04:05+00:00", "finalists/best/trial-0000.keras")
    write(paths.study, replace(study, test_openings=(opening,)))
    found = evaluate(labels, probabilities)
    write(paths.test, TestRecord(opening.opened, trials[0].trial, opening.model, False, found, examples))
