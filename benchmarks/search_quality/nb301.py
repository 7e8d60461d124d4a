"""NAS-Bench-301: cells of a network for CIFAR-10, 34 choices, 28 of them conditional, 98 epochs.

Zela, Siems, Zimmer, Lukasik, Keuper, Hutter (2022), "Surrogate NAS Benchmarks", ICLR; here YAHPO Gym's surrogate of it.
"""

import json
from pathlib import Path

import numpy as np

from benchmarks.search_quality.curves import read_space
from benchmarks.search_quality.surrogate import surrogate
from search_spaces.configuration import Configuration

PREFIX = "NetworkSelectorDatasetInfo_COLON_darts_COLON_"
INACTIVE = "#na#"


class NB301:
    """The one task. An epoch of any network counts as one second: the predicted times are not monotone."""

    max_epochs = 98
    grace_epochs = 1

    def __init__(self, folder: Path) -> None:
        self.space = read_space(json.loads((folder / "config_space.json").read_text()), PREFIX, without=("epoch",))
        codes = json.loads((folder / "encoding.json").read_text())
        self._codes = {name.removeprefix(PREFIX): code for name, code in codes.items()}
        self._model = surrogate(folder)

    def at(self, configuration: Configuration, epoch: int) -> tuple[float, float]:
        """As `Curves` says."""
        coded = [code[configuration.get(name, INACTIVE)] for name, code in self._codes.items()]
        given = {"x_cat": np.array([coded], "int32"), "x_cont": np.array([[epoch]], "float32")}
        return float(self._model.run(None, given)[0][0, 0]), float(epoch)
