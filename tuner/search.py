"""The search itself: check and prepare what it needs, run the trials."""

import dataclasses
import datetime
import importlib.metadata
import platform
import shlex
import sys
import time
from contextlib import suppress
from typing import TextIO

import ray

from results.records import StudyRecord, write
from results.wording import counted
from search_spaces.configuration import fixed
from tuner.config import StudyConfig
from tuner.experiment import run_trials
from tuner.first_trials import first_configurations
from tuner.monitor import Monitor
from tuner.preparation import Preparation
from tuner.proposal.deadline import Deadline
from tuner.proposal.proposer import Proposer
from tuner.recorder import Recorder
from tuner.scheduler import create_scheduler, rungs
from tuner.searcher import StudySearcher, create_study
from tuner.settings import trial_settings
from tuner.trainable import TrialSettings
from tuner.trial.datasets import ImageData
from tuner.warm_start import warm_start

PACKAGES = ("thaw-tuner", "ray", "optuna", "keras", "keras-tuner", "tensorflow", "jax", "numpy")


def search(config: StudyConfig, data: ImageData, preparation: Preparation, terminal: TextIO) -> TrialSettings:
    """Run all trials on the Ray cluster of this process into the run directory, and show them on `terminal`.

    Returns:
        How they were trained.

    Raises:
        UserError: something cannot be used; then no trial has started.
    """
    hyperparameters = fixed(preparation.hyperparameters, config.fix)
    first = first_configurations(config, hyperparameters, terminal)
    proposer = Proposer(hyperparameters, rungs(config), config.seed, config.limits().given())
    warm_start(config, hyperparameters, data.record(), proposer, terminal)
    settings = trial_settings(config, preparation, hyperparameters, data, terminal)
    write(config.paths.study, _record(config, data, preparation, settings))
    searcher = StudySearcher(
        create_study(config.paths.journal, config.paths.name),
        hyperparameters,
        proposer,
        Deadline(hyperparameters, rungs(config)[0], config.time_budget, settings.resources.concurrency),
        first,
        config.max_epochs,
        settings.resources.concurrency,
        config.trials,
    )
    began = time.monotonic()
    with Monitor(config.paths.name, config.trials, config.max_epochs, terminal, config.time_budget) as monitor:
        recorder = Recorder(config.paths, config.max_epochs, monitor.changed, monitor.say)
        try:
            run_trials(config.paths, searcher, create_scheduler(config), recorder, settings, data, config.time_budget)
        finally:
            searcher.close()
    if searcher.left_out:
        print(f"Left out: {counted(searcher.left_out, 'given configuration')} would not have reached the first rung in "
              "the time that was left", file=terminal, flush=True)  # fmt: skip
    is_time_up = config.time_budget is not None and time.monotonic() - began >= config.time_budget
    if why := searcher.ended_early or (
        "the --time-budget is spent; what still ran was stopped" if is_time_up else None
    ):
        print(f"Ended early: {why}", file=terminal, flush=True)
    return settings


def _record(config: StudyConfig, data: ImageData, preparation: Preparation, settings: TrialSettings) -> StudyRecord:
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
            "trial": dataclasses.asdict(settings.resources) | {"precision": settings.precision},
        },
        hyperparameters=tuple(dict.fromkeys(hyperparameter.name for hyperparameter in preparation.hyperparameters)),
        rungs=rungs(config)[:-1],
    )


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
