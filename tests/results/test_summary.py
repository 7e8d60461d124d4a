"""What is printed when a search ends."""

import dataclasses
from pathlib import Path

import pytest

from results.records import TrialState, read_study, write
from results.summary import print_summary
from search_spaces.hyperparameter import Choices, Hyperparameter, Range
from tests.results.written_run import a_trial, keep_model, many_trials, write_run


@pytest.fixture(autouse=True)
def narrow_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)


def test_the_best_five_with_their_configurations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(write_run(tmp_path / "run", many_trials(12)))
    printed = capsys.readouterr().out
    assert "The best 5 of 12 trials:" in printed
    lines = [line.split() for line in printed.splitlines()]
    assert ["1", "1", "done", "89.90", "%", "2", "2", "2.5", "12,345", "1.2"] in lines
    assert [line[1] for line in lines if "done" in line] == ["1", "3", "5", "7", "9"]
    assert ["1", "optimizer=sgd", "learning_rate=0.01", "units=64", "momentum=0.05"] in lines


def test_what_stored_features_saved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trials = [dataclasses.replace(a_trial(n, [0.5]), features=seconds) for n, seconds in enumerate((60.0, 5.4, None))]
    print_summary(write_run(tmp_path / "run", trials))
    line = "2 of 3 trials trained on stored features, which took workers 1m05s in all to find or to compute."
    assert f"Frozen layers: {line}" in capsys.readouterr().out.splitlines()


def test_how_much_of_the_disk_features_take(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = write_run(tmp_path / "run", [dataclasses.replace(a_trial(0, [0.5]), features=1.0)])
    folder = tmp_path / "features"
    for name, size in (("one", 10**9), ("two.part", 3 * 10**8)):
        (folder / name).mkdir(parents=True)
        with (folder / name / "data").open("wb") as file:
            file.truncate(size)
    study = read_study(paths)
    write(paths.study, dataclasses.replace(study, options={**study.options, "feature_store": str(folder)}))
    print_summary(paths)
    line = "Features of this and other runs take 1.3 GB in features; the folder may be deleted while no search runs."
    assert line in capsys.readouterr().out.splitlines()


def test_configurations_show_what_differs_from_the_defaults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = write_run(tmp_path / "run", [a_trial(0, [0.5]), a_trial(1, [0.4], units=32)])
    declared = (
        Hyperparameter("optimizer", Choices(("adam", "sgd")), "adam"),
        Hyperparameter("learning_rate", Range(1e-5, 1.0), 0.001),
        Hyperparameter("units", Choices((32, 64)), 64),
    )
    write(paths.study, dataclasses.replace(read_study(paths), declared=declared))
    print_summary(paths)
    lines = capsys.readouterr().out.splitlines()
    start = next(number for number, line in enumerate(lines) if "beyond the space's defaults" in line)
    assert [" ".join(line.split()) for line in lines[start + 1 : start + 3]] == [
        "1 the default configuration",
        "2 units=32",
    ]


def test_paths_and_commands_stand_on_lines_of_their_own_to_be_copied(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "a-name-that-is-so-long-that-a-line-of-eighty-columns-would-have-to-be-broken"
    paths = write_run(tmp_path / name, [a_trial(0, [0.5])])
    keep_model(paths, a_trial(0, [0.5]))
    print_summary(paths)
    lines = capsys.readouterr().out.splitlines()
    assert f"Report       {name}/report.html" in lines
    assert f"Leaderboard  {name}/leaderboard.csv" in lines
    assert lines[-3:] == [
        "Next:",
        f"  python scripts/export.py {name} --out model.keras",
        "  python scripts/predict.py model.keras IMAGE...",
    ]


def test_nothing_ranked_counts_the_reasons_and_names_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reasons = ("no such layer", "out of memory [GPU]", "out of memory [GPU]")
    trials = [a_trial(number, state=TrialState.FAILED, reason=reason) for number, reason in enumerate(reasons)]
    print_summary(write_run(tmp_path / "run", trials))
    printed = capsys.readouterr().out
    assert printed.splitlines()[:4] == [
        "Nothing to rank: none of 3 trials finished an epoch.",
        "  2 trials failed: out of memory [GPU]",
        "  1 trial failed: no such layer",
        "See run/search.log",
    ]
    assert "export.py" not in printed
