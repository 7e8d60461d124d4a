"""The search itself: check and prepare what it needs, run the trials."""

import dataclasses
import datetime
import importlib.metadata
import math
import os
import platform
import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TextIO

import ray
from ray import tune

from results.paths import trial_name
from results.records import StudyRecord, write
from results.wording import counted
from search_spaces.configuration import fixed
from search_spaces.hyperparameter import Hyperparameter
from search_spaces.registry import SpaceSpec
from tuner.config import StudyConfig
from tuner.first_trials import first_configurations
from tuner.monitor import Monitor
from tuner.packing import TRIED, configurations, measure, slots
from tuner.preparation import Preparation
from tuner.proposal.deadline import Deadline
from tuner.proposal.proposer import Proposer
from tuner.recorder import Recorder
from tuner.scheduler import create_scheduler, rungs
from tuner.searcher import StudySearcher, create_study
from tuner.trainable import TrialSettings, WarmTrial
from tuner.trial.datasets import ImageData
from tuner.trial.limits import Limits
from tuner.trial.precision import dtype_policy, measured_here
from tuner.trial.resources import TrialResources, share_out
from tuner.warm_start import warm_start

PACKAGES = ("thaw-tuner", "ray", "optuna", "keras", "keras-tuner", "tensorflow", "jax", "numpy")


def search(config: StudyConfig, data: ImageData, preparation: Preparation, terminal: TextIO) -> None:
    """Run all trials on the Ray cluster of this process into the run directory, and show them on `terminal`.

    Raises:
        UserError: something cannot be used; then no trial has started.
    """
    resources = _shared_out(config, config.gpus_per_trial)
    hyperparameters = fixed(preparation.hyperparameters, config.fix)
    first = first_configurations(config, hyperparameters, terminal)
    limits = Limits(config.max_parameters, config.max_latency)
    proposer = Proposer(hyperparameters, rungs(config), config.seed, limits.given())
    warm_start(config, hyperparameters, data.record(), proposer, terminal)
    precision = _precision(config, preparation, resources)
    if resources.gpus and config.gpus_per_trial is None:
        policy = dtype_policy(precision)
        resources = _packed(config, preparation.spec, hyperparameters, data, policy, resources, terminal)
    print(f"{counted(resources.concurrency, 'trial')} at a time, in {precision}", file=terminal, flush=True)
    write(config.paths.study, _record(config, data, preparation, resources, precision))
    searcher = StudySearcher(
        create_study(config.paths.journal, config.paths.name),
        hyperparameters,
        proposer,
        Deadline(hyperparameters, rungs(config)[0], config.time_budget, resources.concurrency),
        first,
        config.max_epochs,
        resources.concurrency,
        config.trials,
    )
    settings = TrialSettings(
        preparation.spec, config.seed, config.max_epochs, dtype_policy(precision), resources, config.paths.best,
        config.feature_store, config.feature_store_gb, config.views, limits,
    )  # fmt: skip
    began = time.monotonic()
    _run_trials(config, searcher, tune.with_parameters(WarmTrial, settings=settings, data=data), settings, terminal)
    if searcher.left_out:
        print(f"Left out: {counted(searcher.left_out, 'given configuration')} would not have reached the first rung in "
              "the time that was left", file=terminal, flush=True)  # fmt: skip
    is_time_up = config.time_budget is not None and time.monotonic() - began >= config.time_budget
    if why := searcher.ended_early or (
        "the --time-budget is spent; what still ran was stopped" if is_time_up else None
    ):
        print(f"Ended early: {why}", file=terminal, flush=True)


def _shared_out(config: StudyConfig, gpus: float | None) -> TrialResources:
    return share_out(ray.cluster_resources(), config.cpus_per_trial, gpus, config.concurrency, config.trials)


def _packed(
    config: StudyConfig,
    spec: SpaceSpec,
    space: Sequence[Hyperparameter],
    data: ImageData,
    policy: str,
    alone: TrialResources,
    terminal: TextIO,
) -> TrialResources:
    """As many trials on each GPU as its memory holds; some are tried for it on one."""
    measuring = ray.remote(num_cpus=alone.cpus, num_gpus=1, max_calls=1)(measure)
    tried = configurations(space, config.seed)
    images, labels = data.train_images[:TRIED], data.train_labels[:TRIED]
    found = ray.get(measuring.remote(spec, tried, images, labels, policy, alone))
    if found is None:
        return alone
    available = ray.cluster_resources()
    count = slots(found, available["CPU"] / available["GPU"])
    print(f"A trial takes up to {found.peak / 1e9:.1f} of a GPU's {found.total / 1e9:.0f} GB: {count} on each",
          file=terminal, flush=True)  # fmt: skip
    return _shared_out(config, math.floor(1e4 / count) / 1e4)  # Ray rounds shares to so many digits


def _run_trials(
    config: StudyConfig, searcher: StudySearcher, trainable: Any, settings: TrialSettings, terminal: TextIO
) -> None:
    resources = settings.resources
    # By default Ray waits for each worker to be ready before it starts the next; our searcher keeps the limit itself.
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(resources.concurrency)
    with Monitor(config, terminal) as monitor:
        recorder = Recorder(config.paths, config.max_epochs, monitor.changed, monitor.say)
        tuner = tune.Tuner(
            tune.with_resources(trainable, partial(_resources, resources)),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=create_scheduler(config),
                num_samples=-1,  # the searcher ends it
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


def _resources(common: TrialResources, config: dict[str, Any]) -> tune.PlacementGroupFactory:
    """Of one trial: all of a GPU for one that is to be alone, which takes a new worker and ends the others' ones."""
    return tune.PlacementGroupFactory([{"CPU": common.cpus, "GPU": 1.0 if config.get("alone") else common.gpus}])


def _name(trial: tune.experiment.Trial) -> str:
    return trial_name(trial.config["trial"])


def _precision(config: StudyConfig, preparation: Preparation, resources: TrialResources) -> str:
    """That of all trials. On processors the preparation has measured it; a GPU is measured where trials will run."""
    if config.precision != "auto":
        return config.precision
    if not resources.gpus:
        assert preparation.precision is not None
        return preparation.precision
    measure = ray.remote(num_cpus=resources.cpus, num_gpus=resources.gpus, max_calls=1)(measured_here)
    return ray.get(measure.remote(resources))


def _record(
    config: StudyConfig, data: ImageData, preparation: Preparation, resources: TrialResources, precision: str
) -> StudyRecord:
    return StudyRecord(
        name=config.paths.name,
        started=datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        command=shlex.join(["python", *sys.argv]),
        options=config.options(),
        data=data.record(),
        versions={"python": platform.python_version(), "keras backend": preparation.backend} | _versions(),
        machine={
            "platform": platform.platform(),
            "ray": ray.cluster_resources(),
            "trial": dataclasses.asdict(resources) | {"precision": precision},
        },
        hyperparameters=tuple(dict.fromkeys(hyperparameter.name for hyperparameter in preparation.hyperparameters)),
    )


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
