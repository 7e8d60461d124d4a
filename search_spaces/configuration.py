"""A configuration: the values of one trial, as a plain dict of hyperparameter names.

The same dict searches, retrains, reports and exports. It holds the active hyperparameters only.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from search_spaces.errors import UserError, like
from search_spaces.hyperparameter import Choices, Hyperparameter, Value

Configuration = dict[str, Value]


def complete(space: Sequence[Hyperparameter], partial: Mapping[str, Any]) -> Configuration:
    """A whole configuration: the given values checked, and the default for every active one that is left out.

    Raises:
        UserError: a name that the space does not have, a value out of range, or one whose condition does not hold.
    """
    names = {hyperparameter.name for hyperparameter in space}
    for name in partial:
        if name not in names:
            raise UserError(f"unknown hyperparameter {name!r}{_like(name, space)}; this space has {_names(space)}")
    values: Configuration = {}
    for hyperparameter in space:
        if hyperparameter.is_active(values):
            values[hyperparameter.name] = _checked(hyperparameter, partial)
    for name in partial:
        if name not in values:
            raise UserError(f"hyperparameter {name!r} has no effect here: it needs {_conditions(space, name)}")
    return values


def _checked(hyperparameter: Hyperparameter, partial: Mapping[str, Any]) -> Value:
    name = hyperparameter.name
    value = partial.get(name, hyperparameter.default)
    found = hyperparameter.allowed.nearest(value)
    if found is None:
        raise UserError(f"hyperparameter {name!r} is {value!r} but must be {hyperparameter.allowed}")
    return found


def _conditions(space: Sequence[Hyperparameter], name: str) -> str:
    branches = (hyperparameter.conditions for hyperparameter in space if hyperparameter.name == name)
    return " or ".join(" and ".join(map(str, conditions)) for conditions in branches)


def fixed(space: Sequence[Hyperparameter], settings: Mapping[str, Any]) -> tuple[Hyperparameter, ...]:
    """The space with some hyperparameters fixed to one value, wherever they are active.

    Raises:
        UserError: a name that the space does not have, or a value that one of its branches does not allow.
    """
    for name in settings:
        if all(one.name != name for one in space):
            raise UserError(f"--fix {name}: unknown hyperparameter{_like(name, space)}; this space has {_names(space)}")
    return tuple(_fixed(one, settings) if one.name in settings else one for one in space)


def _fixed(one: Hyperparameter, settings: Mapping[str, Any]) -> Hyperparameter:
    value = settings[one.name]
    if any(other.name in settings and settings[other.name] not in other.values for other in one.conditions):
        return one  # never active: what it depends on is fixed to something else
    nearest = one.allowed.nearest(value)
    if nearest is None:
        where = f" (where {' and '.join(map(str, one.conditions))})" if one.conditions else ""
        raise UserError(f"--fix {one.name}={value}: must be {one.allowed}{where}")
    return dataclasses.replace(one, allowed=Choices((nearest,)), default=nearest)


def _like(name: str, space: Sequence[Hyperparameter]) -> str:
    return like(name, [hyperparameter.name for hyperparameter in space])


def _names(space: Sequence[Hyperparameter]) -> str:
    return ", ".join(sorted({hyperparameter.name for hyperparameter in space}))


def configuration_key(configuration: Mapping[str, Value]) -> tuple[tuple[str, Value], ...]:
    """Return what two configurations have in common if and only if they are the same, in whatever order."""
    return tuple(sorted(configuration.items()))


def differing(configuration: Mapping[str, Value], hyperparameters: Sequence[Hyperparameter]) -> Configuration:
    """Return the values that differ from the defaults of the space.

    Args:
        configuration: the active values.
        hyperparameters: as the space declares them. One name may stand in several branches, each with its own default.
            A value whose hyperparameter is not among them counts as different.
    """
    at_default = {
        one.name
        for one in hyperparameters
        if one.is_active(configuration)
        and (value := one.allowed.nearest(configuration.get(one.name))) is not None
        and value == one.allowed.nearest(one.default)
    }
    return {name: value for name, value in configuration.items() if name not in at_default}


def in_short(configuration: Mapping[str, Value], hyperparameters: Sequence[Hyperparameter]) -> str:
    """Return what differs from the defaults, to be read by people; without any, "the default configuration"."""
    return one_line(differing(configuration, hyperparameters)) or "the default configuration"


def one_line(configuration: Mapping[str, Value]) -> str:
    """A configuration to be read by people: `learning_rate=0.00132 blocks=3 ...`."""
    return " ".join(f"{name}={shown(value)}" for name, value in configuration.items())


def shown(value: Value) -> str:
    """One value, numbers to three significant digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
