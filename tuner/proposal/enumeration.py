"""All configurations of a small finite space."""

import itertools
from collections.abc import Iterator, Sequence

from search_spaces.configuration import Configuration
from search_spaces.hyperparameter import Choices, Hyperparameter, Range, Value

MOST = 10_000
"""Configurations that are worth looking through one by one."""


def every_configuration(space: Sequence[Hyperparameter]) -> list[Configuration] | None:
    """Each of them; None where there are more than `MOST`."""
    try:
        found = list(itertools.islice(_from(space, {}), MOST + 1))
    except _Infinite:
        return None
    return found if len(found) <= MOST else None


class _Infinite(Exception):
    """A continuous hyperparameter is active in some branch."""


def _from(space: Sequence[Hyperparameter], begun: Configuration) -> Iterator[Configuration]:
    if not space:
        yield begun
        return
    one, rest = space[0], space[1:]
    if not one.is_active(begun):
        yield from _from(rest, begun)
        return
    values = _values(one.allowed) if one.drawn else (one.default,)
    if values is None:
        raise _Infinite
    for value in values:
        yield from _from(rest, begun | {one.name: value})


def _values(allowed: Choices | Range) -> Sequence[Value] | None:
    if isinstance(allowed, Choices):
        return allowed.values
    if allowed.low == allowed.high:
        return (allowed.at(0.0),)
    step = allowed.step or (1 if allowed.whole else None)
    if step is None:
        return None
    count = int((allowed.high - allowed.low) / step + 1e-9) + 1
    if count > MOST:
        return None
    values = [allowed.nearest(round(allowed.low + number * step, 10)) for number in range(count)]
    return [value for value in values if value is not None]
