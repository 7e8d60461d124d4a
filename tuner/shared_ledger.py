"""A driver's part of a study of several: which trials are its own, and what became of all.

A trial is claimed by being created: its number is the database's, so none is tried twice, and a configuration that
another driver has claimed meanwhile is given back. Each driver writes its trials' records there, and takes those of the
others into its own run directory, so that all searchers learn from all trials, all schedulers compare all, and every
report tells of all.
"""

import dataclasses
import errno
import json
import math
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from results import records
from results.records import TO_GO_ON, TrialRecord
from search_spaces.errors import UserError
from tuner.ending import Ending
from tuner.journal import outcome
from tuner.ledger import Ledger
from tuner.proposal.suggestion import Suggestions
from tuner.shared_study import PERIOD, SharedStudy, said
from tuner.writer import Act

Result = TypeVar("Result")
PATIENCE = 600.0
"""Seconds for the database to come back."""
LAST = 60.0
"""Seconds for all that is left to be written, once the search has ended."""
SILENCE = 60.0
"""Seconds without a sign of life, after which a driver is taken to be gone; its trials go on with its --resume."""
GIVEN_BACK = "given back: another driver tried the same"
OURS = ("driver", "record", "failure", "infeasible")
"""User attributes of a trial that are none of its configuration."""


