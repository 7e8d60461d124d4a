"""What a person reads while a search runs, in a pipe and on a terminal."""

import io
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

import tuner.monitor
from results.paths import RunPaths
from results.records import TrialRecord, TrialState
from search_spaces.hyperparameter import Choices, Hyperparameter, Range
from tests.results.written_run import a_trial
from tuner.activity import Activity
from tuner.clock import StudyClock
from tuner.monitor import Monitor, Watched

SPACE = (
    Hyperparameter("optimizer", Choices(("adam", "sgd")), "adam"),
    Hyperparameter("learning_rate", Range(1e-5, 1.0), 0.001),
    Hyperparameter("units", Choices((32, 64)), 64),
)


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setattr(tuner.monitor, "QUIET", 0.0)
    paths = RunPaths(tmp_path)
    for trial in range(20):
        paths.trial(trial).mkdir(parents=True)
    return Watched("pets", 4, 20, paths, SPACE)


def running(number: int, *accuracies: float, **configuration: object) -> TrialRecord:
    return a_trial(number, accuracies, TrialState.RUNNING, **configuration)


def told(watched: Watched, *records: TrialRecord) -> list[str]:
    """The lines after these changes, and after a while without any; times of the clock taken out."""
    output = io.StringIO()
    monitor = Monitor(watched, output, StudyClock())
    for record in records:
        monitor.changed(record)
    monitor.look()
    return [re.sub(r"^\[\S+\] ", "", line) for line in output.getvalue().splitlines()]


def test_before_the_first_result_it_says_what_each_worker_does(watched: Watched) -> None:
    Activity(watched.paths.activity(0)).within("computing features of 2,493 images", 0.4)
    Activity(watched.paths.activity(1)).now("loading Keras")
    assert told(watched, running(0), running(1), running(2)) == [
        "running: trial 0: computing features of 2,493 images, 40 %; trial 1: loading Keras; trial 2: beginning"
    ]


def test_between_results_it_says_which_epoch_runs_and_how_long_one_takes(watched: Watched) -> None:
    slow = running(0, 0.5)
    slow = replace(slow, epochs=(replace(slow.epochs[0], seconds=190.0),))
    *_, line = told(watched, slow)
    assert line == "running: trial 0: epoch 2, 3m10s an epoch"
    Activity(watched.paths.activity(0)).within("epoch 2", 0.12)
    *_, line = told(watched, slow)
    assert line == "running: trial 0: epoch 2, 12 %, 3m10s an epoch"


def test_on_a_cluster_without_a_shared_folder_it_says_what_the_records_know(watched: Watched, tmp_path: Path) -> None:
    watched = replace(watched, paths=RunPaths(tmp_path / "not here"))
    assert told(watched, running(0)) == ["running: trial 0: beginning"]


def test_many_trials_are_counted_rather_than_listed(watched: Watched) -> None:
    (line,) = told(watched, *(running(number) for number in range(11)))
    assert line.count("trial ") == 8
    assert line.endswith("; 3 others")


def test_nothing_is_repeated_while_other_lines_come(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuner.monitor, "QUIET", 60.0)
    assert told(watched, running(0)) == []


def test_where_nothing_runs_there_is_nothing_to_say(watched: Watched) -> None:
    (line,) = told(watched, a_trial(0, state=TrialState.FAILED, reason="no such layer"))
    assert line.startswith("trial 0 failed: no such layer")


def test_a_new_best_shows_what_differs_from_the_defaults(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuner.monitor, "QUIET", 60.0)
    first, second, third = told(watched, running(0, 0.5), running(1, 0.6, units=32), running(1, 0.6, 0.7, units=32))
    assert first == "best so far 50.0%: trial 0, epoch 1, 1s an epoch: the default configuration"
    assert second == "best so far 60.0%: trial 1, epoch 1, 1s an epoch: units=32"
    assert third == "best so far 70.0%: trial 1, epoch 2, 1s an epoch"


def test_the_live_table_shows_it_too(watched: Watched) -> None:
    Activity(watched.paths.activity(0)).within("computing features of 2,493 images", 0.4)
    monitor = Monitor(watched, io.StringIO(), StudyClock())
    monitor.changed(running(0, units=32))
    monitor.look()
    monitor.console.print(monitor._table())
    assert isinstance(monitor.console.file, io.StringIO)
    row = next(line for line in monitor.console.file.getvalue().splitlines() if line.strip().startswith("0 "))
    assert "computing features of 2,493 images, 40 %" in row
    assert "units=32" in row
    assert "learning_rate" not in row


def test_it_looks_by_itself_while_it_is_open(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuner.monitor, "PERIOD", 0.01)
    Activity(watched.paths.activity(0)).now("loading Keras")
    output, until = io.StringIO(), time.monotonic() + 60
    with Monitor(watched, output, StudyClock(), [running(0)]):
        while not output.getvalue() and time.monotonic() < until:
            time.sleep(0.01)
    assert "running: trial 0: loading Keras" in output.getvalue()
