"""Takes in what other drivers of a study do, while this one searches."""

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from results.records import TO_GO_ON, TrialRecord
from search_spaces.configuration import Configuration, complete
from search_spaces.errors import UserError
from search_spaces.hyperparameter import Hyperparameter
from tuner.proposal.proposer import Proposer
from tuner.recorder import Recorder
from tuner.replay import begin, end, report
from tuner.shared_ledger import SharedLedger
from tuner.shared_study import PERIOD


class Others(tune.Callback):
    """Tells searcher, scheduler and records of this driver what the others' trials do.

    Args:
        ledger: from which it is known.
        space: of which all configurations have to be.
        proposer: learns from it.
        scheduler: compares.
        recorder: writes it down, and shows it.
    """

    def __init__(
        self,
        ledger: SharedLedger,
        space: Sequence[Hyperparameter],
        proposer: Proposer,
        scheduler: TrialScheduler,
        recorder: Recorder,
    ) -> None:
        self._ledger, self._space = ledger, space
        self._proposer, self._scheduler, self._recorder = proposer, scheduler, recorder

    def __getstate__(self) -> dict[str, Any]:
        """Ray Tune keeps a pickle of its callbacks, and reads it never."""
        return {}

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Ray calls this several times a second."""
        self.take()

    def take(self) -> None:
        """All that is new."""
        for trial in self._ledger.news():
            self._take(self._recorder.trials.get(trial.trial), trial)

    def _take(self, before: TrialRecord | None, now: TrialRecord) -> None:
        """What has happened between two records of a trial."""
        if not self._is_of_space(now.configuration) or (before is not None and before.state not in TO_GO_ON):
            return
        if before is None:
            begin(now, self._proposer, self._scheduler)
        for epoch in now.epochs[len(before.epochs) if before else 0 :]:
            report(now, epoch, self._proposer, self._scheduler)
        if now.state not in TO_GO_ON:
            end(self._proposer, now)
        self._recorder.take(now)

    def _is_of_space(self, configuration: Configuration) -> bool:
        with suppress(UserError):
            return complete(self._space, configuration).keys() == configuration.keys()
        return False

    def wait(self) -> None:
        """Until the others' trials are over, as far as their drivers live."""
        self._ledger.give_back()
        is_told = False
        while not self._ledger.ending.stop_all() and (left := self._ledger.others()):
            if not is_told:
                self._recorder.say(f"This driver's trials have ended; waiting for {left} of other drivers")
                is_told = True
            time.sleep(PERIOD)
            self.take()
        self._ledger.look()
        self.take()
