"""One hyperparameter of a declared space, as plain data: it travels without Keras or KerasTuner."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Value = bool | int | float | str


@dataclass(frozen=True)
class Condition:
    """The hyperparameter is active only while another one has one of these values."""

    name: str
    values: tuple[Value, ...]

    def holds(self, values: Mapping[str, Value]) -> bool:
        """Whether it does under the values of the hyperparameters declared before."""
        return self.name in values and values[self.name] in self.values

    def __str__(self) -> str:
        shown = "|".join(map(str, self.values)) if len(self.values) <= 4 else f"{self.values[0]}..{self.values[-1]}"
        return f"{self.name} = {shown}"


@dataclass(frozen=True)
class Choices:
    """A few listed values: a choice, a flag, multiplicative steps, or one fixed value."""

    values: tuple[Value, ...]

    def nearest(self, value: Any) -> Value | None:
        """The listed value that equals this one, or None. True == 1 in Python, but a flag is no number."""
        return next(
            (one for one in self.values if value == one and isinstance(value, bool) == isinstance(one, bool)), None
        )

    def __str__(self) -> str:
        return f"one of {', '.join(map(repr, self.values))}" if len(self.values) > 1 else repr(self.values[0])


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included, in additive steps or any between (`step` None).

    `scale` says where a sampler looks more closely: "linear" nowhere, "log" near `low`, "reverse_log" near `high`.
    """

    low: float
    high: float
    step: float | None = None
    scale: str = "linear"
    whole: bool = False

    def nearest(self, value: Any) -> Value | None:
        """The value as the range has it, or None outside of it; a step of a float lies a rounding error off."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        if not abs(value) <= 2 * max(abs(self.low), abs(self.high)) + 1:  # NaN, or what is far beyond any rounding
            return None
        low, step = self.low, self.step
        nearest = value if step is None else round(low + round((value - low) / step) * step, 10)
        if step is not None and nearest > self.high and math.isclose(nearest, self.high, rel_tol=1e-9, abs_tol=1e-9):
            nearest = self.high  # which rounding may have gone beyond
        if not low <= nearest <= self.high or not math.isclose(value, nearest, rel_tol=1e-9, abs_tol=1e-9):
            return None
        if self.whole:
            return int(nearest) if nearest == int(nearest) else None
        return float(nearest)

    def place(self, value: float) -> float:
        """Where the value lies on the range's scale: 0 is the lower end and 1 the upper one."""
        low, high = self._ends()
        if self.scale == "linear":
            return (value - low) / (high - low) if high > low else 0.5
        if self.scale == "reverse_log":
            value = low + high - value
        place = math.log(value / low) / math.log(high / low) if high > low else 0.5
        return 1 - place if self.scale == "reverse_log" else place

    def at(self, place: float) -> Value:
        """The value at that place, or at the nearest end; the inverse of `place`."""
        place = min(max(place, 0.0), 1.0)
        low, high = self._ends()
        if self.scale == "linear":
            value = low + (high - low) * place
        else:
            value = low * (high / low) ** (1 - place if self.scale == "reverse_log" else place)
            value = low + high - value if self.scale == "reverse_log" else value
        step = self.step or (1 if self.whole else None)
        if step:
            last = math.floor((self.high - self.low) / step + 1e-9)
            value = round(self.low + min(max(math.floor((value - self.low) / step + 0.5), 0), last) * step, 10)
        value = min(max(value, self.low), self.high)
        return round(value) if self.whole else value

    def _ends(self) -> tuple[float, float]:
        """Of the scale: half a step beyond the range, so that first and last value have as much room as the others."""
        half = (self.step or (1 if self.whole else 0)) / 2
        if self.scale != "linear" and self.low <= half:
            half = 0
        return self.low - half, self.high + half

    def __str__(self) -> str:
        text = f"{'a whole number' if self.whole else 'a number'} from {self.low} to {self.high}"
        return text if self.step in (None, 1) else f"{text} in steps of {self.step}"


@dataclass(frozen=True)
class Hyperparameter:
    """Its name, what it allows, its default, and the conditions under which it is active."""

    name: str
    allowed: Choices | Range
    """As text it is the rule in words."""
    default: Value
    conditions: tuple[Condition, ...] = ()
    drawn: bool = True
    """Whether a search varies it; else it keeps its default wherever a given configuration does not set it."""

    def is_active(self, values: Mapping[str, Value]) -> bool:
        """Whether all conditions hold under the values of the hyperparameters declared before."""
        return not self.conditions or all(condition.holds(values) for condition in self.conditions)
