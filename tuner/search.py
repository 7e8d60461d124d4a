"""The search itself: check and prepare what it needs, run the trials."""

import dataclasses
import datetime
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TextIO

from results.paths import RunPaths
from results.records import (
    TO_GO_ON,
    UNCOUNTED,
    KnownTrials,
    StudyRecord,
    TrialRecord,
    TrialState,
    read_known,
    read_study,
    read_trials,
    write,
)
from results.whole_file import remove_unfinished
from results.wording import counted, duration
from search_spaces.configuration import fixed
from search_spaces.hyperparameter import Hyperparameter
from search_spaces.work import first_rung_work
from tuner.capacity import Capacity
from tuner.clock import StudyClock, searched
from tuner.config import StudyConfig
from tuner.ending import Ending
from tuner.experiment import run_trials
from tuner.first_trials import first_configurations
from tuner.journal import create_study, restore
from tuner.ledger import Ledger
from tuner.monitor import Monitor, Watched
from tuner.observers import links, observed
from tuner.others import Others
from tuner.preparation import Preparation
from tuner.proposal.deadline import Deadline
from tuner.proposal.proposer import Proposer
from tuner.proposal.suggestion import Suggestions
from tuner.recorder import Recorder
from tuner.replay import attempts, replay
from tuner.resumption import changed_code, taken_up
from tuner.retries import Retries
from tuner.scheduler import create_scheduler, expected_epochs, rungs
from tuner.searcher import StudySearcher
from tuner.settings import trial_settings
from tuner.shared_ledger import SharedLedger
from tuner.shared_study import SharedStudy
from tuner.study_page import study_page
from tuner.study_record import machine, study_record, terms
from tuner.trainable import TrialSettings
from tuner.trial.datasets import ImageData
from tuner.warm_start import tell, warm_start


def search(
    config: StudyConfig,
    data: ImageData,
    preparation: Preparation,
    terminal: TextIO,
    until_end: ExitStack,
    is_resumed: bool = False,
) -> TrialSettings:
    """Run all trials on the Ray cluster of this process into the run directory, and show them on `terminal`.

    What else shows them then stays there until `until_end` closes.

    Returns:
        How they were trained.

    Raises:
        UserError: something cannot be used; then no trial has started. Or nothing can be written any more.
    """
    paths = config.paths
    space = fixed(preparation.hyperparameters, config.fix)
    shared = _shared(config)
    if shared:
        until_end.callback(shared.abandon)
    if is_resumed:
        study = taken_up(config, preparation, space)
        known: Sequence[TrialRecord] = read_known(paths)
        settings = trial_settings(config, preparation, space, data, terminal)
        if note := changed_code(study, preparation):
            print(note, file=terminal, flush=True)
        where = dataclasses.replace(study.data, source=data.source)
        study = dataclasses.replace(study, machine=machine(settings), data=where, code=preparation.code)
    else:
        first = first_configurations(config, space, terminal)
        known = warm_start(config, space, data.record(), terminal)
        about = terms(config, preparation, space, data)
        theirs = shared.join(about) if shared and not shared.is_founder else {}
        if theirs:
            config = dataclasses.replace(config, precision=theirs["precision"])
        settings = trial_settings(config, preparation, space, data, terminal)
        study = study_record(config, data, preparation, settings, space, first)
        if shared:
            study = dataclasses.replace(study, driver=shared.driver, started=theirs.get("started", study.started))
            if shared.is_founder:
                shared.found(about | {"precision": settings.precision, "started": study.started})
        paths.known.unlink(missing_ok=True)  # of a search that was ended before it began
        if known:
            write(paths.known, KnownTrials(tuple(known)))
    write(paths.study, study)
    proposer = Proposer(space, rungs(config), config.seed, config.limits().given())
    tell(proposer, known)
    _run(config, study, space, proposer, settings, data, terminal, until_end, shared)
    return settings


def _shared(config: StudyConfig) -> SharedStudy | None:
    """The study where several drivers work on it."""
    if config.study_storage is None:
        return None
    driver = read_study(config.paths).driver if config.paths.study.is_file() else ""
    return SharedStudy(config.study_storage, config.paths.name, driver)


def _run(
    config: StudyConfig,
    study: StudyRecord,
    space: Sequence[Hyperparameter],
    proposer: Proposer,
    settings: TrialSettings,
    data: ImageData,
    terminal: TextIO,
    until_end: ExitStack,
    shared: SharedStudy | None,
) -> None:
    """From where the records are until all trials have ended, or the time is up."""
    paths, scheduler, resources = config.paths, create_scheduler(config), settings.resources
    before = read_trials(paths)
    clock = StudyClock(max(searched(before), _since(study) if shared else 0.0))
    ending = Ending(clock, config.time_budget)
    first_rung = rungs(config)[0]
    work = first_rung_work(config.space, first_rung)
    deadline = Deadline(space, first_rung, config.time_budget, resources.concurrency, clock, work)
    trials = replay(before, config.max_epochs, proposer, deadline, scheduler)
    deadline.restart()
    _settle(paths, before, trials)
    suggestions = Suggestions(space)
    ledger: Ledger
    if shared:
        own = [trial for trial in trials if not trial.driver]
        ledger = SharedLedger(shared, suggestions, ending, config.trials, own)
    else:
        journal = create_study(paths.journal, paths.name)
        restore(journal, suggestions, trials, datetime.datetime.fromisoformat(study.started))
        ledger = Ledger(journal, suggestions, ending)
    if config.monitor:
        until_end.enter_context(study_page(config.study_storage or str(paths.journal), terminal))
    print("".join(f"{link}\n" for link in links(config)), end="", file=terminal, flush=True)
    begun, left = attempts(trials), config.trials - sum(trial.state not in UNCOUNTED for trial in trials)
    retries = Retries(config.max_failures, {trial.trial: trial.lost for trial in trials})
    searcher = StudySearcher(
        ledger, suggestions, proposer, deadline, study.first, config.max_epochs,
        Capacity(config, resources), left, retries, begun,
        has_good=any(trial.state in (TrialState.DONE, TrialState.STOPPED) for trial in trials),
    )  # fmt: skip
    if study.resumed:
        over = counted(len(trials) - len(begun), "trial")
        print(f"Resumed after {duration(clock())} of search: {over} over, {len(begun)} to go on, {max(left, 0)} new",
              file=terminal, flush=True)  # fmt: skip
    watched = Watched(
        paths.name, config.trials, config.max_epochs, paths, space, expected_epochs(config), config.time_budget
    )
    with (
        Monitor(watched, terminal, clock, trials) as monitor,
        observed(config, study, settings.resources, monitor, trials) as observers,
    ):
        recorder = Recorder(
            paths, config.max_epochs, clock, ending, retries, observers.changed, monitor.say, trials,
            config.trial_timeout, ledger.record,
        )  # fmt: skip
        others = [Others(ledger, space, proposer, scheduler, recorder)] if isinstance(ledger, SharedLedger) else []
        try:
            run_trials(paths, searcher, scheduler, recorder, settings, data, ending, others)
            for one in others:
                with ending.guarded():
                    one.wait()
        finally:
            try:
                recorder.flush()
            finally:
                searcher.close()
        ending.check()
    _tell_of_end(searcher, ending, terminal)


def _since(study: StudyRecord) -> float:
    """Seconds since the study began, by the wall clock: all its drivers count from there."""
    began = datetime.datetime.fromisoformat(study.started)
    return max(0.0, (datetime.datetime.now().astimezone() - began).total_seconds())


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
