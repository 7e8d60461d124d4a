"""Hypothesis strategies over declared spaces."""

from collections.abc import Sequence

from hypothesis import strategies as st

from search_spaces.configuration import Configuration
from search_spaces.hyperparameter import Choices, Hyperparameter, Range


@st.composite
def configurations(draw: st.DrawFn, space: Sequence[Hyperparameter]) -> Configuration:
    """Any configuration of the space, branches included."""
    values: Configuration = {}
    for hyperparameter in space:
        if hyperparameter.is_active(values):
            values[hyperparameter.name] = draw(_values(hyperparameter.allowed))
    return values


def _values(allowed: Choices | Range) -> st.SearchStrategy:
    if isinstance(allowed, Choices):
        return st.sampled_from(allowed.values)
    low, high, step = allowed.low, allowed.high, allowed.step
    if step is not None:
        return st.integers(0, int((high - low) / step + 1e-9)).map(lambda count: low + count * step)
    return st.integers(int(low), int(high)) if allowed.whole else st.floats(low, high)
