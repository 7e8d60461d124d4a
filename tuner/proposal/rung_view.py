"""Trials with one score each, as Optuna's TPE sees them."""

import warnings

import optuna
from optuna.trial import FrozenTrial, TrialState

from search_spaces.configuration import Configuration
from tuner.proposal.failures import are_enough
from tuner.proposal.suggestion import Suggestions

MOST = 100
"""Trials that TPE is fitted on, at least, once there are more: with all, a proposal would take ever longer."""
BEST = 30
"""How many of them are the best ones; the others are the latest."""


class RungView:
    """A study within the study: what all trials scored at one rung.

    Of a trial that runs TPE knows that it is being tried, and looks elsewhere (its "constant liar").
    """

    def __init__(self, suggestions: Suggestions) -> None:
        self._suggestions = suggestions
        self._trials: dict[int, FrozenTrial] = {}
        """That run or are scored, by the study's numbers."""
        self._study, self._storage = _empty()
        self._stored = 0
        """Trials in that storage, those of proposals and those that never got here included."""
        self._running: dict[int, int] = {}
        """Of each trial that runs, its identity in that storage."""
        self._results = self._failures = 0

    @property
    def results(self) -> int:
        """How many trials have a score; those that failed on the way are not counted."""
        return self._results

    def begin(self, number: int, trial: FrozenTrial) -> None:
        """A trial runs."""
        if self._stored - len(self._running) >= 3 * MOST:
            self._forget()
        self._trials[number] = trial
        self._running[number] = self._store(trial)

    def end(self, number: int, score: float | None) -> None:
        """A trial that ran has its score here, a negative one if it failed, or will never have one (None)."""
        identity = self._running.pop(number)
        if score is None or (score < 0 and are_enough(self._failures, self._results)):
            del self._trials[number]
            self._storage.set_trial_state_values(identity, TrialState.FAIL)
            return
        self._storage.set_trial_state_values(identity, TrialState.COMPLETE, [score])
        self._trials[number] = self._storage.get_trial(identity)
        self._results += score >= 0
        self._failures += score < 0

    def propose(self, seed: int) -> Configuration:
        """What TPE would try next."""
        self._study.sampler = _tpe(seed)
        trial = self._study.ask()
        self._stored += 1
        configuration = self._suggestions.suggest(trial)
        # Whether it is tried is not decided here.
        self._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        return configuration

    def best(self, count: int) -> list[Configuration]:
        """The configurations of the highest scores, the highest first."""
        return [self._suggestions.of(self._trials[number]) for number in self._ranked()[:count]]

    def _scores(self) -> dict[int, float]:
        return {number: trial.value for number, trial in self._trials.items() if trial.value is not None}

    def _ranked(self) -> list[int]:
        scores = self._scores()
        return sorted((number for number in scores if scores[number] >= 0), key=lambda number: -scores[number])

    def _forget(self) -> None:
        """Keep the best, the latest, and some failures."""
        ranked = self._ranked()
        scores = self._scores()  # in the order in which trials began: those of a warm start have falling numbers
        failures = [number for number, score in scores.items() if score < 0]
        latest = [number for number, score in scores.items() if score >= 0][BEST - MOST :]
        kept = {*ranked[:BEST], *latest, *failures[-len(ranked) :][-MOST:], *self._running}
        self._trials = {number: trial for number, trial in self._trials.items() if number in kept}
        self._study, self._storage = _empty()
        self._stored = 0
        for number, trial in self._trials.items():
            identity = self._store(trial)
            if number in self._running:
                self._running[number] = identity

    def _store(self, trial: FrozenTrial) -> int:
        self._stored += 1
        return self._storage.create_new_trial(self._study._study_id, trial)


def _empty() -> tuple[optuna.Study, optuna.storages.InMemoryStorage]:
    """The storage is told directly: a study tells of each trial in the log."""
    storage = optuna.storages.InMemoryStorage()
    return optuna.create_study(storage=storage, direction="maximize"), storage


def _tpe(seed: int) -> optuna.samplers.TPESampler:
    """As conditional spaces need it (`group`)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # `group`, since Optuna 2.8
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)