class SharedLedger(Ledger):
    """A driver's part of a shared study.

    Args:
        shared: the study.
        suggestions: of its space.
        ending: told when something cannot be written.
        trials: how many there are to be, of all drivers.
        own: records of this driver's trials, from earlier sessions.

    Raises:
        UserError: the database is out of reach.
    """

    def __init__(
        self, shared: SharedStudy, suggestions: Suggestions, ending: Ending, trials: int, own: Sequence[TrialRecord]
    ) -> None:
        with shared.reached():
            super().__init__(shared.study, suggestions, ending)
        self._shared, self._trials = shared, trials
        self._seen: dict[int, str] = {}
        self._tried: dict[int, str] = {}
        """What each trial tries."""
        self._news: queue.SimpleQueue[TrialRecord] = queue.SimpleQueue()
        self._signs: dict[str, tuple[float, float]] = {}
        """Of each other driver: its latest sign of life, and when that was seen here."""
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

        self._unrecorded: set[int] = set()
        """Claimed, and not begun yet."""
        self._looking = threading.Lock()
        self._deadline = math.inf
        with shared.reached():
            self._settle(own)
            self._look()
        self._watcher.start()

    def _settle(self, own: Sequence[TrialRecord]) -> None:
        """What this driver's earlier sessions have left."""
        running = {
            one.number for one in self._shared.study.get_trials(deepcopy=False) if one.state is TrialState.RUNNING
        }
        for trial in own:
            if trial.trial in running:
                self.record(trial)
        for one in self._orphans({trial.trial for trial in own}):
            self._give_back(one._trial_id)

    def begin(self, trial: FrozenTrial) -> int | None:
        """Claim it."""
        trial.set_user_attr("driver", self._shared.driver)
        with self.ending.guarded():
            return self._patiently(lambda: self._claimed(trial))
        self.is_full = True  # for this driver: it can claim no more
        return None

    def _claimed(self, trial: FrozenTrial) -> int | None:
        for orphan in self._orphans({*self._identities}):  # the database had it, but its answer was lost
            self._give_back(orphan._trial_id)
        identity = self._storage.create_new_trial(self._study, trial)
        number: int = self._storage.get_trial_number_from_id(identity)
        self._next = number + 1  # the next proposal is another one, also where this one is given back
        earlier = self._counted(self._shared.study.get_trials(deepcopy=False), before=number)
        is_known, self.is_full = _tried(trial) in earlier, len(earlier) >= self._trials
        if is_known or self.is_full:
            self._give_back(identity)
            return None
        self._identities[number] = identity
        self._unrecorded.add(number)
        return number

    def _orphans(self, known: set[int]) -> list[FrozenTrial]:
        """Claims of this driver of which nobody knows."""
        return [
            one
            for one in self._shared.study.get_trials(deepcopy=False)
            if one.state is TrialState.RUNNING
            and one.user_attrs.get("driver") == self._shared.driver
            and one.number not in known
        ]

    def _give_back(self, identity: int) -> None:
        self._storage.set_trial_user_attr(identity, "failure", GIVEN_BACK)
        self._storage.set_trial_state_values(identity, TrialState.FAIL)

    def give_back(self) -> None:
        """All that was claimed and never began: this driver begins no more."""
        for number in sorted(self._unrecorded):
            self._put(partial(self._give_back, self._identities[number]))
        self._unrecorded = set()

    def end(self, number: int, state: TrialState, value: float | None = None, reason: str | None = None) -> None:
        """Its record will say so: what has ended cannot be written to any more, and the record comes after this."""

    def record(self, trial: TrialRecord) -> None:
        """What is known of a trial of this driver, for the others."""
        if trial.driver:
            return
        text = records.to_json(trial)
        self._unrecorded.discard(trial.trial)

        def write() -> None:
            identity = self._identities[trial.trial]
            try:
                self._storage.set_trial_user_attr(identity, "record", text)
            except UpdateFinishedTrialError:  # written before, and only the answer was lost
                return
            if trial.state in TO_GO_ON:
                return
            if trial.reason:
                self._storage.set_trial_user_attr(identity, "failure", trial.reason)
            if trial.state in records.UNCOUNTED:
                self._storage.set_trial_user_attr(identity, "infeasible", True)
            state, value = outcome(trial)
            self._storage.set_trial_state_values(identity, state, None if value is None else [value])

        self._put(write)

    def news(self) -> list[TrialRecord]:
        """Records of the others' trials that have changed since the last call."""
        found: dict[int, TrialRecord] = {}
        with suppress(queue.Empty):
            while True:
                trial = self._news.get_nowait()
                found[trial.trial] = trial
        return list(found.values())

    def others(self) -> int:
        """How many trials other drivers train, that are alive."""
        self.look()
        now = time.monotonic()
        alive = {driver for driver, (_, seen) in list(self._signs.items()) if now - seen < SILENCE}
        trials = self._patiently(lambda: self._shared.study.get_trials(deepcopy=False))
        return sum(one.state is TrialState.RUNNING and one.user_attrs.get("driver") in alive for one in trials)

    def look(self) -> None:
        """See what the others have done by now."""
        self._patiently(self._look)

    def close(self) -> None:
        self.give_back()
        self._over.set()
        self._deadline = time.monotonic() + LAST
        if self._watcher.is_alive():
            self._watcher.join()
        super().close()

    def _put(self, act: Act) -> None:
        super()._put(lambda: self._patiently(act))

    def _watch(self) -> None:
        while not self._over.wait(PERIOD):
            try:
                self._look()
            except StorageInternalError:
                continue
            except Exception:
                traceback.print_exc(file=sys.stderr)

    def _look(self) -> None:
        with self._looking:
            self._see()

    def _see(self) -> None:
        study, own = self._shared.study, self._shared.driver
        study.set_user_attr(f"alive {own}", time.time())
        for name, sign in study.user_attrs.items():
            driver = name.removeprefix("alive ")
            if driver not in (name, own) and self._signs.get(driver, (None, 0))[0] != sign:
                self._signs[driver] = sign, time.monotonic()
        trials = study.get_trials(deepcopy=False)
        self.is_full = len(self._counted(trials)) >= self._trials
        for trial in trials:
            text, theirs = trial.user_attrs.get("record"), trial.user_attrs.get("driver")
            if theirs and theirs != own and text is not None and self._seen.get(trial.number) != text:
                self._seen[trial.number] = text
                with suppress(UserError):  # of somebody who wrote something else there
                    self._news.put(dataclasses.replace(records.from_json(text), trial=trial.number, driver=theirs))

    def _counted(self, trials: Sequence[FrozenTrial], before: float = math.inf) -> set[str]:
        """What those try that count among --trials; of two that try the same, one is about to be given back."""
        for one in trials:
            if one.number not in self._tried:
                self._tried[one.number] = _tried(one)
        return {
            self._tried[one.number]
            for one in trials
            if one.number < before
            and not one.user_attrs.get("infeasible")
            and one.user_attrs.get("failure") != GIVEN_BACK
        }

    def _patiently(self, act: Callable[[], Result]) -> Result:
        """Again and again while the database is out of reach; for less time where the search's is up."""
        began = time.monotonic()
        while True:
            try:
                return act()
            except StorageInternalError as error:
                patience = LAST if self.ending.is_time_up else PATIENCE
                if time.monotonic() > min(began + patience, self._deadline):
                    raise OSError(errno.EIO, said(error), "--study-storage") from error
            time.sleep(PERIOD)


def _tried(trial: FrozenTrial) -> str:
    """Its configuration, as something to compare: what is drawn, and what is not."""
    given = {name: value for name, value in trial.user_attrs.items() if name not in OURS}
    return json.dumps([trial.params, given], sort_keys=True)
