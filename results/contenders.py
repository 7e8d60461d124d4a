"""Which trials of a search may be its best one, as far as their validation accuracies can tell.

All trials are judged on the same validation images, and the one in front was chosen for being in front. So each of the
others is compared with it at a level that allows for all comparisons (Bonferroni), as in multiple comparisons with the
best (Hsu, 1984, "Constrained Simultaneous Confidence Intervals for Multiple Comparisons with the Best"). The interval
of a difference is Newcombe's hybrid score interval (1998, "Interval Estimation for the Difference Between Independent
Proportions", method 10), which holds for few images and near 100 % too; errors on the same images are alike rather than
independent, so it is wide rather than narrow. The spread between seeds is added as Zou and Donner (2008, "Construction
of Confidence Limits About Effect Measures") add independent parts.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from results.leaderboard import best_first
from results.records import TrialRecord
from results.wording import counted, percent

CONFIDENCE = 0.95
"""That the best trial is among the contenders."""
SEED_SPREAD = 0.01
"""Standard deviation of an accuracy from seed to seed. It is assumed: a search trains each configuration once."""


@dataclass(frozen=True)
class Contenders:
    """The trials of a search with an accuracy, best first, on so many validation images."""

    trials: tuple[TrialRecord, ...]
    images: int

    @classmethod
    def of(cls, trials: Sequence[TrialRecord], images: int) -> "Contenders":
        """Rank the trials that have finished an epoch."""
        return cls(tuple(best_first(trial for trial in trials if trial.best_epoch)), images)

    def first(self, most: int) -> list[TrialRecord]:
        """Return those of the first `most` trials that may be the best."""
        return [trial for trial in self.trials[:most] if self._may_be_best(trial)]

    def left_out(self, most: int) -> str | None:
        """Tell which of the first `most` trials cannot be the best, and why; None without any."""
        those = [trial for trial in self.trials[:most] if not self._may_be_best(trial)]
        if not those:
            return None
        named = ", ".join(f"trial {trial.trial} ({percent(trial.accuracy)})" for trial in those)
        return (
            f"Not among the finalists: {named}, further below the best trial ({percent(self.trials[0].accuracy)}) than "
            f"{counted(self.images, 'validation image')} and other seeds explain"
        )

    def _may_be_best(self, trial: TrialRecord) -> bool:
        best, level = self.trials[0].accuracy, 1 - (1 - CONFIDENCE) / max(1, len(self.trials) - 1)
        z = statistics.NormalDist().inv_cdf(level)
        own, above = best - _wilson(best, self.images, -z), _wilson(trial.accuracy, self.images, z) - trial.accuracy
        return best - trial.accuracy <= math.sqrt(own**2 + above**2 + 2 * (z * SEED_SPREAD) ** 2)


def _wilson(share: float, images: int, z: float) -> float:
    """Return the limit of a Wilson (1927) score interval: the upper one, or the lower one for a negative `z`."""
    count = max(1, images)
    middle, half = share + z * z / (2 * count), z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return (middle + half) / (1 + z * z / count)
