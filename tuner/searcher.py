"""The study as Ray Tune's searcher: gives it what to try, and tells Optuna what became of it."""

import json
import math
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
import optuna.storages.journal
from optuna.trial import TrialState
from ray.tune.search import Searcher

from search_spaces.configuration import Configuration
from search_spaces.hyperparameter import Hyperparameter
from tuner.proposal.deadline import Deadline
from tuner.proposal.proposer import Proposer
from tuner.proposal.suggestion import Suggestions
from tuner.trial.errors import WORKER_FAILED


def create_study(journal: Path, name: str) -> optuna.Study:
    """A new Optuna study in the run's journal, maximising. It samples nothing: each trial is given its values."""
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(journal)))
    sampler = optuna.samplers.RandomSampler(seed=0)
    return optuna.create_study(study_name=name, storage=storage, sampler=sampler, direction="maximize")


MOST_INFEASIBLE = 50
"""Trials in a row whose models are beyond a limit, after which the study ends."""


class StudySearcher(Searcher):
    """Suggests `trials` configurations, at most `concurrency` at a time so that none is chosen before its slot is free.

    A trial whose result says "again" is suggested once more when all others have ended, so that it is alone.

    A trial that trained to the end, or ended by itself, is COMPLETE with its best validation accuracy, one that the
    scheduler stopped is PRUNED, one that failed is FAIL with the reason as a user attribute; each epoch is an
    intermediate value. One that was infeasible is FAIL too, and does not count among `trials`.
    """

    def __init__(
        self,
        study: optuna.Study,
        space: Sequence[Hyperparameter],
        proposer: Proposer,
        deadline: Deadline,
        first: Sequence[Configuration],
        max_epochs: int,
        concurrency: int,
        trials: int,
    ) -> None:
        super().__init__(metric="val_accuracy", mode="max")
        self._study = study
        self._suggestions = Suggestions(space)
        self._proposer = proposer
        self._deadline = deadline
        self._first = list(first)
        self._max_epochs = max_epochs
        self._concurrency = concurrency
        self._to_suggest = trials
        self._infeasible: list[tuple[str, float]] = []
        """Of the last trials in a row: the limit that each was beyond, and what it had."""
        self._again: list[_Attempt] = []
        self._running: dict[str, _Attempt] = {}
        self.left_out = 0
        """Given configurations for which the time was too short."""
        self.ended_early: str | None = None
        """Why there are less trials than were asked for."""

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        if len(self._running) >= self._concurrency:
            return None
        may_begin = self._to_suggest > 0 and self.ended_early is None
        if may_begin and (begun := self._begin()) is not None:
            attempt, alone = begun, {}
        elif self._running:
            return None
        elif (waiting := self._waiting()) is not None:
            attempt, alone = waiting, {"alone": True}
            self._proposer.begin_again(attempt.trial.number)
        else:
            return Searcher.FINISHED  # type: ignore[return-value]  # as Ray documents it
        self._running[trial_id] = attempt
        return {"trial": attempt.trial.number, "configuration": attempt.configuration} | alone

    def _waiting(self) -> "_Attempt | None":
        """The next trial that is to run once more; those for which the time is too short have failed."""
        while self._again:
            attempt = self._again.pop(0)
            if self._deadline.allows(attempt.configuration):
                return attempt
            self._tell(attempt, attempt.failure, is_done=False)
            self._proposer.end(attempt.trial.number, has_failed=True)
        return None

    def _begin(self) -> "_Attempt | None":
        """The study's next trial, with its configuration; None when there is nothing left to try."""
        number = len(self._study.get_trials(deepcopy=False))
        configuration = self._next(number)
        if configuration is None:
            return None
        self._to_suggest -= 1
        self._proposer.begin(number, configuration)
        return _Attempt(self._created(configuration), configuration)

    def _created(self, configuration: Configuration) -> optuna.Trial:
        """At once: a trial that is asked for its parameters one by one syncs the journal to the disk as often."""
        study = self._study
        identity = study._storage.create_new_trial(study._study_id, self._suggestions.trial(configuration))
        return optuna.Trial(study, identity)

    def _next(self, number: int) -> Configuration | None:
        while self._first:
            configuration = self._first.pop(0)
            if self._proposer.knows(configuration):
                continue
            if self._deadline.allows(configuration):
                return configuration
            self.left_out += 1
        proposed = self._proposer.propose(number, self._deadline.allows)
        if proposed is None and self._proposer.propose(number) is None:
            self.ended_early = f"no configuration was found that has not been tried; {number} were"
        elif proposed is None:
            self.ended_early = "no other trial would have reached its first rung in the time that was left"
        return proposed

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        if trial_id not in self._running or "epoch" not in result:
            return
        attempt, epoch, accuracy = self._running[trial_id], result["epoch"], result["val_accuracy"]
        if epoch in attempt.accuracies:
            if result.get("ended"):
                self._deadline.observe(attempt.configuration, epoch, result["time_total_s"], has_ended=True)
            return
        if not attempt.accuracies:
            self._proposer.measure(attempt.configuration, result)
        attempt.accuracies[epoch] = accuracy
        if epoch not in attempt.reported:  # Optuna keeps what the first try reported of an epoch
            attempt.trial.report(accuracy, step=epoch)
        self._proposer.report(attempt.trial.number, epoch, accuracy)
        self._deadline.observe(attempt.configuration, epoch, result["time_total_s"])

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        if trial_id not in self._running:
            return
        result = result or {}
        if not error:
            self.on_trial_result(trial_id, result)  # a trial's last result comes to this call alone
        attempt = self._running.pop(trial_id)
        if result.get("again"):
            reported = attempt.reported | attempt.accuracies.keys()
            self._again.append(_Attempt(attempt.trial, attempt.configuration, result["failure"], reported))
            return
        infeasible = result.get("infeasible")
        if infeasible is not None:
            self._proposer.measure(attempt.configuration, result)
        self._count(infeasible, result.get("value", math.nan))
        reason = WORKER_FAILED if error else result.get("failure", infeasible)
        is_done = bool(result.get("ended")) or max(attempt.accuracies, default=0) >= self._max_epochs
        self._tell(attempt, reason, is_done)
        # A worker dies of many things; what the trial itself reported is its configuration's fault.
        self._proposer.end(attempt.trial.number, is_done, has_failed=bool(reason) and not error)

    def _tell(self, attempt: "_Attempt", reason: str | None, is_done: bool) -> None:
        if reason or not attempt.accuracies:
            attempt.trial.set_user_attr("failure", reason or "ended before its first epoch")
            self._study.tell(attempt.trial, state=TrialState.FAIL)
        elif is_done:
            self._study.tell(attempt.trial, max(attempt.accuracies.values()))
        else:
            self._study.tell(attempt.trial, state=TrialState.PRUNED)

    def _count(self, infeasible: str | None, value: float) -> None:
        if infeasible is None:
            self._infeasible = []
            return
        self._to_suggest += 1
        self._infeasible.append((infeasible, value))
        if len(self._infeasible) >= MOST_INFEASIBLE:
            self.ended_early = _beyond(self._infeasible)

    def close(self) -> None:
        """Tell Optuna of trials that were cut off when the study ended, so that none stays RUNNING."""
        for trial_id in list(self._running):
            self.on_trial_complete(trial_id)
        for attempt in self._again:
            self._tell(attempt, attempt.failure, is_done=False)

    def save(self, checkpoint_path: str) -> None:
        numbers = {trial_id: attempt.trial.number for trial_id, attempt in self._running.items()}
        Path(checkpoint_path).write_text(json.dumps(numbers), encoding="utf-8")


def _beyond(infeasible: Sequence[tuple[str, float]]) -> str:
    """Which limits they were beyond, and by how much at the least."""
    least: dict[str, float] = {}
    for rule, had in infeasible:
        least[rule] = min(had, least.get(rule, math.inf))
    each = " or ".join(f"{rule}, {round(had, 3):,} or more" for rule, had in least.items())
    return (
        f"the models of {len(infeasible)} configurations in a row had {each}: raise the limit, or fix what makes "
        "models large (--fix)"
    )


@dataclass
class _Attempt:
    """A trial that runs, or that waits to run once more."""

    trial: optuna.Trial
    configuration: Configuration
    failure: str | None = None
    """Why it has to run once more."""
    reported: Set[int] = frozenset()
    """Epochs of which Optuna was told when it ran before."""
    accuracies: dict[int, float] = field(default_factory=dict)
