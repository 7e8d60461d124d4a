"""The study as Ray Tune's searcher: gives it what to try, and tells Optuna what became of it."""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from optuna.trial import TrialState

from search_spaces.configuration import Configuration
from tuner.attempts import Attempt, AttemptSearcher
from tuner.ledger import Ledger
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
    intermediate value. One that was infeasible or skipped is FAIL too, and does not count among `trials`.
    """

    def __init__(
        self,
        ledger: Ledger,
        suggestions: Suggestions,
        proposer: Proposer,
        deadline: Deadline,
        first: Sequence[Configuration],
        max_epochs: int,
        concurrency: Callable[[], int],
        trials: int,
        retries: Retries,
        begun: Sequence[Attempt] = (),
        has_good: bool = False,
    ) -> None:
        super().__init__(begun, concurrency, retries)
        self._ledger = ledger
        self._suggestions = suggestions
        self._proposer = proposer
        self._deadline = deadline
        self._first = list(first)
        self._start = next(iter(first), None)
        self._max_epochs = max_epochs
        self._to_suggest = trials
        self._infeasible: list[tuple[str, float]] = []
        """Of the last trials in a row: the limit that each was beyond, and what it had."""
        self._failures: list[str] | None = None if has_good else []
        """Why all trials so far have failed; None as soon as one has not."""
        self.left_out = 0
        """Given configurations for which the time was too short."""
        self.ended_early: str | None = None
        """Why there are less trials than were asked for."""

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        config = super().suggest(trial_id)
        left, most = self._deadline.left, self._deadline.most
        if not isinstance(config, dict) or left is None:
            return config
        attempt = self._running[trial_id]
        is_bet = attempt.is_drawn and self._deadline.allows(attempt.configuration)
        return config | {"left": left, "most": most if is_bet else left}

    def _next_again(self) -> Attempt | None:
        """Those for which the time is too short have failed."""
        while self._again:
            attempt = self._again.pop(0)
            if self._deadline.has_time_for(attempt.configuration):
                return attempt
            self._tell(attempt, attempt.failure, is_done=False)
            self._proposer.end(attempt.number, has_failed=True)
        return None

    def _new(self) -> Attempt | None:
        """The study's next trial, with its configuration; None when there is nothing left to try."""
        while self._to_suggest > 0 and self.ended_early is None and not self._ledger.is_full:
            given = self._next_given()
            configuration = given or self._next(self._ledger.next_number)
            if configuration is None:
                return None
            number = self._ledger.begin(self._suggestions.trial(configuration))
            if number is not None:
                self._to_suggest -= 1
                self._proposer.begin(number, configuration)
                return Attempt(number, configuration, is_drawn=given is None)
            if not self._ledger.is_full:
                self._proposer.leave_out(configuration)
        return None

    def _next_given(self) -> Configuration | None:
        while self._first:
            configuration = self._first.pop(0)
            if self._proposer.knows(configuration):
                continue
            if self._deadline.has_time_for(configuration):
                return configuration
            self.left_out += 1
        return None

    def _next(self, number: int) -> Configuration | None:
        proposed = self._quick(number) or self._proposer.propose(number, self._deadline.has_time_for)
        if proposed is None and self._proposer.propose(number) is None:
            self.ended_early = f"no configuration was found that has not been tried; {number} were"
        elif proposed is None:
            self.ended_early = "no other trial would have reached its first rung in the time that was left"
        return proposed

    def _quick(self, number: int) -> Configuration | None:
        """A proposal that is worth its time.

        Under a time budget the first ones are near what the study began with, because a draw at random can take a
        hundred times as long, and it takes some trials to know which do. Where all that is proposed takes long, what is
        near the fastest may not.
        """
        allows = self._deadline.allows
        if self._start is not None and self._deadline.is_unsure:
            proposed = self._proposer.around(number, self._start, allows)
            if proposed is not None:
                return proposed
        proposed, fastest = self._proposer.propose(number, allows), self._deadline.fastest
        if proposed is None and fastest is not None:
            proposed = self._proposer.around(number, fastest, allows)
        return proposed

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        if trial_id not in self._running or "epoch" not in result:
            return
        attempt, epoch = self._running[trial_id], result["epoch"]
        if epoch in attempt.accuracies:  # it goes on from there, or ended by itself
            if result.get("ended"):
                self._deadline.observe(attempt.configuration, epoch, result["time_total_s"], has_ended=True)
            return
        for one in (*result.get("before", ()), result):
            self._learn(attempt, one)
        self._deadline.observe(attempt.configuration, epoch, result["time_total_s"])

    def _learn(self, attempt: Attempt, result: dict[str, Any]) -> None:
        epoch, accuracy = result["epoch"], result["val_accuracy"]
        if epoch in attempt.accuracies:
            return
        if not attempt.accuracies:
            self._proposer.measure(attempt.configuration, result)
        attempt.accuracies[epoch] = accuracy
        self._ledger.report(attempt.number, epoch, accuracy)
        self._proposer.report(attempt.number, epoch, accuracy)

    def _end(self, attempt: Attempt, result: dict[str, Any], is_lost: bool) -> None:
        if (seconds := result.get("too_long")) is not None:
            self._end_skipped(attempt, seconds)
            return
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

    def _end_skipped(self, attempt: Attempt, seconds: float) -> None:
        """It says nothing of its configuration but how long it takes."""
        self._to_suggest += 1
        self._deadline.observe_skipped(attempt.configuration, seconds)
        self._ledger.end(attempt.number, TrialState.FAIL, reason=f"would take {seconds:.0f} s to its first rung")
        self._proposer.end(attempt.number)

    def _tell(self, attempt: Attempt, reason: str | None, is_done: bool) -> None:
        if reason or not attempt.accuracies:
            self._ledger.end(attempt.number, TrialState.FAIL, reason=reason or "ended before its first epoch")
        elif is_done:
            self._ledger.end(attempt.number, TrialState.COMPLETE, max(attempt.accuracies.values()))
        else:
            self._ledger.end(attempt.number, TrialState.PRUNED)

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
        self._ledger.close()


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
