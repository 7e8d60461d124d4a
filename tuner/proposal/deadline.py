"""Which configurations are worth beginning in what is left of the study's time."""

from collections.abc import Callable, Sequence

from search_spaces.configuration import Configuration
from search_spaces.hyperparameter import Hyperparameter
from tuner.proposal.log_linear import ENOUGH, LogLinear

SHARE = 1 / 4
"""Of the time that is left, the most that a configuration which nobody asked for may take to its first rung."""
ALIKE = 2.0
"""Unless it takes no longer than the fastest one does, times this."""


class Deadline:
    """Predicts how long a configuration takes to its first rung, from those that have reached it or ended before.

    The first trial of each worker does not count, which starts it.

    Args:
        space: whose configurations.
        first_rung: an epoch.
        seconds: on the study's clock, when its time is up; None: never.
        workers: as many first trials do not count.
        clock: the study's.
        work: of a configuration, what it computes to its first rung relative to others, as far as that is known before
            any has trained. Predictions are proportional to it until trials tell otherwise.
    """

    def __init__(
        self,
        space: Sequence[Hyperparameter],
        first_rung: int,
        seconds: float | None,
        workers: int,
        clock: Callable[[], float],
        work: Callable[[Configuration], float] = lambda configuration: 1.0,
    ) -> None:
        self._first_rung = first_rung
        self._clock = clock
        self._end = seconds
        self._workers = self._to_skip = workers
        self._work = work
        self._rate = LogLinear(space)
        """Seconds for each unit of work."""
        self._fastest: tuple[float, Configuration] | None = None

    @property
    def left(self) -> float | None:
        """Seconds until the study's time is up; None without a limit."""
        return None if self._end is None else self._end - self._clock()

    @property
    def most(self) -> float | None:
        """Seconds that a configuration which nobody asked for may take to its first rung; None without a limit.

        One that takes most of what is left is a poor bet: several others could have been tried instead. Where all take
        long, that is how it is.
        """
        if self.left is None:
            return None
        alike = ALIKE * self._fastest[0] if self._fastest else 0.0
        return min(self.left, max(SHARE * self.left, alike))

    @property
    def is_unsure(self) -> bool:
        """Whether time is limited, and too little is known of what takes how long."""
        return self._end is not None and len(self._rate) < ENOUGH

    @property
    def fastest(self) -> Configuration | None:
        """Of those that are known, the one that reached its first rung soonest."""
        return self._fastest[1] if self._fastest else None

    def observe(self, configuration: Configuration, epoch: int, seconds: float, has_ended: bool = False) -> None:
        """A trial has trained for so many epochs, which took so long with all that came before the first.

        One that ended by itself before the first rung is as good as one that reached it.
        """
        if self._end is None or not (epoch == self._first_rung or (has_ended and epoch < self._first_rung)):
            return
        if self._to_skip:
            self._to_skip -= 1
            return
        self._learn(configuration, seconds)

    def observe_skipped(self, configuration: Configuration, seconds: float) -> None:
        """A trial was ended because its first steps said that it would take so long, without its worker's start."""
        self._learn(configuration, seconds)

    def _learn(self, configuration: Configuration, seconds: float) -> None:
        self._rate.observe(configuration, seconds / self._work(configuration))
        if self._fastest is None or seconds < self._fastest[0]:
            self._fastest = seconds, configuration

    def restart(self) -> None:
        """The workers are new ones."""
        self._to_skip = self._workers

    def has_time_for(self, configuration: Configuration) -> bool:
        """Whether it would reach its first rung; until enough trials are known the fastest one speaks for all."""
        return self._is_within(configuration, self.left)

    def allows(self, configuration: Configuration) -> bool:
        """Whether it is worth beginning: it would take no longer than `most`."""
        return self._is_within(configuration, self.most)

    def _is_within(self, configuration: Configuration, seconds: float | None) -> bool:
        if seconds is None:
            return True
        if seconds <= 0 or not len(self._rate):
            return seconds > 0
        is_known = len(self._rate) >= ENOUGH
        rate = self._rate.predicted(configuration) if is_known else self._rate.least
        return seconds >= rate * self._work(configuration)
