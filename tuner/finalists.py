"""The last act of a study: the best configurations trained again on new seeds, a winner, the test split opened once."""

import dataclasses
import itertools
import shutil
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np
from ray.tune.schedulers import FIFOScheduler

from results import commands
from results.best_models import BestModels
from results.candidate import members_of, searched_best
from results.contenders import Contenders
from results.finalists import Finalist, failed, ranked
from results.records import TO_GO_ON, TrialRecord, read_study, read_trials
from results.wording import counted, duration
from search_spaces.configuration import Configuration, configuration_key
from tuner.attempts import Attempt, AttemptSearcher
from tuner.budget import Budget
from tuner.capacity import Capacity
from tuner.clock import StudyClock, searched
from tuner.config import StudyConfig
from tuner.ending import Ending
from tuner.experiment import run_trials
from tuner.finalists_plan import Plan, plan
from tuner.monitor import Monitor, Watched
from tuner.observers import observed
from tuner.recorder import Recorder
from tuner.retries import Retries
from tuner.test_split import open_test
from tuner.trainable import TrialSettings
from tuner.training_cost import TrainingCost
from tuner.trial.datasets import ImageData
from tuner.trial.limits import Limits


@dataclasses.dataclass(frozen=True)
class Run:
    """A configuration to train from one seed."""

    number: int
    """Among the trials that lie in the same folder."""
    configuration: Configuration
    seed: int
    until: int | None = None
    """The epoch to end after, and to keep the model of; None trains at full length and keeps that of the best epoch."""

    @property
    def attempt(self) -> Attempt:
        """As the searcher wants it."""
        until = {} if self.until is None else {"until": self.until}
        return Attempt(self.number, self.configuration, {"seed": self.seed} | until)


def decide(
    config: StudyConfig,
    data: ImageData,
    settings: TrialSettings,
    terminal: TextIO,
    open_test_again: bool = False,
    seconds: float | None = None,
) -> None:
    """Train the finalists as far as they are not, and open the test split for the winner, if there is one.

    Once it has been opened it stays shut: who wins from then on may have been chosen by somebody who knew what it says.

    Args:
        config: says how many finalists on how many seeds at most, and whether to retrain the winner.
        data: to train on.
        settings: as the search had them.
        terminal: to print to.
        open_test_again: though it has been opened.
        seconds: that the finalists have from now on; without time for one of them the search's own best model is handed
            over. None for no limit.
    """
    clock = StudyClock(searched(read_trials(config.paths.finalists)))
    budget = Budget(clock, None if seconds is None else clock() + seconds)
    finalists = train_finalists(config, data, settings, terminal, budget)
    if not finalists and (seconds is None or failed(read_trials(config.paths.finalists))):
        print("No finalist finished, so the test split stays shut; the report says why. To try again: "
              f"{commands.finalists_of(config.paths)}", file=terminal, flush=True)  # fmt: skip
        return
    openings = read_study(config.paths).test_openings
    if openings and not open_test_again:
        print(f"The test split was opened on {openings[-1].opened} for the {openings[-1].model}, and stays shut now; "
              f"{commands.finalists_of(config.paths, open_test_again=True)} opens it once more, and "
              "writes that down",
              file=terminal, flush=True)  # fmt: skip
        return
    if not finalists:
        member = searched_best(config.paths)
        print(f"No finalist was trained to its end: trial {member.trial.trial} is handed over as the search trained it",
              file=terminal, flush=True)  # fmt: skip
        open_test(config, settings.resources, member.trial.trial, _kept_apart(config, member.file))
        return
    winner = finalists[0]
    again = retrained(config, data, settings, winner, terminal, budget) if config.retrain else None
    open_test(config, settings.resources, winner.trial, again or _model(config, winner))


def _kept_apart(config: StudyConfig, model: Path) -> Path:
    """A copy of a model of the search and of what is known of it."""
    folder = config.paths.handed_over.best
    folder.mkdir(parents=True, exist_ok=True)
    for file in (model, model.with_suffix(".json")):
        shutil.copyfile(file, folder / file.name)
    return folder / model.name


def _model(config: StudyConfig, winner: Finalist) -> Path:
    """The winner's with the highest validation accuracy among its seeds."""
    members = members_of(config.paths, read_trials(config.paths), read_trials(config.paths.finalists))
    return next(member.file for member in members if member.trial.trial == winner.trial)


