"""Studies with a simulated clock: who trains when, and what is found by then."""

import json
from pathlib import Path

import pytest

from benchmarks.search_quality.curves import Curves, Scale
from benchmarks.search_quality.ray_methods import METHODS, quiet
from benchmarks.search_quality.simulator import Decision, simulate
from benchmarks.search_quality.table import Table
from search_spaces.configuration import Configuration
from search_spaces.hyperparameter import Hyperparameter, Range
from tests.conftest import SHARED

DATA = SHARED / "data"


class Hill:
    """One number; the closer to 0.7, the better after the last epoch. An epoch of a configuration takes 1 + x."""

    max_epochs = 9
    grace_epochs = 1
    space = (Hyperparameter("x", Range(0.0, 1.0), 0.5),)

    def at(self, configuration: Configuration, epoch: int) -> tuple[float, float]:
        x = float(configuration["x"])
        return 100 - 100 * abs(x - 0.7) - (9 - epoch), epoch * (1 + x)


class Given:
    """Tries given values, each up to given epochs; pauses at the first epoch where it is told to."""

    def __init__(self, trials: list[tuple[float, int]], pauses: bool = False) -> None:
        self._trials = trials
        self._pauses = pauses
        self._paused: list[str] = []
        self._begun = 0
        self.told: list[tuple[str, int, float]] = []

    def next(self) -> tuple[str, Configuration] | None:
        if self._begun == len(self._trials):
            if not self._paused:
                return None
            trial = self._paused.pop()
            return trial, {"x": self._trials[int(trial)][0]}
        self._begun += 1
        return str(self._begun - 1), {"x": self._trials[self._begun - 1][0]}

    def report(self, trial: str, epoch: int, accuracy: float, seconds: float) -> Decision:
        self.told.append((trial, epoch, seconds))
        if self._pauses and epoch == 1:
            self._paused.append(trial)
            return "pause"
        return "go on" if epoch < self._trials[int(trial)][1] else "stop"


def test_workers_train_beside_each_other() -> None:
    method = Given([(0.0, 2), (1.0, 2), (0.5, 1), (0.0, 99)])
    history = simulate(method, Hill(), workers=2, budget=4.9)
    # Epochs of 0 end at 1 and 2, of 1 at 2 and 4; 2 begins at 2 and ends at 3.5, 3 begins then and reaches 4.5.
    assert method.told == [("0", 1, 1), ("1", 1, 2), ("0", 2, 2), ("2", 1, 1.5), ("1", 2, 4), ("3", 1, 1)]
    assert (history.trials, history.epochs) == (4, 6)
    assert history.improvements == [(1, 22), (2, pytest.approx(62)), (3.5, pytest.approx(72))]


def test_a_paused_trial_goes_on_from_where_it_was() -> None:
    method = Given([(0.0, 2), (0.0, 2), (0.0, 2)], pauses=True)
    history = simulate(method, Hill(), workers=1, budget=5)
    assert method.told == [("0", 1, 1), ("1", 1, 1), ("2", 1, 1), ("2", 2, 2), ("1", 2, 2)]
    assert history.trials == 3


def test_a_method_that_has_nothing_left_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="proposes nothing although all workers are free"):
        simulate(Given([(0.5, 1)]), Hill(), workers=1, budget=100)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_climbs_the_hill(name: str) -> None:
    quiet()
    curves: Curves = Hill()
    history = simulate(METHODS[name](curves, 0, 1, 4), curves, workers=4, budget=200)
    assert history.best > 99
    again = simulate(METHODS[name](curves, 0, 1, 4), curves, workers=4, budget=200)
    assert again == history
    without_stopping = history.trials * curves.max_epochs
    assert (history.epochs > 0.9 * without_stopping) == (name == "TPE")


def test_regret_is_measured_between_the_median_and_the_best() -> None:
    assert [Scale(90, 70, 1).regret(value) for value in (70, 90, 92)] == [1, 0, -0.1]


def test_a_table_answers_with_its_nearest_row(tmp_path: Path) -> None:
    rows = [
        {"configuration": ["adam", width], "accuracy": [width, 2 * width], "seconds": [1, 2]} for width in range(1, 13)
    ] + [{"configuration": ["sgd", 5], "accuracy": [50, 60], "seconds": [3, 6]}]
    (tmp_path / "table.json").write_text(json.dumps({"columns": ["optimizer", "width"], "max_epochs": 2, "rows": rows}))
    table = Table(tmp_path / "table.json")
    assert table.at({"optimizer": "adam", "width": 4}, 2) == (8, 2)
    assert table.at({"optimizer": "sgd", "width": 9}, 1) == (50, 3)
    assert [one.name for one in table.space] == ["optimizer", "width"]


@pytest.mark.skipif(not (DATA / "lcbench").is_dir(), reason="the surrogate lies in ../shared/data/lcbench")
def test_lcbench_tells_a_learning_curve_and_a_clock() -> None:
    pytest.importorskip("onnxruntime", reason="belongs to the extra `bench`")
    from benchmarks.search_quality.lcbench import LCBench, tasks

    assert len(tasks(DATA / "lcbench")) == 34
    curves = LCBench(DATA / "lcbench", "167149")
    configuration: Configuration = {
        "batch_size": 64, "learning_rate": 1e-2, "momentum": 0.9, "weight_decay": 1e-2, "num_layers": 3,
        "max_units": 256, "max_dropout": 0.5,
    }  # fmt: skip
    accuracies, seconds = zip(*(curves.at(configuration, epoch) for epoch in range(1, 53)), strict=True)
    assert accuracies[51] > accuracies[0] + 20
    assert list(seconds) == sorted(seconds)
