"""Methods of Ray Tune's interfaces: the product's own searcher and scheduler, and what people use instead of them."""

import sys
import warnings
from collections.abc import Callable

import optuna
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from benchmarks.search_quality.curves import Curves
from benchmarks.search_quality.simulator import REDUCTION_FACTOR, Decision
from search_spaces.configuration import Configuration
from tuner.clock import StudyClock
from tuner.config import StudyConfig
from tuner.ending import Ending
from tuner.ledger import Ledger
from tuner.proposal.deadline import Deadline
from tuner.proposal.proposer import Proposer
from tuner.proposal.suggestion import Suggestions
from tuner.retries import Retries
from tuner.scheduler import create_scheduler, rungs
from tuner.searcher import StudySearcher


class RayMethod:
    """Calls searcher and scheduler in the order in which Ray's `TuneController` (2.60) does."""

    def __init__(self, searcher: Searcher, scheduler: TrialScheduler, max_epochs: int) -> None:
        self._searcher = searcher
        self._scheduler = scheduler
        self._max_epochs = max_epochs
        self._trials: dict[str, Trial] = {}

    def next(self) -> tuple[str, Configuration] | None:
        """As `Method` says."""
        identity = f"{len(self._trials):06d}"
        suggested = self._searcher.suggest(identity)
        if not isinstance(suggested, dict):
            return None
        trial = self._trials[identity] = Trial(
            "simulated", trial_id=identity, config={"trial": identity} | suggested, stub=True
        )
        self._scheduler.on_trial_add(None, trial)
        return identity, suggested.get("configuration", suggested)

    def report(self, trial: str, epoch: int, accuracy: float, seconds: float) -> Decision:
        """As `Method` says."""
        result = {"epoch": epoch, "training_iteration": epoch, "val_accuracy": accuracy, "time_total_s": seconds}
        is_last = epoch >= self._max_epochs
        decision = TrialScheduler.STOP
        if not is_last:
            decision = self._scheduler.on_trial_result(None, self._trials[trial], result)
        if decision == TrialScheduler.CONTINUE:
            self._searcher.on_trial_result(trial, result)
            return "go on"
        self._scheduler.on_trial_complete(None, self._trials[trial], result)
        self._searcher.on_trial_complete(trial, result | {"done": is_last})
        return "stop"


def asha(curves: Curves, grace_epochs: int) -> TrialScheduler:
    """The product's, which is Ray's."""
    return create_scheduler(_config(curves, grace_epochs))


def optuna_search(curves: Curves, sampler: optuna.samplers.BaseSampler) -> Searcher:
    """Ray's OptunaSearch on the space, as a define-by-run function; with Optuna's sampler."""
    return OptunaSearch(space=Suggestions(curves.space).suggest, metric="val_accuracy", mode="max", sampler=sampler)


class Unwritten(Ledger):
    """Nobody looks at a simulated study in Optuna's storage."""

    def _put(self, act: Callable[[], object]) -> None:
        """Nothing."""


def thaw(curves: Curves, seed: int, grace_epochs: int, workers: int) -> RayMethod:
    """The product's."""
    config = _config(curves, grace_epochs)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    proposer = Proposer(curves.space, rungs(config), seed)
    clock = StudyClock()
    no_deadline = Deadline(curves.space, 1, None, workers, clock)
    suggestions = Suggestions(curves.space)
    ledger = Unwritten(study, suggestions, Ending(clock))
    searcher = StudySearcher(
        ledger,
        suggestions,
        proposer,
        no_deadline,
        [],
        curves.max_epochs,
        lambda: workers,
        sys.maxsize,
        Retries(0),
    )
    return RayMethod(searcher, create_scheduler(config), curves.max_epochs)


def _config(curves: Curves, grace_epochs: int) -> StudyConfig:
    return StudyConfig(max_epochs=curves.max_epochs, grace_epochs=grace_epochs, reduction_factor=REDUCTION_FACTOR)


def random_asha(curves: Curves, seed: int, grace_epochs: int, workers: int) -> RayMethod:
    """Random configurations."""
    searcher = optuna_search(curves, optuna.samplers.RandomSampler(seed=seed))
    return RayMethod(searcher, asha(curves, grace_epochs), curves.max_epochs)


def tpe(curves: Curves, seed: int, grace_epochs: int, workers: int) -> RayMethod:
    """Optuna's TPE as it is, each trial to the end."""
    searcher = optuna_search(curves, optuna.samplers.TPESampler(seed=seed))
    return RayMethod(searcher, FIFOScheduler(), curves.max_epochs)


def optuna_search_asha(curves: Curves, seed: int, grace_epochs: int, workers: int) -> RayMethod:
    """What everyone wires together."""
    searcher = optuna_search(curves, optuna.samplers.TPESampler(seed=seed))
    return RayMethod(searcher, asha(curves, grace_epochs), curves.max_epochs)


METHODS: dict[str, Callable[[Curves, int, int, int], RayMethod]] = {
    "Thaw": thaw,
    "random + ASHA": random_asha,
    "TPE": tpe,
    "OptunaSearch + ASHA": optuna_search_asha,
}


def quiet() -> None:
    """Optuna tells of each trial, and Ray of define-by-run functions that take long."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    warnings.filterwarnings("ignore", message="Define-by-run function")
