"""What becomes of a study's trials, told to Optuna's storage beside the search, which does not wait for the disk."""

import queue
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from results.records import TrialRecord
from tuner.ending import Ending
from tuner.proposal.suggestion import Suggestions

Act = Callable[[], object]


class Ledger:
    """Trials of one study as Optuna knows them, by their numbers; written in the order of the calls, by a thread.

    Args:
        study: with the trials that there are already.
        suggestions: of its space.
        ending: told when something cannot be written.
    """

    def __init__(self, study: optuna.Study, suggestions: Suggestions, ending: Ending) -> None:
        self._storage, self._study = study._storage, study._study_id
        self._suggestions, self.ending = suggestions, ending
        self._identities = {trial.number: trial._trial_id for trial in study.get_trials(deepcopy=False)}
        self._next = len(self._identities)
        self._last: dict[int, float] = {}
        self._acts: queue.SimpleQueue[Act | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Ray Tune keeps a pickle of its searcher, and reads it never: a thread cannot be in it."""
        return {}

    is_full = False
    """Whether there are as many trials as there are to be, by what is known of other drivers."""

    @property
    def next_number(self) -> int:
        """Of the trial that begins next, unless somebody else's does."""
        return self._next

    def begin(self, trial: FrozenTrial) -> int | None:
        """A trial that runs, as `Suggestions.trial` makes it: its number; None if it is not to be."""
        number = self._next
        self._next += 1

        def create() -> None:
            # At once: a trial that is asked for its parameters one by one syncs the journal to the disk as often.
            self._identities[number] = self._storage.create_new_trial(self._study, trial)

        self._put(create)
        return number

    def report(self, number: int, epoch: int, accuracy: float) -> None:
        """An epoch, as an intermediate value."""
        self._last[number] = accuracy
        self._put(lambda: self._storage.set_trial_intermediate_value(self._identities[number], epoch, accuracy))

    def end(self, number: int, state: TrialState, value: float | None = None, reason: str | None = None) -> None:
        """It is COMPLETE with a value, PRUNED, or has failed for a reason."""
        last = self._last.pop(number, None)
        if state is TrialState.PRUNED:  # as `Study.tell` does
            value = last

        def end() -> None:
            identity = self._identities.pop(number)
            if reason is not None:
                self._storage.set_trial_user_attr(identity, "failure", reason)
            self._storage.set_trial_state_values(identity, state, None if value is None else [value])

        self._put(end)

    def record(self, trial: TrialRecord) -> None:
        """What is known of it, where others are to know."""

    def close(self) -> None:
        """Wait until all is written."""
        if self._writer is not None:
            self._acts.put(None)
            self._writer.join()

    def _put(self, act: Act) -> None:
        if self._writer is None:
            self._writer = threading.Thread(target=self._write, daemon=True)
            self._writer.start()
        self._acts.put(act)

    def _write(self) -> None:
        while (act := self._acts.get()) is not None:
            try:
                with self.ending.guarded():
                    act()
            except Exception:  # the search goes on, and what is true is in its records
                traceback.print_exc(file=sys.stderr)
