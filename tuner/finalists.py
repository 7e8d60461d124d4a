"""The last act of a study: the best configurations trained again on new seeds, a winner, the test split opened once."""

import dataclasses
import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import ray
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from results.best_models import BestModels
from results.evaluation import evaluate
from results.examples import save_examples
from results.finalists import Finalist, ranked
from results.leaderboard import leaderboard
from results.records import TestOpening, TestRecord, TrialState, read_study, read_trials, write
from results.wording import counted
from search_spaces.configuration import Configuration
from tuner.config import StudyConfig
from tuner.experiment import run_trials
from tuner.monitor import Monitor
from tuner.recorder import Recorder
from tuner.trainable import TrialSettings
from tuner.trial.datasets import ImageData
from tuner.trial.resources import TrialResources, prepare_process


@dataclasses.dataclass(frozen=True)
class Run:
    """A configuration to train from one seed."""

    number: int
    """Among the trials of the finalists."""
    configuration: Configuration
    seed: int


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
        return {"trial": run.number, "configuration": run.configuration, "seed": run.seed} | alone

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Nothing is learned."""

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        run = self._running.pop(trial_id, None)
        if run is not None and (result or {}).get("again"):
            self._again.append(run)


def decide(config: StudyConfig, data: ImageData, settings: TrialSettings, terminal: TextIO) -> None:
    """Train the finalists as far as they are not, and open the test split for the winner, if there is one."""
    finalists = train_finalists(config, data, settings, terminal)
    if finalists:
        open_test(config, settings, finalists)


def train_finalists(config: StudyConfig, data: ImageData, settings: TrialSettings, terminal: TextIO) -> list[Finalist]:
    """Train the best configurations at full length on new seeds, those that are still missing, and rank them."""
    runs = missing_runs(config)
    finals = config.paths.finalists
    if runs:
        finals.root.mkdir(exist_ok=True)
        print(f"Finalists: the best {config.finalists} trained again on {counted(config.finalist_seeds, 'seed')}",
              file=terminal, flush=True)  # fmt: skip
        with Monitor(f"{config.paths.name}, finalists", len(runs), config.max_epochs, terminal) as monitor:
            recorder = Recorder(finals, config.max_epochs, monitor.changed, monitor.say)
            own = dataclasses.replace(settings, best=finals.best, kept=config.finalists * config.finalist_seeds)
            searcher = RunSearcher(runs, settings.resources.concurrency)
            run_trials(finals, searcher, FIFOScheduler(), recorder, own, data)
    return ranked(read_trials(config.paths), read_trials(finals))


def missing_runs(config: StudyConfig) -> list[Run]:
    """What is still to be trained, each with a number that none before it had."""
    trials, again = read_trials(config.paths), read_trials(config.paths.finalists)
    frame = leaderboard(trials, ())
    best = frame[frame["rank"].notna()]["trial"].head(config.finalists).tolist()
    configurations = [trial.configuration for number in best for trial in trials if trial.trial == number]
    done = [(run.configuration, run.seed) for run in again if run.state is TrialState.DONE]
    seeds = [(config.seed + number) % 2**32 for number in range(1, config.finalist_seeds + 1)]
    wanted = [(configuration, seed) for configuration in configurations for seed in seeds]
    first = max((run.trial for run in again), default=-1) + 1
    missing = [pair for pair in wanted if pair not in done]
    return [Run(number, *pair) for number, pair in enumerate(missing, start=first)]


def open_test(config: StudyConfig, settings: TrialSettings, finalists: Sequence[Finalist]) -> TestRecord:
    """Compare the winner's best model with the test split; `study.json` says from then on that this has happened.

    Of the winner's models the one with the highest validation accuracy is handed over, so it is this one that counts.

    Raises:
        UserError: the test split cannot be loaded.
    """
    from tuner.test_split import open_test_split

    winner, paths, study = finalists[0], config.paths, read_study(config.paths)
    of_winner = {run.trial for run in winner.runs.values()}
    kept = next(one for one in BestModels(paths.finalists.best).ranked() if one.trial in of_winner)
    model = paths.finalists.best / kept.file
    opened = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    opening = TestOpening(opened, f"finalist of trial {winner.trial}, {kept.file}, epoch {kept.epoch}")
    write(paths.study, dataclasses.replace(study, test_openings=(*study.test_openings, opening)))  # before it is seen
    images, labels = open_test_split(config.data, study.data.image_size, config.seed)
    share = settings.resources
    predicting = ray.remote(num_cpus=share.cpus, num_gpus=min(share.gpus, 1), max_calls=1)(_probabilities)
    probabilities = ray.get(predicting.remote(model, images, share))
    record = TestRecord(
        opened, winner.trial, str(model.relative_to(paths.root)), False, evaluate(labels, probabilities),
        save_examples(paths.examples, images, labels, probabilities),
    )  # fmt: skip
    write(paths.test, record)
    return record


def _probabilities(model: Path, images: np.ndarray, resources: TrialResources) -> np.ndarray:
    prepare_process(resources)
    from results.predictor import Predictor

    return Predictor(model).probabilities(images)
