"""Which configurations can still reach their first rung before the study's time is up."""

from collections.abc import Callable, Sequence

from search_spaces.configuration import Configuration
from search_spaces.hyperparameter import Hyperparameter
from tuner.proposal.log_linear import ENOUGH, LogLinear


class Deadline:
    """Predicts how long a configuration takes to its first rung, from those that have reached it or ended before.

    The first trial of each worker does not count, which starts it.

    Args:
        space: whose configurations.
        first_rung: an epoch.
        seconds: on the study's clock, when its time is up; None: never.
        workers: as many first trials do not count.
        clock: the study's.
    """

    def __init__(
        self,
        space: Sequence[Hyperparameter],
        first_rung: int,
        seconds: float | None,
        workers: int,
        clock: Callable[[], float],
    ) -> None:
        self._first_rung = first_rung
        self._clock = clock
        self._end = seconds
        self._workers = self._to_skip = workers
        self._seconds = LogLinear(space)

    def observe(self, configuration: Configuration, epoch: int, seconds: float, has_ended: bool = False) -> None:
        """A trial has trained for so many epochs, which took so long with all that came before the first.

        One that ended by itself before the first rung is as good as one that reached it.
        """
        if self._end is None or not (epoch == self._first_rung or (has_ended and epoch < self._first_rung)):
            return
        if self._to_skip:
            self._to_skip -= 1
            return
        self._seconds.observe(configuration, seconds)

    def restart(self) -> None:
        """The workers are new ones."""
        self._to_skip = self._workers

    def allows(self, configuration: Configuration) -> bool:
        """Whether there is time for it; until enough trials are known the fastest one speaks for all."""
        if self._end is None:
            return True
        left = self._end - self._clock()
        if left <= 0 or not len(self._seconds):
            return left > 0
        is_known = len(self._seconds) >= ENOUGH
        return left >= (self._seconds.predicted(configuration) if is_known else self._seconds.least)
