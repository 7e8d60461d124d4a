"""The search itself: check and prepare what it needs, run the trials."""

import dataclasses
import datetime
import importlib.metadata
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

import keras_tuner
import ray
from keras_tuner.engine.hyperparameters import HyperParameter
from ray import tune

from results.paths import trial_name
from results.records import StudyRecord, write
from search_spaces import registry
from search_spaces.backbones import check_names, check_weights, find_weights
from search_spaces.configuration import Configuration
from search_spaces.errors import UserError
from search_spaces.hyperparameters import complete
from search_spaces.space import Task
from tuner import datasets
from tuner.config import StudyConfig, read_configurations
from tuner.discovery import declared, discovered
from tuner.monitor import Monitor
from tuner.recorder import Recorder
from tuner.resources import TrialResources, dtype_policy, share_out
from tuner.scheduler import create_scheduler
from tuner.searcher import StudySearcher, create_study
from tuner.trainable import TrialSettings, WarmTrial

PACKAGES = ("thaw-tuner", "ray", "optuna", "keras", "keras-tuner", "tensorflow", "numpy")


@dataclass(frozen=True)
class Materials:
    """What a search needs besides its options."""

    data: datasets.ImageData
    space: keras_tuner.HyperModel
    hyperparameters: Sequence[HyperParameter]
    first: Sequence[Configuration]
    """Configurations to evaluate before any other: those of --configs, else the default one."""


def search(config: StudyConfig, data: datasets.ImageData, terminal: TextIO) -> None:
    """Run all trials on the Ray cluster of this process into the run directory, and show them on `terminal`.

    Raises:
        UserError: something cannot be used; then no trial has started.
    """
    space = _space(config, data)
    resources = share_out(
        ray.cluster_resources(), config.cpus_per_trial, config.gpus_per_trial, config.concurrency, config.trials
    )
    hyperparameters = _hyperparameters(space)
    materials = Materials(data, space, hyperparameters, _first(config, hyperparameters))
    write(config.paths.study, _record(config, materials, resources))
    _run_trials(config, materials, resources, Monitor(config, terminal))


def load_weights(config: StudyConfig) -> dict[str, str | None]:
    """Where each backbone of the study has its weights from, all of them loaded once to see that they fit.

    Raises:
        Unavailable: ImageNet weights that are neither cached nor downloadable.
        UserError: an unknown backbone, no such file, or weights of another architecture.
    """
    if config.space != "finetune":
        return {}
    check_names(config.backbones)
    weights = find_weights(config.weights, config.backbones)
    check_weights(weights)
    return weights


def _space(config: StudyConfig, data: datasets.ImageData) -> keras_tuner.HyperModel:
    task = Task(data.image_size, len(data.class_names), len(data.train_labels), config.max_epochs)
    offered = {"task": task, "input_shape": task.input_shape, "classes": task.classes, "weights": load_weights(config)}
    return registry.create(config.space, **offered)


def _hyperparameters(space: keras_tuner.HyperModel) -> list[HyperParameter]:
    if hasattr(space, "declare"):
        return declared(space)
    try:
        return ray.get(ray.remote(discovered).remote(space))
    except ray.exceptions.RayTaskError as error:
        raise UserError(f"--space: the model of the default configuration cannot be built: {error.cause}") from error


def _first(config: StudyConfig, hyperparameters: Sequence[HyperParameter]) -> list[Configuration]:
    if config.configs is None:  # as KerasTuner does: the space's author chose the defaults because they work
        return [complete(hyperparameters, {})]
    given = read_configurations(config.configs)
    if len(given) > config.trials:
        raise UserError(
            f"--configs {config.configs} has {len(given)} configurations but --trials is {config.trials}: "
            "they count among the trials, so ask for at least as many"
        )
    first = []
    for number, partial in enumerate(given, start=1):
        try:
            first.append(complete(hyperparameters, partial))
        except UserError as error:
            raise UserError(f"--configs {config.configs}, configuration {number}: {error}") from error
    return first


def _run_trials(config: StudyConfig, materials: Materials, resources: TrialResources, monitor: Monitor) -> None:
    settings = TrialSettings(
        config.seed, config.max_epochs, dtype_policy(config.precision, resources.gpus), resources, config.paths.best
    )
    searcher = StudySearcher(
        create_study(config.paths.journal, config.paths.name, config.seed),
        materials.hyperparameters,
        materials.first,
        config.max_epochs,
        resources.concurrency,
    )
    trainable = tune.with_parameters(WarmTrial, settings=settings, space=materials.space, data=materials.data)
    # By default Ray waits for each worker to be ready before it starts the next; our searcher keeps the limit itself.
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(resources.concurrency)
    with monitor:
        recorder = Recorder(config.paths, config.max_epochs, monitor.changed)
        tuner = tune.Tuner(
            tune.with_resources(trainable, {"CPU": resources.cpus, "GPU": resources.gpus}),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=create_scheduler(config),
                num_samples=config.trials,
                time_budget_s=config.time_budget,
                reuse_actors=True,
                trial_name_creator=_name,
                trial_dirname_creator=_name,
            ),
            run_config=tune.RunConfig(
                name=config.paths.trials.name,
                storage_path=str(config.paths.root),
                callbacks=[recorder],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                verbose=0,
            ),
        )
        try:
            tuner.fit()
        finally:
            searcher.close()
            recorder.close()


def _name(trial: tune.experiment.Trial) -> str:
    return trial_name(trial.config["trial"])


def _record(config: StudyConfig, materials: Materials, resources: TrialResources) -> StudyRecord:
    installed = {distribution.metadata["Name"].lower() for distribution in importlib.metadata.distributions()}
    return StudyRecord(
        name=config.paths.name,
        started=datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        command=shlex.join(["python", *sys.argv]),
        options=config.options(),
        data=materials.data.record(),
        versions={"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in PACKAGES if name in installed},
        machine={
            "platform": platform.platform(),
            "ray": ray.cluster_resources(),
            "trial": dataclasses.asdict(resources),
        },
        hyperparameters=tuple(dict.fromkeys(hyperparameter.name for hyperparameter in materials.hyperparameters)),
    )
