"""The leaderboard that a user opens: leaderboard.csv."""

import csv
from pathlib import Path

from results.records import TrialState
from results.report import write_report
from tests.results.written_run import HYPERPARAMETERS, a_trial, write_run


def rows_of(run: Path, trials: list, hyperparameters: tuple[str, ...] = HYPERPARAMETERS) -> list[dict[str, str]]:
    paths = write_run(run, trials, hyperparameters)
    write_report(paths)
    with paths.leaderboard.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_columns_are_the_measures_then_the_hyperparameters_as_declared(tmp_path: Path) -> None:
    [row] = rows_of(tmp_path / "run", [a_trial(0, [0.5])])
    assert list(row) == [
        *("rank", "trial", "state", "val_accuracy", "best_epoch", "epochs", "seconds", "parameters"),
        *("size_mb", "latency_ms"),
        *("optimizer", "learning_rate", "momentum", "units"),
        "reason",
    ]


def test_a_row_holds_the_best_epoch_and_the_configuration(tmp_path: Path) -> None:
    [row] = rows_of(tmp_path / "run", [a_trial(0, [0.5, 0.75, 0.7], learning_rate=0.00123)])
    assert row == {
        "rank": "1",
        "trial": "0",
        "state": "DONE",
        "val_accuracy": "0.75",
        "best_epoch": "2",
        "epochs": "3",
        "seconds": "3.75",
        "parameters": "12345",
        "size_mb": "0.049",
        "latency_ms": "1.25",
        "optimizer": "adam",
        "learning_rate": "0.00123",
        "momentum": "",
        "units": "64",
        "reason": "",
    }


def test_best_first_and_of_equals_the_lower_trial_number(tmp_path: Path) -> None:
    trials = [a_trial(0, [0.6]), a_trial(1, [0.9]), a_trial(2, [0.6, 0.4]), a_trial(11, [0.95]), a_trial(3, [0.6])]
    rows = rows_of(tmp_path / "run", trials)
    assert [row["trial"] for row in rows] == ["11", "1", "0", "2", "3"]
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4", "5"]


def test_a_trial_without_an_epoch_comes_last_and_has_no_rank(tmp_path: Path) -> None:
    failed = a_trial(0, state=TrialState.FAILED, reason="out of memory")
    rows = rows_of(tmp_path / "run", [failed, a_trial(1, [0.0])])
    assert [(row["trial"], row["rank"], row["val_accuracy"]) for row in rows[1:]] == [("0", "", "")]
    assert rows[0]["trial"] == "1"
    assert [row["reason"] for row in rows] == ["", "out of memory"]


def test_whole_numbers_stay_whole_in_columns_with_gaps(tmp_path: Path) -> None:
    trials = [a_trial(0, [0.9], momentum=1), a_trial(1, state=TrialState.FAILED, reason="x")]
    rows = rows_of(tmp_path / "run", trials)
    assert [(row["rank"], row["best_epoch"], row["parameters"], row["momentum"]) for row in rows] == [
        ("1", "1", "12345", "1"),
        ("", "", "", ""),
    ]


def test_a_hyperparameter_named_like_a_measure_does_not_replace_it(tmp_path: Path) -> None:
    [row] = rows_of(tmp_path / "run", [a_trial(0, [0.5, 0.6], epochs=40)], ("units", "epochs"))
    assert row["epochs"] == "2"
    assert row["hyperparameter epochs"] == "40"