def train_finalists(
    config: StudyConfig, data: ImageData, settings: TrialSettings, terminal: TextIO, budget: Budget
) -> list[Finalist]:
    """Train those that may be the best at full length on new seeds, as far as that is missing, and rank them."""
    paths, finals = config.paths, config.paths.finalists
    trials, before = read_trials(paths), read_trials(finals)
    cost = TrainingCost([*trials, *before], config.max_epochs)
    planned = _planned(config, trials, before, cost, settings.resources.concurrency, budget, terminal)
    runs = missing_runs(config, planned)
    if runs:
        finals.root.mkdir(exist_ok=True)
        print(_announced(planned, len(runs), budget.left), file=terminal, flush=True)
        epochs = {run.trial: len(run.epochs) for run in before}

        def changed(record: TrialRecord) -> None:
            cost.observe(record)
            epochs[record.trial] = len(record.epochs)
            observers.changed(record)

        study = read_study(paths)
        watched = Watched(
            f"{paths.name}, finalists", len(runs), config.max_epochs, finals, study.declared, time_budget=budget.end
        )
        with (
            Monitor(watched, terminal, budget.clock) as monitor,
            observed(config, study, settings.resources, monitor, before, "finalists") as observers,
        ):
            # Their models are all kept, and none is turned away for a limit that it has met before.
            kept = max(run.number for run in runs) + 1
            own = dataclasses.replace(settings, run=finals, kept=kept, limits=Limits())
            timed = dataclasses.replace(
                budget, cost=lambda attempt: cost.of(attempt.configuration, epochs.get(attempt.number, 0))
            )
            found = train(config, own, runs, config.max_epochs, data, timed, changed, monitor.say)
        over = [run for run in runs if run.number in found and found[run.number].state not in TO_GO_ON]
        if len(over) < len(runs):
            print(f"Finalists: the time is up; {counted(len(runs) - len(over), 'training')} left out or cut off",
                  file=terminal, flush=True)  # fmt: skip
    return ranked(read_trials(paths), read_trials(finals))


def _planned(
    config: StudyConfig,
    trials: Sequence[TrialRecord],
    again: Sequence[TrialRecord],
    cost: TrainingCost,
    at_a_time: int,
    budget: Budget,
    terminal: TextIO,
) -> Plan:
    """The finalists and their seeds; what is left out is told, and why."""
    paths, seeds = config.paths, seeds_of(config, config.finalist_seeds)
    contenders = Contenders.of(trials, read_study(paths).data.validation_images)
    first = contenders.first(config.finalists)
    done = [(member.trial.trial, member.seed) for member in members_of(paths, trials, again)]
    begun = {
        (configuration_key(run.configuration), run.seed): len(run.epochs) for run in again if run.state in TO_GO_ON
    }

    def left_of(trial: TrialRecord, seed: int) -> float:
        if (trial.trial, seeds[seed]) in done:
            return 0.0
        return cost.of(trial.configuration, begun.get((configuration_key(trial.configuration), seeds[seed]), 0))

    # The winner's retraining, which somebody has asked for, is to have its time too.
    reserved = cost.of(first[0].configuration) if first and config.retrain else 0.0
    left = budget.left
    found = plan(first, len(seeds), left_of, at_a_time, None if left is None else left - reserved)
    if reserved and not found.finalists:  # a finalist that is not retrained is better than none
        found = plan(first, len(seeds), left_of, at_a_time, left)
    for note in (contenders.left_out(config.finalists), found.note):
        if note:
            print(note, file=terminal, flush=True)
    return found


def _announced(planned: Plan, left: int, seconds: float | None) -> str:
    named = [str(trial.trial) for trial in planned.finalists]
    which = f"trial {named[0]}" if len(named) == 1 else f"trials {', '.join(named[:-1])} and {named[-1]}"
    within = "" if seconds is None else f" of the {duration(seconds)} that there are"
    return (
        f"Finalists: {which} trained again on {counted(planned.seeds, 'new seed')} ({counted(left, 'training')} left), "
        f"about {duration(planned.seconds)}{within}"
    )


def seeds_of(config: StudyConfig, count: int) -> list[int]:
    """The new seeds of a study's finalists."""
    return [(config.seed + number) % 2**32 for number in range(1, count + 1)]


def are_trained(config: StudyConfig) -> bool:
    """Return whether all that may be the best have been trained on all seeds that are asked for."""
    contenders = Contenders.of(read_trials(config.paths), read_study(config.paths).data.validation_images)
    return not missing_runs(config, Plan(tuple(contenders.first(config.finalists)), config.finalist_seeds, 0.0))


