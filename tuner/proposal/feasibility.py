"""Which configurations have models beyond the study's limits."""

import math
from collections.abc import Mapping, Sequence

from search_spaces.configuration import Configuration
from search_spaces.hyperparameter import Hyperparameter
from tuner.proposal.log_linear import ENOUGH, LogLinear


class Feasibility:
    """Guesses how far a configuration's model is beyond the limits, from the models that were built.

    Args:
        space: whose configurations.
        limits: the most of each measure, such as {"parameters": 3e6}; measures without a limit are left out.
    """

    def __init__(self, space: Sequence[Hyperparameter], limits: Mapping[str, float]) -> None:
        self._limits = dict(limits)
        self._models = {name: LogLinear(space) for name in limits}

    def observe(self, configuration: Configuration, measured: Mapping[str, float | None]) -> None:
        """Its model was built and has so much of some measures."""
        for name, model in self._models.items():
            if (value := measured.get(name)) is not None:
                model.observe(configuration, value)

    def excess(self, configuration: Configuration) -> float:
        """The logarithm of its greatest guessed share of a limit; 0 within all, and where too little is known."""
        found = [
            math.log(max(model.predicted(configuration), 1e-3) / self._limits[name])
            for name, model in self._models.items()
            if len(model) >= ENOUGH
        ]
        return max([0.0, *found])
