"""KerasTuner's hyperparameters, read: which are active, what they allow, and whether a configuration fits them."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import keras_tuner
from keras_tuner.engine.hyperparameters import Boolean, Choice, Fixed, HyperParameter, Int

from search_spaces.configuration import Configuration, Value
from search_spaces.errors import UserError


def populated(configuration: Mapping[str, Value]) -> keras_tuner.HyperParameters:
    """KerasTuner's container with these values set, ready for `space.build`."""
    hp = keras_tuner.HyperParameters()
    hp.values = dict(configuration)
    return hp


def is_active(hyperparameter: HyperParameter, values: Mapping[str, Value]) -> bool:
    """Whether all conditions of the hyperparameter hold under the values of those declared before it."""
    return all(condition.is_active(values) for condition in hyperparameter.conditions)


def finite_values(hyperparameter: HyperParameter) -> list[Value] | None:
    """All values in order where they are few and listed (choices, flags, multiplicative steps); None for a range."""
    if isinstance(hyperparameter, Fixed):
        return [hyperparameter.value]
    if isinstance(hyperparameter, Boolean):
        return [False, True]
    if isinstance(hyperparameter, Choice):
        return list(hyperparameter.values)
    if hyperparameter.sampling != "linear" and hyperparameter.step is not None:
        as_type = int if isinstance(hyperparameter, Int) else float
        return sorted(as_type(value) for value in hyperparameter.values)
    return None


def complete(space: Iterable[HyperParameter], partial: Mapping[str, Any]) -> Configuration:
    """A whole configuration: the given values checked, and the default for every active one that is left out.

    Raises:
        UserError: a name that the space does not have, a value out of range, or one whose condition does not hold.
    """
    space = list(space)
    names = {hyperparameter.name for hyperparameter in space}
    for name in partial:
        if name not in names:
            raise UserError(f"unknown hyperparameter {name!r}; this space has {', '.join(sorted(names))}")
    values: Configuration = {}
    for hyperparameter in space:
        if is_active(hyperparameter, values):
            values[hyperparameter.name] = _checked(hyperparameter, partial)
    for name in partial:
        if name not in values:
            raise UserError(f"hyperparameter {name!r} has no effect here: it needs {_conditions(space, name)}")
    return values


def _checked(hyperparameter: HyperParameter, partial: Mapping[str, Any]) -> Value:
    value = partial.get(hyperparameter.name, hyperparameter.default)
    allowed = finite_values(hyperparameter)
    if allowed is not None:
        for one in allowed:  # True == 1 in Python, but a flag is no number
            if value == one and isinstance(value, bool) == isinstance(one, bool):
                return one
    elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        found = _in_range(hyperparameter, value)
        if found is not None:
            return found
    raise UserError(f"hyperparameter {hyperparameter.name!r} is {value!r} but must be {describe(hyperparameter)}")


def _in_range(hyperparameter: HyperParameter, value: float) -> Value | None:
    """The value as the range has it (a step of a float lies a rounding error off: 12 * 0.05 > 0.6), or None."""
    low, high, step = hyperparameter.min_value, hyperparameter.max_value, hyperparameter.step
    nearest = value if step is None else round(low + round((value - low) / step) * step, 10)
    if not low <= nearest <= high or not math.isclose(value, nearest, rel_tol=1e-9, abs_tol=1e-9):
        return None
    return int(nearest) if isinstance(hyperparameter, Int) else float(nearest)


def describe(hyperparameter: HyperParameter) -> str:
    """The rule for one hyperparameter in words, for error messages and listings."""
    allowed = finite_values(hyperparameter)
    if allowed is not None:
        return f"one of {', '.join(repr(value) for value in allowed)}"
    kind = "a whole number" if isinstance(hyperparameter, Int) else "a number"
    text = f"{kind} from {hyperparameter.min_value} to {hyperparameter.max_value}"
    return text if hyperparameter.step in (None, 1) else f"{text} in steps of {hyperparameter.step}"


def _conditions(space: list[HyperParameter], name: str) -> str:
    branches = (hyperparameter.conditions for hyperparameter in space if hyperparameter.name == name)
    return " or ".join(
        " and ".join(f"{condition.name} = {_few(condition.values)}" for condition in conditions)
        for conditions in branches
    )


def _few(values: list[Value]) -> str:
    shown = [str(value) for value in values]
    return "|".join(shown) if len(shown) <= 4 else f"{shown[0]}..{shown[-1]}"
