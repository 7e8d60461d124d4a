"""Why a study ends before its trials do: its time is up, or what is found cannot be written down any more."""

from collections.abc import Iterator
from contextlib import contextmanager

from ray import tune

from results.whole_file import REMEDY, Unwritable, unwritable
from tuner.clock import StudyClock


class Ending(tune.Stopper):
    """Ray asks it after each event whether to end all trials; they are cut off, and a resumption goes on with them.

    Ray's own time budget is by the wall clock, which can jump.

    Args:
        clock: the study's.
        time_budget: seconds on it, if the study ends with it.
    """

    def __init__(self, clock: StudyClock, time_budget: float | None = None) -> None:
        self._clock = clock
        self._time_budget = time_budget
        self.unwritable: str | None = None
        """The first file that could not be written, and why."""

    @property
    def is_time_up(self) -> bool:
        """Whether the time budget is spent."""
        return self._time_budget is not None and self._clock() >= self._time_budget

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """For a block that writes: if it cannot, the study ends, and not as Ray would have it: by a traceback."""
        try:
            yield
        except OSError as error:
            self.unwritable = self.unwritable or unwritable(error)

    def check(self) -> None:
        """See that all could be written.

        Raises:
            Unwritable: something could not.
        """
        if self.unwritable is not None:
            raise Unwritable(f"{self.unwritable}. {REMEDY}")

    def stop_all(self) -> bool:
        """Whether all is over."""
        return self.unwritable is not None or self.is_time_up

    def __call__(self, trial_id: str, result: dict[str, object]) -> bool:
        """No single trial ends by this."""
        return False
