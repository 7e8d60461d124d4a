"""Which run a search goes on with, and what of it may be another than before."""

import dataclasses
import datetime
import hashlib
import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from results.paths import RunPaths
from results.records import StudyRecord, read_study
from search_spaces.errors import UserError
from search_spaces.hyperparameter import Hyperparameter
from tuner.config import StudyConfig
from tuner.preparation import Preparation

MAY_CHANGE = (
    "trials", "time_budget", "max_failures", "trial_timeout", "concurrency", "cpus_per_trial", "gpus_per_trial",
    "feature_store", "feature_store_gb", "finalists", "finalist_seeds", "retrain", "data", "weights", "address",
    "dashboard", "name", "storage",
)  # fmt: skip
"""Options: how much is searched and where, but not what. Images have to be the same; their folder may be another."""
ANEW = "python scripts/search.py --warm-start RUN begins a new study that knows its trials"


def resumed(given: Mapping[str, Any]) -> StudyConfig:
    """The options of a run that is there, but for those that are given anew; `name` and `storage` say which.

    Raises:
        UserError: no such run, one of another version, or an option that may not change.
    """
    paths = _run(given.get("name"), given.get("storage", StudyConfig.storage))
    study = read_study(paths)
    _check_version(paths, study)
    config = StudyConfig.of(study, paths, **given)
    before, now = _plain(study.options), _plain(config.options())
    for option in given.keys() - set(MAY_CHANGE):
        if before.get(option) != now[option]:
            raise UserError(
                f"--{option.replace('_', '-')} {now[option]}: the study was begun with {before.get(option)}, which "
                "cannot change, or its trials could not be compared. These may: "
                f"{', '.join('--' + name.replace('_', '-') for name in MAY_CHANGE[:-2])}. {ANEW}"
            )
    return dataclasses.replace(config, precision=study.precision)


def taken_up(config: StudyConfig, preparation: Preparation, space: Sequence[Hyperparameter]) -> StudyRecord:
    """The study's record, from now on with these options.

    Raises:
        UserError: the space is not the one that was searched, or another library trains.
    """
    study = read_study(config.paths)
    backend = study.versions.get("keras backend")
    if backend != preparation.backend:
        raise UserError(
            f"--resume {config.paths.name}: its trials were trained by Keras on {backend}, which KERAS_BACKEND says; "
            f"now it is {preparation.backend}"
        )
    if study.space != digest(space):
        raise UserError(
            f"--resume {config.paths.name}: --space {config.space} declares other hyperparameters or ranges now: its "
            f"code has changed, or the weights of other backbones are there. Bring back what was there, or: {ANEW}"
        )
    options = config.options() | {"precision": study.options["precision"]}
    now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    return dataclasses.replace(study, options=options, resumed=(*study.resumed, now))


def digest(space: Sequence[Hyperparameter]) -> str:
    """A few letters that tell one declared space from another."""
    return hashlib.sha256(repr(tuple(space)).encode()).hexdigest()[:16]


def _run(name: str | None, storage: Path) -> RunPaths:
    if name is None:
        runs = sorted(file.parent.name for file in storage.expanduser().glob("*/study.json"))
        raise UserError(f"--resume: --name says which run; {storage} has {', '.join(runs) or 'none'}")
    paths = RunPaths.of(storage, name)
    return RunPaths.existing(paths.root)


def _check_version(paths: RunPaths, study: StudyRecord) -> None:
    own, its = importlib.metadata.version("thaw-tuner"), study.versions.get("thaw-tuner")
    if own != its:
        raise UserError(
            f"--resume {paths.name}: it was begun with thaw-tuner {its}, and this is {own}: install that one to go on, "
            f"or: {ANEW}"
        )


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON has them."""
    found: dict[str, Any] = json.loads(json.dumps(dict(options), default=str))
    return found
