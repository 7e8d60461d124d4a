"""Which run a search goes on with, and what of it may be another than before."""

import dataclasses
import datetime
import hashlib
import importlib.metadata
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from results import commands
from results.paths import RunPaths, runs_in
from results.records import UNCOUNTED, StudyRecord, read_known, read_study, read_trials
from results.remote import existing_run, is_stored
from results.run_files import ObjectFiles, is_uri
from results.wording import duration
from search_spaces.configuration import complete
from search_spaces.errors import UserError
from search_spaces.hyperparameter import Hyperparameter
from tuner.clock import searched
from tuner.config import UNTRUSTED, StudyConfig
from tuner.options import flag
from tuner.preparation import Preparation

MAY_CHANGE = (
    "trials", "time_budget", "max_failures", "trial_timeout", "concurrency", "cpus_per_trial", "gpus_per_trial",
    "feature_store", "feature_store_gb", "finalists", "finalist_seeds", "retrain", "data", "leave_out", "strict",
    "weights", "address", "dashboard", "monitor", "tensorboard", "mlflow",
)  # fmt: skip
"""Options: how much is searched and where, but not what. Images have to be the same; their folder may be another."""
ANEW = f"{commands.search(warm_start='RUN')} begins a new study that knows its trials"


def resumed(given: Mapping[str, Any]) -> StudyConfig:
    """The options of a run that is there, but for those that are given anew; `name` and `storage` say which.

    Raises:
        UserError: no such run, one of another version, or as `StudyConfig.of`.
    """
    paths = _run(given.get("name"), str(given.get("storage", StudyConfig.storage)))
    study = read_study(paths)
    _check_version(paths, study)
    if (url := study.options.get("study_storage")) and "study_storage" not in given:
        raise UserError(
            f"--resume {paths.name}: its study is in a database, to which this machine would connect now. If you trust "
            f"it, name it again: --study-storage {url}"
        )
    config = StudyConfig.of(study, paths, given, MAY_CHANGE)
    before = read_trials(paths)
    spent, counted = searched(before), sum(trial.state not in UNCOUNTED for trial in before)
    if "time_budget" in given and config.time_budget is not None and config.time_budget <= spent:
        raise UserError(
            f"--time-budget {duration(config.time_budget)}: it counts all sessions of the search, which has taken "
            f"{duration(spent)} already; give more, or none"
        )
    if "trials" in given and config.trials < counted:
        raise UserError(f"--trials {config.trials}: it counts all of the run's trials, and there are {counted} already")
    return config


def not_given_again(study: StudyRecord, config: StudyConfig) -> list[str]:
    """What to tell of options that its record has, and that are not taken from there."""
    left = [name for name in UNTRUSTED if study.options.get(name) and not getattr(config, name)]
    return [f"Note: {flag(name)} {study.options[name]} is not given again, so it goes on without" for name in left]


def taken_up(config: StudyConfig, preparation: Preparation, space: Sequence[Hyperparameter]) -> StudyRecord:
    """The study's record, from now on with these options.

    Raises:
        UserError: the space is not the one that was searched, another library trains, or a record is damaged.
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
    _check_configurations(config.paths, space, study)
    options = config.options() | {"precision": study.options.get("precision", "auto")}
    now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    return dataclasses.replace(study, options=options, declared=tuple(space), resumed=(*study.resumed, now))


def changed_code(study: StudyRecord, preparation: Preparation) -> str | None:
    """What to say if the file of the user's space is another one than before."""
    if study.code == preparation.code:
        return None
    return (
        f"Note: the file of --space {preparation.spec.name} is another one than before: if that changes models or "
        "their training, trials from before and after are not alike"
    )


def digest(space: Sequence[Hyperparameter]) -> str:
    """A few letters that tell one declared space from another."""
    return hashlib.sha256(repr(tuple(space)).encode()).hexdigest()[:16]


def _run(name: str | None, storage: str) -> RunPaths:
    if name is None:
        raise UserError(f"--resume: --name says which run; {storage} has {_listed(storage)}")
    paths = RunPaths.of(storage, name)
    is_here = os.path.lexists(paths.root)
    if not is_here and not (paths.remote and is_stored(paths)):
        raise UserError(f"--resume --name {name}: there is no such run; {storage} has {_listed(storage)}")
    return existing_run(paths.place)


def _listed(storage: str) -> str:
    return ", ".join(_runs(storage)) or "none"


def _runs(storage: str) -> list[str]:
    if is_uri(storage):
        names = [PurePosixPath(file.name) for file in ObjectFiles(storage, patience=0).all()]
        return [name.parts[0] for name in names if name.parts[1:] == ("study.json",)]
    return runs_in(Path(storage).expanduser())


def _check_configurations(paths: RunPaths, space: Sequence[Hyperparameter], study: StudyRecord) -> None:
    """All that the searcher will be told of are configurations of the space."""
    said = [(paths.study, configuration) for configuration in study.first]
    said += [(paths.known, trial.configuration) for trial in read_known(paths)]
    said += [(paths.trial_record(trial.trial), trial.configuration) for trial in read_trials(paths)]
    for file, configuration in said:
        try:
            missing = complete(space, configuration).keys() - configuration.keys()
        except UserError as error:
            raise UserError(f"{file} is damaged: {error}") from error
        if missing:
            raise UserError(f"{file} is damaged: a configuration has no {', '.join(sorted(missing))}")


def _check_version(paths: RunPaths, study: StudyRecord) -> None:
    own, its = importlib.metadata.version("thaw-tuner"), study.versions.get("thaw-tuner")
    if own != its:
        raise UserError(
            f"--resume {paths.name}: it was begun with thaw-tuner {its}, and this is {own}: install that one to go on, "
            f"or: {ANEW}"
        )
