"""A configuration: the values of one trial, as a plain dict of hyperparameter names.

The same dict searches, retrains, reports and exports. It holds the active hyperparameters only.
"""

from collections.abc import Mapping

Value = bool | int | float | str
Configuration = dict[str, Value]


def one_line(configuration: Mapping[str, Value]) -> str:
    """A configuration to be read by people: `learning_rate=0.00132 blocks=3 ...`."""
    return " ".join(f"{name}={shown(value)}" for name, value in configuration.items())


def shown(value: Value) -> str:
    """One value, numbers to three significant digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
