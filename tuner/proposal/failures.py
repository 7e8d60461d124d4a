"""Trials that failed, as the searcher remembers them."""

from collections import Counter
from collections.abc import Iterator, Sequence

from search_spaces.configuration import Configuration
from search_spaces.hyperparameter import Choices, Hyperparameter, Value

FAILED = -1.0
"""Stands for the accuracy of a trial that failed: below all others."""
LEAST = 5
PARTS = 4
"""Of each range."""


def are_enough(failures: int, results: int) -> bool:
    """Whether a rung needs no more of them: it keeps `LEAST`, or as many as it has results.

    More would outweigh what is known; TPE takes a tenth of all for good.
    """
    return failures >= max(LEAST, results)


class Survival:
    """How many of the trials that ended had not failed, value by value: what draws at random is to know from the start.

    Where two of three choices always fail, it takes thirty trials until ten have scores to conclude anything from.
    """

    def __init__(self, space: Sequence[Hyperparameter]) -> None:
        self._space = space
        self._ended: Counter[tuple[str, Value]] = Counter()
        self._failed: Counter[tuple[str, Value]] = Counter()

    def count(self, configuration: Configuration, has_failed: bool) -> None:
        """A trial has ended."""
        parts = list(self._parts(configuration))
        self._ended.update(parts)
        if has_failed:
            self._failed.update(parts)

    def rate(self, configuration: Configuration) -> float:
        """The share that survived among the trials with the value of its that did worst, and one more: 1 for a new one.

        So what has always failed is drawn ever more seldom, and never not at all.
        """
        return min(
            (1 - self._failed[part] / (self._ended[part] + 1) for part in self._parts(configuration)), default=1.0
        )

    def _parts(self, configuration: Configuration) -> Iterator[tuple[str, Value]]:
        """Each value, or which part of its range it is in."""
        for one in self._space:
            if not one.is_active(configuration):
                continue
            value = configuration[one.name]
            if isinstance(one.allowed, Choices):
                yield one.name, value
            else:
                yield one.name, min(int(PARTS * one.allowed.place(float(value))), PARTS - 1)