def missing_runs(config: StudyConfig, planned: Plan) -> list[Run]:
    """What is still to be trained, because it did not finish or its model is gone; each finalist on one seed first.

    One that was cut off keeps its number and goes on; the others are numbered as none before.
    """
    trials, again = read_trials(config.paths), read_trials(config.paths.finalists)
    done = [(member.trial.configuration, member.seed) for member in members_of(config.paths, trials, again)]
    wanted = [(one.configuration, seed) for seed in seeds_of(config, planned.seeds) for one in planned.finalists]
    numbers = itertools.count(_unused(again))
    begun = {(configuration_key(run.configuration), run.seed): run.trial for run in again if run.state in TO_GO_ON}
    runs = []
    for configuration, seed in [pair for pair in wanted if pair not in done]:
        number = begun.get((configuration_key(configuration), seed))
        runs.append(Run(next(numbers) if number is None else number, configuration, seed))
    return runs


def retrained(
    config: StudyConfig,
    data: ImageData,
    settings: TrialSettings,
    winner: Finalist,
    terminal: TextIO,
    budget: Budget,
) -> Path | None:
    """The winner's configuration trained on the training and the validation images: where its model is.

    With no image left to tell its best epoch by, it ends after the mean of its runs' best epochs, of a schedule that is
    as long as theirs; its seed is that of the first of them. None when that training failed, or the
    budget leaves no time for it.
    """
    paths = config.paths.retrained
    before = read_trials(paths)
    until = round(statistics.mean(run.best_epoch.epoch for run in winner.runs.values() if run.best_epoch))
    cut_off = [trial.trial for trial in before if trial.state in TO_GO_ON and len(trial.epochs) < until
               and (trial.configuration, trial.seed) == (winner.configuration, min(winner.runs))]  # fmt: skip
    seconds = TrainingCost(winner.runs.values(), until).of(winner.configuration)
    if budget.left is not None and seconds > budget.left:
        print(f"Note: the winner is not retrained: that would take about {duration(seconds)}, and there are "
              f"{duration(budget.left)}", file=terminal, flush=True)  # fmt: skip
        return None
    run = Run((cut_off or [_unused(before)])[-1], winner.configuration, min(winner.runs), until)
    print(f"Retraining trial {winner.trial} on training and validation images for {counted(until, 'epoch')}",
          file=terminal, flush=True)  # fmt: skip
    paths.root.mkdir(exist_ok=True)
    own = dataclasses.replace(settings, run=paths, kept=run.number + 1, limits=Limits())
    found = train(config, own, [run], until, _together(data), Budget(StudyClock(searched(before))),
                  lambda record: None, lambda note: print(note, file=terminal, flush=True))  # fmt: skip
    kept = next((one for one in BestModels(paths.best).ranked() if one.trial == run.number), None)
    if kept is None:
        print(f"Note: retraining failed ({found[run.number].reason}), so the winner is handed over as it was",
              file=terminal, flush=True)  # fmt: skip
        return None
    return paths.best / kept.file


def train(
    config: StudyConfig,
    settings: TrialSettings,
    runs: Sequence[Run],
    max_epochs: int,
    data: ImageData,
    budget: Budget,
    on_change: Callable[[TrialRecord], None],
    on_note: Callable[[str], None],
) -> dict[int, TrialRecord]:
    """Train them; those go on of which their folder has a record. Their records by number."""
    paths, numbers = settings.run, {run.number for run in runs}
    going_on = [trial for trial in read_trials(paths) if trial.trial in numbers]
    ending = Ending(budget.clock, budget.end)
    retries = Retries(config.max_failures, {trial.trial: trial.lost for trial in going_on})
    recorder = Recorder(
        paths, max_epochs, budget.clock, ending, retries, on_change, on_note, going_on, config.trial_timeout
    )
    searcher = AttemptSearcher(
        [run.attempt for run in runs], Capacity(config, settings.resources), retries, budget.allows
    )
    run_trials(paths, searcher, FIFOScheduler(), recorder, settings, data, ending)
    return recorder.trials


def _unused(trials: Sequence[TrialRecord]) -> int:
    """The first number that is higher than theirs."""
    return max((trial.trial for trial in trials), default=-1) + 1


def _together(data: ImageData) -> ImageData:
    """Trains on all that it has; its validation images are then of those that it trains on, and tell nothing."""
    return dataclasses.replace(
        data,
        train_images=np.concatenate([data.train_images, data.validation_images]),
        train_labels=np.concatenate([data.train_labels, data.validation_labels]),
    )
