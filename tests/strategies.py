"""Hypothesis strategies over declared spaces."""

from collections.abc import Sequence

from hypothesis import strategies as st
from keras_tuner.engine.hyperparameters import HyperParameter, Int

from search_spaces.configuration import Configuration
from search_spaces.hyperparameters import finite_values, is_active


@st.composite
def configurations(draw: st.DrawFn, space: Sequence[HyperParameter]) -> Configuration:
    """Any configuration of the space, branches included."""
    values: Configuration = {}
    for hyperparameter in space:
        if is_active(hyperparameter, values):
            values[hyperparameter.name] = draw(_values(hyperparameter))
    return values


def _values(hyperparameter: HyperParameter) -> st.SearchStrategy:
    allowed = finite_values(hyperparameter)
    if allowed is not None:
        return st.sampled_from(allowed)
    low, high, step = hyperparameter.min_value, hyperparameter.max_value, hyperparameter.step
    if step is not None:
        steps = int((high - low) / step + 1e-9)
        return st.integers(0, steps).map(lambda count: low + count * step)
    return st.integers(low, high) if isinstance(hyperparameter, Int) else st.floats(low, high)
