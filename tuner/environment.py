"""Variables of the environment that Ray and its processes read."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables for the block; afterwards they are as they were, for whatever else this process does with Ray."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def unless_set(values: Mapping[str, str]) -> dict[str, str]:
    """Those of the variables that the user has not set."""
    return {name: value for name, value in values.items() if name not in os.environ}
