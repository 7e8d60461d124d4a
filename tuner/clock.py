"""How long a study has been searched."""

import time
from collections.abc import Sequence

from results.records import TrialRecord


class StudyClock:
    """Seconds of search, in all sessions of a study together; a wall clock that jumps does not move it.

    Args:
        before: seconds of earlier sessions.
    """

    def __init__(self, before: float = 0.0) -> None:
        self._before = before
        self._began = time.monotonic()

    def __call__(self) -> float:
        """Seconds by now."""
        return self._before + time.monotonic() - self._began


def searched(trials: Sequence[TrialRecord]) -> float:
    """Seconds of search that they took together, on the study's clock."""
    return max((trial.ended for trial in trials), default=0.0)
