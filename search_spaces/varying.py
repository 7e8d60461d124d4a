"""Hyperparameters whose range depends on another one's value, as in `hp.Int("units", 8, 64 if small else 512)`."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from search_spaces.hyperparameter import Choices, Condition, Hyperparameter, Range, Value

Key = tuple[str, tuple[Condition, ...]]
Ranges = Mapping[Key, tuple[Choices | Range, Value]]
"""What a build allowed, and its default, by name and declared conditions."""
Seen = Sequence[tuple[Mapping[str, Value], Ranges]]
"""Of each build its values and ranges."""


def ranges_of(found: Sequence[Hyperparameter]) -> Ranges:
    """What was registered for one model."""
    return {(one.name, one.conditions): (one.allowed, one.default) for one in found}


def split(
    found: Sequence[Hyperparameter], seen: Seen, values_of: Callable[[Hyperparameter], Sequence[Value]]
) -> tuple[list[Hyperparameter], tuple[str, ...]]:
    """Each such hyperparameter as several, conditional on the one that decides its range.

    Returns:
        All hyperparameters, and the names of those where no single other one decides the range.
    """
    whole: list[Hyperparameter] = []
    unclear: dict[str, None] = {}
    for one in found:
        variants = [(values, ranges[key]) for values, ranges in seen for key in ranges if _is(one, key)]
        if len({str(allowed) for _, allowed in variants}) <= 1:
            whole.append(one)
            continue
        parts = next(filter(None, (_parts(one, parent, variants, values_of(parent)) for parent in whole)), None)
        whole += parts or [one]
        if parts is None:
            unclear[one.name] = None
    return whole, tuple(unclear)


def _is(one: Hyperparameter, key: Key) -> bool:
    """Whether the key is of the hyperparameter, to which conditions may have been added behind those declared."""
    name, conditions = key
    return name == one.name and one.conditions[: len(conditions)] == conditions


def _parts(
    one: Hyperparameter,
    parent: Hyperparameter,
    variants: Sequence[tuple[Mapping[str, Value], tuple[Choices | Range, Value]]],
    values: Sequence[Value],
) -> list[Hyperparameter] | None:
    """One hyperparameter for each range, if each value of the parent that was seen has one and the same."""
    if parent.name == one.name or any(parent.name not in given for given, _ in variants):
        return None
    by_value: dict[Value, tuple[Choices | Range, Value]] = {}
    for given, allowed in variants:
        if str(by_value.setdefault(given[parent.name], allowed)) != str(allowed):
            return None
    said = next((condition.values for condition in one.conditions if condition.name == parent.name), None)
    if set(values if said is None else said) != set(by_value):
        return None
    others = tuple(condition for condition in one.conditions if condition.name != parent.name)
    groups: dict[str, list[Value]] = {}
    for value in by_value:
        groups.setdefault(str(by_value[value]), []).append(value)
    return [
        dataclasses.replace(
            one,
            allowed=by_value[group[0]][0],
            default=by_value[group[0]][1],
            conditions=(*others, Condition(parent.name, tuple(value for value in values if value in group))),
        )
        for group in groups.values()
    ]
