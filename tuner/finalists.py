"""The last act of a study: the best configurations trained again on new seeds, a winner, the test split opened once."""

import dataclasses
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from results.best_models import BestModels
from results.candidate import members_of
from results.finalists import Finalist, ranked
from results.leaderboard import leaderboard
from results.records import TrialRecord, read_trials
from results.wording import counted
from search_spaces.configuration import Configuration
from tuner.config import StudyConfig
from tuner.experiment import run_trials
from tuner.monitor import Monitor
from tuner.recorder import Recorder
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
    def config(self) -> dict[str, Any]:
        """As `WarmTrial` wants it."""
        given = {"trial": self.number, "configuration": self.configuration, "seed": self.seed}
        return given if self.until is None else given | {"until": self.until}


class RunSearcher(Searcher):
    """Suggests the given runs; one whose result says "again" once more, alone, when the others have ended."""

    def __init__(self, runs: Sequence[Run], concurrency: int) -> None:
        super().__init__(metric="val_accuracy", mode="max")
        self._waiting = list(runs)
        self._again: list[Run] = []
        self._running: dict[str, Run] = {}
        self._concurrency = concurrency

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        if len(self._running) >= self._concurrency:
            return None
        if self._waiting:
            run, alone = self._waiting.pop(0), {}
        elif self._running:
            return None
        elif self._again:
            run, alone = self._again.pop(0), {"alone": True}
        else:
            return Searcher.FINISHED  # type: ignore[return-value]  # as Ray documents it
        self._running[trial_id] = run
        return run.config | alone

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Nothing is learned."""

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        run = self._running.pop(trial_id, None)
        if run is not None and (result or {}).get("again"):
            self._again.append(run)


def decide(config: StudyConfig, data: ImageData, settings: TrialSettings, terminal: TextIO) -> None:
    """Train the finalists as far as they are not, and open the test split for the winner, if there is one."""
    finalists = train_finalists(config, data, settings, terminal)
    if not finalists:
        print("No finalist finished: the test split stays shut", file=terminal, flush=True)
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
        with Monitor(f"{config.paths.name}, finalists", len(runs), config.max_epochs, terminal) as monitor:
            recorder = Recorder(finals, config.max_epochs, monitor.changed, monitor.say)
            # Their models are all kept, and none is turned away for a limit that it has met before.
            own = dataclasses.replace(settings, run=finals, kept=runs[-1].number + 1, limits=Limits())
            searcher = RunSearcher(runs, settings.resources.concurrency)
            run_trials(finals, searcher, FIFOScheduler(), recorder, own, data)
    return ranked(read_trials(config.paths), read_trials(finals))


def missing_runs(config: StudyConfig) -> list[Run]:
    """What is still to be trained, because it did not finish or its model is gone; numbered as none before."""
    trials, again = read_trials(config.paths), read_trials(config.paths.finalists)
    frame = leaderboard(trials, ())
    best = frame[frame["rank"].notna()]["trial"].head(config.finalists).tolist()
    configurations = [trial.configuration for number in best for trial in trials if trial.trial == number]
    done = [(member.trial.configuration, member.seed) for member in members_of(config.paths, trials, again)]
    seeds = [(config.seed + number) % 2**32 for number in range(1, config.finalist_seeds + 1)]
    wanted = [(configuration, seed) for configuration in configurations for seed in seeds]
    first = _unused(again)
    missing = [pair for pair in wanted if pair not in done]
    return [Run(number, *pair) for number, pair in enumerate(missing, start=first)]


def retrained(
    config: StudyConfig, data: ImageData, settings: TrialSettings, winner: Finalist, terminal: TextIO
) -> Path | None:
    """The winner's configuration trained on the training and the validation images: where its model is.

    With no image left to tell its best epoch by, it ends after the mean of its runs' best epochs, of a schedule that is
    as long as theirs; its seed is that of the first of them. None when that training failed.
    """
    paths = config.paths.retrained
    number = _unused(read_trials(paths))
    until = round(statistics.mean(run.best_epoch.epoch for run in winner.runs.values() if run.best_epoch))
    run = Run(number, winner.configuration, min(winner.runs), until)
    print(f"Retraining trial {winner.trial} on training and validation images for {counted(until, 'epoch')}",
          file=terminal, flush=True)  # fmt: skip
    paths.root.mkdir(exist_ok=True)
    recorder = Recorder(paths, until, lambda record: None, lambda note: print(note, file=terminal, flush=True))
    own = dataclasses.replace(settings, run=paths, kept=number + 1, limits=Limits())
    run_trials(paths, RunSearcher([run], 1), FIFOScheduler(), recorder, own, _together(data))
    kept = next((one for one in BestModels(paths.best).ranked() if one.trial == number), None)
    if kept is None:
        print(f"Note: that failed ({recorder.trials[number].reason}); the winner's own model is taken", file=terminal)
        return None
    return paths.best / kept.file


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
