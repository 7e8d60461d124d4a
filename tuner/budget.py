"""The time that a few trainings have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuner.clock import StudyClock

if TYPE_CHECKING:
    from tuner.attempts import Attempt


@dataclass(frozen=True)
class Budget:
    """On a clock of its own; no training begins that would not end within it, and what still runs at its end is cut."""

    clock: StudyClock
    end: float | None = None
    """On the clock; None is never."""
    cost: Callable[[Attempt], float] = lambda attempt: 0.0
    """Seconds that a training is expected to take from now on."""

    @property
    def left(self) -> float | None:
        """Seconds; None without an end."""
        return None if self.end is None else max(0.0, self.end - self.clock())

    def allows(self, attempt: Attempt) -> bool:
        """Whether a training that began now would end in time."""
        return self.left is None or self.cost(attempt) <= self.left
