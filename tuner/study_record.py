"""What is written down of a study when it begins."""

import dataclasses
import datetime
import importlib.metadata
import platform
import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import ray

from results.records import StudyRecord
from search_spaces.configuration import Configuration
from search_spaces.hyperparameter import Hyperparameter
from tuner.config import StudyConfig
from tuner.preparation import Preparation
from tuner.resumption import digest
from tuner.scheduler import rungs
from tuner.trainable import TrialSettings
from tuner.trial.datasets import ImageData

PACKAGES = ("thaw-tuner", "ray", "optuna", "keras", "keras-tuner", "tensorflow", "jax", "numpy")


def terms(
    config: StudyConfig, preparation: Preparation, space: Sequence[Hyperparameter], data: ImageData
) -> dict[str, Any]:
    """What has to be the same for all drivers of a study."""
    names = ("max_epochs", "scheduler", "grace_epochs", "reduction_factor", "max_parameters", "max_latency", "seed")
    return {name: getattr(config, name) for name in names} | {
        "space": digest(space),
        "images": data.fingerprint(),
        "backend of Keras": preparation.backend,
        "thaw-tuner": importlib.metadata.version("thaw-tuner"),
    }


def study_record(
    config: StudyConfig,
    data: ImageData,
    preparation: Preparation,
    settings: TrialSettings,
    space: Sequence[Hyperparameter],
    first: Sequence[Configuration],
) -> StudyRecord:
    """Of a study that begins now, with those configurations first."""
    return StudyRecord(
        name=config.paths.name,
        started=datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        command=_command(),
        options=config.options(),
        data=data.record(),
        versions={"python": platform.python_version(), "keras backend": preparation.backend} | _versions(),
        machine=machine(settings),
        hyperparameters=tuple(dict.fromkeys(hyperparameter.name for hyperparameter in preparation.hyperparameters)),
        declared=tuple(space),
        rungs=rungs(config)[:-1],
        precision=settings.precision,
        space=digest(space),
        code=preparation.code,
        first=tuple(first),
    )


def _command() -> str:
    """What began the study; a notebook's own command line would tell nothing."""
    is_program = hasattr(sys.modules["__main__"], "__file__")
    return shlex.join(["python", *sys.argv]) if is_program else "run_study, in Python"


def machine(settings: TrialSettings) -> dict[str, Any]:
    """Where it is searched."""
    return {
        "platform": platform.platform(),
        "ray": ray.cluster_resources(),
        "trial": dataclasses.asdict(settings.resources),
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
