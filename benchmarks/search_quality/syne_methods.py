"""Methods of Syne Tune (0.13, the last release that has MOBSTER and HyperTune), its own schedulers in our simulator.

It needs an older NumPy than the product, so it runs in a virtual environment of its own:
`pip install "syne-tune[gpsearchers]==0.13" onnxruntime statsmodels`. Its spaces know no conditions: a hyperparameter
that is not active is proposed all the same and left out here.
"""

import datetime
import itertools
import logging
import random
from collections.abc import Callable, Sequence

import numpy as np
from syne_tune import config_space
from syne_tune.backend.trial_status import Trial
from syne_tune.optimizer import baselines
from syne_tune.optimizer.scheduler import SchedulerDecision, TrialScheduler

from benchmarks.search_quality.curves import Curves
from benchmarks.search_quality.simulator import REDUCTION_FACTOR, Decision
from search_spaces.configuration import Configuration
from search_spaces.hyperparameter import Choices, Hyperparameter

DECISIONS: dict[str, Decision] = {
    SchedulerDecision.CONTINUE: "go on",
    SchedulerDecision.STOP: "stop",
    SchedulerDecision.PAUSE: "pause",
}


class SyneMethod:
    """Calls the scheduler, which holds its searcher, in the order in which Syne Tune's `Tuner` does."""

    def __init__(self, scheduler: TrialScheduler, curves: Curves) -> None:
        self.scheduler = scheduler
        self._space = curves.space
        self._max_epochs = curves.max_epochs
        self._trials: dict[str, Trial] = {}

    def next(self) -> tuple[str, Configuration] | None:
        """As `Method` says."""
        suggestion = self.scheduler.suggest(len(self._trials))
        if suggestion is None:
            return None
        if suggestion.spawn_new_trial_id:
            number = len(self._trials)
            trial = Trial(number, suggestion.config, datetime.datetime(2000, 1, 1))
            self.scheduler.on_trial_add(trial)
        else:
            number = suggestion.checkpoint_trial_id
            trial = self._trials[str(number)]
            trial.config = suggestion.config or trial.config
        self._trials[str(number)] = trial
        return str(number), self._active(trial.config)

    def report(self, trial: str, epoch: int, accuracy: float, seconds: float) -> Decision:
        """As `Method` says."""
        result = {"epoch": epoch, "val_accuracy": accuracy, "elapsed_time": seconds}
        decision = self.scheduler.on_trial_result(self._trials[trial], result)
        if epoch >= self._max_epochs:
            self.scheduler.on_trial_complete(self._trials[trial], result)
            return "stop"
        return DECISIONS[decision]

    def _active(self, values: Configuration) -> Configuration:
        active: Configuration = {}
        for hyperparameter in self._space:
            if hyperparameter.is_active(active):
                active[hyperparameter.name] = values[hyperparameter.name]
        return active


def _converted(space: Sequence[Hyperparameter]) -> dict[str, object]:
    return {hyperparameter.name: _domain(hyperparameter) for hyperparameter in space}


def _domain(hyperparameter: Hyperparameter) -> object:
    allowed = hyperparameter.allowed
    if isinstance(allowed, Choices):
        return config_space.choice(list(allowed.values))
    is_log = allowed.scale == "log"
    if allowed.whole:
        return (config_space.lograndint if is_log else config_space.randint)(int(allowed.low), int(allowed.high))
    return (config_space.loguniform if is_log else config_space.uniform)(allowed.low, allowed.high)


def _scheduler(
    kind: Callable[..., TrialScheduler], limit: str = "max_t", **options: object
) -> Callable[[Curves, int, int, int], SyneMethod]:
    def create(curves: Curves, seed: int, grace_epochs: int, workers: int) -> SyneMethod:
        logging.disable(logging.WARNING)
        np.random.seed(seed)
        random.seed(seed)
        scheduler = kind(
            _converted(curves.space),
            metric="val_accuracy",
            mode="max",
            resource_attr="epoch",
            random_seed=seed,
            grace_period=grace_epochs,
            reduction_factor=REDUCTION_FACTOR,
            **{limit: curves.max_epochs},
            **options,
        )
        return SyneMethod(scheduler, curves)

    return create


PASHA_PERIOD = 20
"""PASHA estimates its noise at each report, from all pairs of trials, which takes hours a study: here at one in 20."""


def _pasha(curves: Curves, seed: int, grace_epochs: int, workers: int) -> SyneMethod:
    method = _scheduler(baselines.PASHA)(curves, seed, grace_epochs, workers)
    (system,) = method.scheduler.terminator._rung_systems
    fit, reports = system._update_epsilon, itertools.count()
    system._update_epsilon = lambda: None if next(reports) % PASHA_PERIOD else fit()
    return method


# As they are they fit their Gaussian process anew for each proposal, which takes minutes a study.
SPARING = {"opt_skip_init_length": 20, "opt_skip_period": 20, "opt_nstarts": 1}
METHODS = {
    "Syne Tune ASHA": _scheduler(baselines.ASHA, type="stopping"),
    "Syne Tune ASHA, promoting": _scheduler(baselines.ASHA, type="promotion"),
    "Syne Tune PASHA": _pasha,
    "Syne Tune Hyperband": _scheduler(baselines.SyncHyperband, limit="max_resource_level"),
    "Syne Tune BOHB": _scheduler(baselines.BOHB, type="stopping"),
    "Syne Tune MOBSTER": _scheduler(baselines.MOBSTER, type="stopping", search_options=SPARING),
    "Syne Tune HyperTune": _scheduler(baselines.HyperTune, type="stopping", brackets=4, search_options=SPARING),
}
