"""LCBench: networks for 34 classification tasks, 7 hyperparameters, 52 epochs.

Zimmer, Lindauer, Hutter (2021), "Auto-PyTorch Tabular", IEEE TPAMI 43(9); here YAHPO Gym's surrogate of it (Pfisterer,
Schneider, Moosbauer, Binder, Bischl 2022, AutoML conference).
"""

import json
from pathlib import Path

import numpy as np

from benchmarks.search_quality.curves import read_space
from benchmarks.search_quality.surrogate import surrogate
from search_spaces.configuration import Configuration

MAX_EPOCHS = 52
INPUTS = ("batch_size", "learning_rate", "momentum", "weight_decay", "num_layers", "max_units", "max_dropout")
TIME, ACCURACY = 0, 1
"""Columns of the surrogate's output."""


def tasks(folder: Path) -> list[str]:
    """Numbers of OpenML."""
    stored = json.loads((folder / "config_space.json").read_text())
    return next(one["choices"] for one in stored["hyperparameters"] if one["name"] == "OpenML_task_id")


class LCBench:
    """One of its tasks."""

    max_epochs = MAX_EPOCHS
    grace_epochs = 3

    def __init__(self, folder: Path, task: str) -> None:
        stored = json.loads((folder / "config_space.json").read_text())
        self.space = read_space(stored, without=("OpenML_task_id", "epoch"))
        self._task = json.loads((folder / "encoding.json").read_text())["OpenML_task_id"][task]
        self._model = surrogate(folder)
        self._known: dict[tuple[float, ...], np.ndarray] = {}

    def at(self, configuration: Configuration, epoch: int) -> tuple[float, float]:
        """As `Curves` says. The predicted time may fall from one epoch to the next; a clock does not."""
        values = tuple(float(configuration[name]) for name in INPUTS)
        if values not in self._known:
            inputs = np.empty((MAX_EPOCHS, 1 + len(INPUTS)), "float32")
            inputs[:, 0], inputs[:, 1:] = np.arange(1, MAX_EPOCHS + 1), values
            given = {"x_cat": np.full((MAX_EPOCHS, 1), self._task, "int32"), "x_cont": inputs}
            predicted = self._model.run(None, given)[0].astype("float64")
            predicted[:, TIME] = np.maximum.accumulate(np.maximum(predicted[:, TIME], 0.0))
            self._known[values] = predicted
        row = self._known[values][epoch - 1]
        return float(row[ACCURACY]), float(row[TIME])
