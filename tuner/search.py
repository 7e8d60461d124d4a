"""The search itself: check and prepare what it needs, run the trials."""

import dataclasses
import datetime
import importlib.metadata
import platform
import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TextIO

import ray

from results.paths import RunPaths
from results.records import (
    TO_GO_ON,
    KnownTrials,
    StudyRecord,
    TrialRecord,
    TrialState,
    read_known,
    read_trials,
    write,
)
from results.whole_file import remove_unfinished
from results.wording import counted, duration
from search_spaces.configuration import Configuration, fixed
from search_spaces.hyperparameter import Hyperparameter
from tuner.clock import StudyClock, searched
from tuner.config import StudyConfig
from tuner.ending import Ending
from tuner.experiment import run_trials
from tuner.first_trials import first_configurations
from tuner.journal import create_study, restore
from tuner.monitor import Monitor
from tuner.preparation import Preparation
from tuner.proposal.deadline import Deadline
from tuner.proposal.proposer import Proposer
from tuner.proposal.suggestion import Suggestions
from tuner.recorder import Recorder
from tuner.replay import attempts, replay
from tuner.resumption import changed_code, digest, taken_up
from tuner.retries import Retries
from tuner.scheduler import create_scheduler, rungs
from tuner.searcher import StudySearcher
from tuner.settings import trial_settings
from tuner.trainable import TrialSettings
from tuner.trial.datasets import ImageData
from tuner.warm_start import tell, warm_start

PACKAGES = ("thaw-tuner", "ray", "optuna", "keras", "keras-tuner", "tensorflow", "jax", "numpy")


def search(
    config: StudyConfig, data: ImageData, preparation: Preparation, terminal: TextIO, is_resumed: bool = False
) -> TrialSettings:
    """Run all trials on the Ray cluster of this process into the run directory, and show them on `terminal`.

    Returns:
        How they were trained.

    Raises:
        UserError: something cannot be used; then no trial has started. Or nothing can be written any more.
    """
    paths = config.paths
    space = fixed(preparation.hyperparameters, config.fix)
    if is_resumed:
        study = taken_up(config, preparation, space)
        known: Sequence[TrialRecord] = read_known(paths)
        settings = trial_settings(config, preparation, space, data, terminal)
        if note := changed_code(study, preparation):
            print(note, file=terminal, flush=True)
        where = dataclasses.replace(study.data, source=data.source)
        study = dataclasses.replace(study, machine=_machine(settings), data=where, code=preparation.code)
    else:
        first = first_configurations(config, space, terminal)
        known = warm_start(config, space, data.record(), terminal)
        settings = trial_settings(config, preparation, space, data, terminal)
        study = _record(config, data, preparation, settings, space, first)
        paths.known.unlink(missing_ok=True)  # of a search that was ended before it began
        if known:
            write(paths.known, KnownTrials(tuple(known)))
    write(paths.study, study)
    proposer = Proposer(space, rungs(config), config.seed, config.limits().given())
    tell(proposer, known)
    _run(config, study, space, proposer, settings, data, terminal)
    return settings


def _run(
    config: StudyConfig,
    study: StudyRecord,
    space: Sequence[Hyperparameter],
    proposer: Proposer,
    settings: TrialSettings,
    data: ImageData,
    terminal: TextIO,
) -> None:
    """From where the records are until all trials have ended, or the time is up."""
    paths, scheduler, concurrency = config.paths, create_scheduler(config), settings.resources.concurrency
    before = read_trials(paths)
    clock = StudyClock(searched(before))
    ending = Ending(clock, config.time_budget)
    deadline = Deadline(space, rungs(config)[0], config.time_budget, concurrency, clock)
    trials = replay(before, config.max_epochs, proposer, deadline, scheduler)
    deadline.restart()
    _settle(paths, before, trials)
    journal = create_study(paths.journal, paths.name)
    restore(journal, Suggestions(space), trials, datetime.datetime.fromisoformat(study.started))
    begun, left = attempts(trials), config.trials - sum(trial.state is not TrialState.INFEASIBLE for trial in trials)
    retries = Retries(config.max_failures, {trial.trial: trial.lost for trial in trials})
    searcher = StudySearcher(
        journal, space, proposer, deadline, study.first, config.max_epochs, concurrency, left, retries, ending, begun,
        has_good=any(trial.state in (TrialState.DONE, TrialState.STOPPED) for trial in trials),
    )  # fmt: skip
    if study.resumed:
        over = counted(len(trials) - len(begun), "trial")
        print(f"Resumed after {duration(clock())} of search: {over} over, {len(begun)} to go on, {max(left, 0)} new",
              file=terminal, flush=True)  # fmt: skip
    with Monitor(paths.name, config.trials, config.max_epochs, terminal, clock, config.time_budget, trials) as monitor:
        recorder = Recorder(
            paths, config.max_epochs, clock, ending, retries, monitor.changed, monitor.say, trials, config.trial_timeout
        )
        try:
            run_trials(paths, searcher, scheduler, recorder, settings, data, ending)
        finally:
            searcher.close()
    _tell_of_end(searcher, ending, terminal)


def _settle(paths: RunPaths, before: Sequence[TrialRecord], trials: Sequence[TrialRecord]) -> None:
    """Write down what became of trials, and take away what is left of those that are over and of killed processes."""
    remove_unfinished(paths.root)
    written = {trial.trial: trial for trial in before}
    for trial in trials:
        if trial != written[trial.trial]:
            write(paths.trial_record(trial.trial), trial)
        if trial.state not in TO_GO_ON:
            paths.checkpoint(trial.trial).unlink(missing_ok=True)


def _tell_of_end(searcher: StudySearcher, ending: Ending, terminal: TextIO) -> None:
    if searcher.left_out:
        print(f"Left out: {counted(searcher.left_out, 'given configuration')} would not have reached the first rung in "
              "the time that was left", file=terminal, flush=True)  # fmt: skip
    is_time_up = "the --time-budget is spent; what still ran was interrupted" if ending.is_time_up else None
    if why := searcher.ended_early or is_time_up:
        print(f"Ended early: {why}", file=terminal, flush=True)


def _record(
    config: StudyConfig,
    data: ImageData,
    preparation: Preparation,
    settings: TrialSettings,
    space: Sequence[Hyperparameter],
    first: Sequence[Configuration],
) -> StudyRecord:
    return StudyRecord(
        name=config.paths.name,
        started=datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        command=shlex.join(["python", *sys.argv]),
        options=config.options(),
        data=data.record(),
        versions={"python": platform.python_version(), "keras backend": preparation.backend} | _versions(),
        machine=_machine(settings),
        hyperparameters=tuple(dict.fromkeys(hyperparameter.name for hyperparameter in preparation.hyperparameters)),
        rungs=rungs(config)[:-1],
        precision=settings.precision,
        space=digest(space),
        code=preparation.code,
        first=tuple(first),
    )


def _machine(settings: TrialSettings) -> dict[str, Any]:
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
