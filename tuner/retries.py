"""Which trials train on after their worker was lost."""

from collections import Counter
from collections.abc import Mapping


class Retries:
    """Counts lost workers, trial by trial; whoever has lost more than `most` is given up.

    Args:
        most: of one trial.
        before: what trials lost in earlier sessions, by their numbers.
    """

    def __init__(self, most: int, before: Mapping[int, int] | None = None) -> None:
        self._most = most
        self._lost = Counter(before or {})
        self._hopeless: dict[int, str] = {}

    def count(self, trial: int) -> None:
        """Its worker was lost."""
        self._lost[trial] += 1

    def give_up(self, trial: int, reason: str) -> None:
        """It is not worth another worker."""
        self._hopeless[trial] = reason

    def lost(self, trial: int) -> int:
        """How many workers it lost."""
        return self._lost[trial]

    def allows(self, trial: int) -> bool:
        """Whether it gets another one."""
        return trial not in self._hopeless and self._lost[trial] <= self._most

    def reason(self, trial: int) -> str | None:
        """Why it was given up, if not for the number of workers."""
        return self._hopeless.get(trial)
