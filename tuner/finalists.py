"""The last act of a study: the best configurations trained again on new seeds, a winner, the test split opened once."""

import dataclasses
import itertools
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np
from ray.tune.schedulers import FIFOScheduler

from results.best_models import BestModels
from results.candidate import members_of
from results.finalists import Finalist, ranked
from results.leaderboard import leaderboard
from results.records import TO_GO_ON, TrialRecord, read_study, read_trials
from results.wording import counted
from search_spaces.configuration import Configuration, one_line
from tuner.attempts import Attempt, AttemptSearcher
from tuner.capacity import Capacity
from tuner.clock import StudyClock, searched
from tuner.config import StudyConfig
from tuner.ending import Ending
from tuner.experiment import run_trials
from tuner.monitor import Monitor
from tuner.observers import observed
from tuner.recorder import Recorder
from tuner.retries import Retries
from tuner.test_split import open_test
from tuner.trainable import TrialSettings
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
    config: StudyConfig, data: ImageData, settings: TrialSettings, terminal: TextIO, open_test_again: bool = False
) -> None:
    """Train the finalists as far as they are not, and open the test split for the winner, if there is one.

    Once it has been opened it stays shut: who wins from then on may have been chosen by somebody who knew what it says.
    """
    finalists = train_finalists(config, data, settings, terminal)
    if not finalists:
        print("No finalist finished: the test split stays shut", file=terminal, flush=True)
        return
    openings = read_study(config.paths).test_openings
    if openings and not open_test_again:
        print(f"The test split was opened on {openings[-1].opened} for the {openings[-1].model}, and stays shut now; "
              "python scripts/finalists.py --open-test-again opens it once more, and writes that down",
              file=terminal, flush=True)  # fmt: skip
        return
    model = retrained(config, data, settings, finalists[0], terminal) if config.retrain else None
    open_test(config, settings.resources, finalists[0], model)


def train_finalists(config: StudyConfig, data: ImageData, settings: TrialSettings, terminal: TextIO) -> list[Finalist]:
    """Train the best configurations at full length on new seeds, those that are still missing, and rank them."""
    runs = missing_runs(config)
    finals = config.paths.finalists
    if runs:
        finals.root.mkdir(exist_ok=True)
        print(f"Finalists: the best {config.finalists} trained again on {counted(config.finalist_seeds, 'new seed')} "
              f"({counted(len(runs), 'training')} left)", file=terminal, flush=True)  # fmt: skip
        before = read_trials(finals)
        clock, study = StudyClock(searched(before)), read_study(config.paths)
        with (
            Monitor(f"{config.paths.name}, finalists", len(runs), config.max_epochs, terminal, clock) as monitor,
            observed(config, study, settings.resources, monitor, before, "finalists") as observers,
        ):
            # Their models are all kept, and none is turned away for a limit that it has met before.
            kept = max(run.number for run in runs) + 1
            own = dataclasses.replace(settings, run=finals, kept=kept, limits=Limits())
            train(config, own, runs, config.max_epochs, data, clock, observers.changed, monitor.say)
    return ranked(read_trials(config.paths), read_trials(finals))


def missing_runs(config: StudyConfig) -> list[Run]:
    """What is still to be trained, because it did not finish or its model is gone.

    One that was cut off keeps its number and goes on; the others are numbered as none before.
    """
    trials, again = read_trials(config.paths), read_trials(config.paths.finalists)
    frame = leaderboard(trials, ())
    best = frame[frame["rank"].notna()]["trial"].head(config.finalists).tolist()
    configurations = [trial.configuration for number in best for trial in trials if trial.trial == number]
    done = [(member.trial.configuration, member.seed) for member in members_of(config.paths, trials, again)]
    seeds = [(config.seed + number) % 2**32 for number in range(1, config.finalist_seeds + 1)]
    wanted = [(configuration, seed) for configuration in configurations for seed in seeds]
    numbers = itertools.count(_unused(again))
    begun = {(one_line(run.configuration), run.seed): run.trial for run in again if run.state in TO_GO_ON}
    runs = []
    for configuration, seed in [pair for pair in wanted if pair not in done]:
        number = begun.get((one_line(configuration), seed))
        runs.append(Run(next(numbers) if number is None else number, configuration, seed))
    return runs


def retrained(
    config: StudyConfig, data: ImageData, settings: TrialSettings, winner: Finalist, terminal: TextIO
) -> Path | None:
    """The winner's configuration trained on the training and the validation images: where its model is.

    With no image left to tell its best epoch by, it ends after the mean of its runs' best epochs, of a schedule that is
    as long as theirs; its seed is that of the first of them. None when that training failed.
    """
    paths = config.paths.retrained
    before = read_trials(paths)
    until = round(statistics.mean(run.best_epoch.epoch for run in winner.runs.values() if run.best_epoch))
    cut_off = [trial.trial for trial in before if trial.state in TO_GO_ON and len(trial.epochs) < until
               and (trial.configuration, trial.seed) == (winner.configuration, min(winner.runs))]  # fmt: skip
    run = Run((cut_off or [_unused(before)])[-1], winner.configuration, min(winner.runs), until)
    print(f"Retraining trial {winner.trial} on training and validation images for {counted(until, 'epoch')}",
          file=terminal, flush=True)  # fmt: skip
    paths.root.mkdir(exist_ok=True)
    own = dataclasses.replace(settings, run=paths, kept=run.number + 1, limits=Limits())
    found = train(config, own, [run], until, _together(data), StudyClock(searched(before)), lambda record: None,
                   lambda note: print(note, file=terminal, flush=True))  # fmt: skip
    kept = next((one for one in BestModels(paths.best).ranked() if one.trial == run.number), None)
    if kept is None:
        print(f"Note: that failed ({found[run.number].reason}); the winner's own model is taken", file=terminal)
        return None
    return paths.best / kept.file


def train(
    config: StudyConfig,
    settings: TrialSettings,
    runs: Sequence[Run],
    max_epochs: int,
    data: ImageData,
    clock: StudyClock,
    on_change: Callable[[TrialRecord], None],
    on_note: Callable[[str], None],
) -> dict[int, TrialRecord]:
    """Train them; those go on of which their folder has a record. Their records by number."""
    paths, numbers = settings.run, {run.number for run in runs}
    going_on = [trial for trial in read_trials(paths) if trial.trial in numbers]
    ending, retries = Ending(clock), Retries(config.max_failures, {trial.trial: trial.lost for trial in going_on})
    recorder = Recorder(paths, max_epochs, clock, ending, retries, on_change, on_note, going_on, config.trial_timeout)
    searcher = AttemptSearcher([run.attempt for run in runs], Capacity(config, settings.resources), retries)
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
