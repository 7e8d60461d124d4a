"""What becomes of a study's trials, told to Optuna's storage beside the search, which does not wait for the disk."""

from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from results.records import TrialRecord
from tuner.ending import Ending
from tuner.proposal.suggestion import Suggestions
from tuner.writer import Act, Writer


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
        self._writer = Writer(ending)

    def __getstate__(self) -> dict[str, Any]:
        """Ray Tune keeps a pickle of its searcher, and reads it never."""
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
        self._writer.close()

    def _put(self, act: Act) -> None:
        self._writer.put(act)
