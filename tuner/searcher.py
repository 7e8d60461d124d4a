"""The study as Ray Tune's searcher: gives it what to try, and tells Optuna what became of it."""

import math
import re
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.trial import TrialState

from search_spaces.configuration import Configuration
from search_spaces.hyperparameter import Hyperparameter
from tuner.attempts import Attempt, AttemptSearcher
from tuner.ending import Ending
from tuner.proposal.deadline import Deadline
from tuner.proposal.proposer import Proposer
from tuner.proposal.suggestion import Suggestions
from tuner.retries import Retries
from tuner.trial.errors import WORKER_FAILED

MOST_INFEASIBLE = 50
"""Trials in a row whose models are beyond a limit, after which the study ends."""
MOST_FAILED = 5
"""Trials that fail for one reason before any other ends, after which the study does."""


class StudySearcher(AttemptSearcher):
    """Suggests `trials` new configurations, after the trials that have begun before; `has_good` if any has succeeded.

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
        retries: Retries,
        ending: Ending,
        begun: Sequence[Attempt] = (),
        has_good: bool = False,
    ) -> None:
        super().__init__(begun, concurrency, retries)
        self._study = study
        self._suggestions = Suggestions(space)
        self._proposer = proposer
        self._deadline = deadline
        self._first = list(first)
        self._max_epochs = max_epochs
        self._to_suggest = trials
        self._ending = ending
        self._infeasible: list[tuple[str, float]] = []
        """Of the last trials in a row: the limit that each was beyond, and what it had."""
        self._failures: list[str] | None = None if has_good else []
        """Why all trials so far have failed; None as soon as one has not."""
        self.left_out = 0
        """Given configurations for which the time was too short."""
        self.ended_early: str | None = None
        """Why there are less trials than were asked for."""

    def _next_again(self) -> Attempt | None:
        """Those for which the time is too short have failed."""
        while self._again:
            attempt = self._again.pop(0)
            if self._deadline.allows(attempt.configuration):
                return attempt
            self._tell(attempt, attempt.failure, is_done=False)
            self._proposer.end(attempt.number, has_failed=True)
        return None

    def _new(self) -> Attempt | None:
        """The study's next trial, with its configuration; None when there is nothing left to try."""
        if self._to_suggest <= 0 or self.ended_early is not None:
            return None
        number = len(self._study.get_trials(deepcopy=False))
        configuration = self._next(number)
        if configuration is None:
            return None
        with self._ending.guarded():
            # At once: a trial that is asked for its parameters one by one syncs the journal to the disk as often.
            self._study._storage.create_new_trial(self._study._study_id, self._suggestions.trial(configuration))
            self._to_suggest -= 1
            self._proposer.begin(number, configuration)
            return Attempt(number, configuration)
        return None

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
        if epoch in attempt.accuracies:  # it goes on from there, or ended by itself
            if result.get("ended"):
                self._deadline.observe(attempt.configuration, epoch, result["time_total_s"], has_ended=True)
            return
        if not attempt.accuracies:
            self._proposer.measure(attempt.configuration, result)
        attempt.accuracies[epoch] = accuracy
        with self._ending.guarded():
            self._trial(attempt).report(accuracy, step=epoch)
        self._proposer.report(attempt.number, epoch, accuracy)
        self._deadline.observe(attempt.configuration, epoch, result["time_total_s"])

    def _end(self, attempt: Attempt, result: dict[str, Any], is_lost: bool) -> None:
        infeasible = result.get("infeasible")
        if infeasible is not None:
            self._proposer.measure(attempt.configuration, result)
        self._count(infeasible, result.get("value", math.nan))
        failure = result.get("failure")
        if is_lost:
            failure = self._retries.reason(attempt.number) or WORKER_FAILED
        is_done = bool(result.get("ended")) or max(attempt.accuracies, default=0) >= self._max_epochs
        self._tell(attempt, failure or infeasible, is_done)
        # A worker dies of many things; what the trial itself reported is its configuration's fault.
        self._proposer.end(attempt.number, is_done, bool(failure) and not is_lost, infeasible is not None)
        if infeasible is None:
            self._count_failure(failure)

    def _tell(self, attempt: Attempt, reason: str | None, is_done: bool) -> None:
        with self._ending.guarded():
            if reason or not attempt.accuracies:
                trial = self._trial(attempt)
                trial.set_user_attr("failure", reason or "ended before its first epoch")
                self._study.tell(trial, state=TrialState.FAIL)
            elif is_done:
                self._study.tell(attempt.number, max(attempt.accuracies.values()))
            else:
                self._study.tell(attempt.number, state=TrialState.PRUNED)

    def _trial(self, attempt: Attempt) -> optuna.Trial:
        storage, study = self._study._storage, self._study._study_id
        return optuna.Trial(self._study, storage.get_trial_id_from_study_id_trial_number(study, attempt.number))

    def _count(self, infeasible: str | None, value: float) -> None:
        if infeasible is None:
            self._infeasible = []
            return
        self._to_suggest += 1
        self._infeasible.append((infeasible, value))
        if len(self._infeasible) >= MOST_INFEASIBLE:
            self.ended_early = _beyond(self._infeasible)

    def _count_failure(self, failure: str | None) -> None:
        if failure is None or self._failures is None:
            self._failures = None
            return
        self._failures.append(failure)
        same = {re.sub(r"[\d.]+", "#", one) for one in self._failures}
        if len(self._failures) == MOST_FAILED and len(same) == 1:
            self.ended_early = f"the first {MOST_FAILED} trials all failed: {failure}"

    def close(self) -> None:
        """Tell Optuna of trials that were cut off when the study ended, so that none stays RUNNING."""
        for attempt in [*self._running.values(), *self._waiting, *self._again]:
            self._tell(attempt, attempt.failure, is_done=False)


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
