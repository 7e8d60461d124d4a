"""What a study learns from earlier runs, and which of them it refuses."""

import dataclasses
import io
import re
from pathlib import Path
from typing import Any

import pytest

from results.paths import RunPaths
from results.records import DataRecord, TrialState, read_study, write
from search_spaces.configuration import Configuration
from search_spaces.errors import UserError
from search_spaces.hyperparameter import Choices, Condition, Hyperparameter, Range
from tests.results.written_run import a_trial, write_run
from tuner.config import StudyConfig
from tuner.earlier_runs import earlier_runs
from tuner.proposal.proposer import Proposer
from tuner.warm_start import tell, warm_start

SPACE = (
    Hyperparameter("optimizer", Choices(("adam", "sgd")), "adam"),
    Hyperparameter("learning_rate", Range(1e-4, 1e-1, None, "log"), 1e-2),
    Hyperparameter("momentum", Range(0.0, 1.0), 0.9, (Condition("optimizer", ("sgd",)),)),
    Hyperparameter("units", Choices((32, 64)), 64),
)


class Told(Proposer):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__(SPACE, (1, 3), seed=0)
        self.told: list[Any] = []

    def begin(self, trial: int, configuration: Configuration) -> None:
        super().begin(trial, configuration)
        self.told.append((trial, configuration["learning_rate"]))

    def report(self, trial: int, epoch: int, accuracy: float) -> None:
        super().report(trial, epoch, accuracy)
        self.told.append((trial, epoch, accuracy))

    def end(self, trial: int, is_done: bool = False, has_failed: bool = False, is_infeasible: bool = False) -> None:
        super().end(trial, is_done, has_failed, is_infeasible)
        self.told.append((trial, "done" if is_done else "failed" if has_failed else "stopped"))


def start(tmp_path: Path, max_epochs: int = 2, **options: Any) -> tuple[Told, str]:
    config = StudyConfig(storage=tmp_path, max_epochs=max_epochs, **options)
    proposer, terminal = Told(), io.StringIO()
    data = options and read_study(RunPaths.existing(tmp_path / "one")).data
    assert isinstance(data, DataRecord)
    tell(proposer, warm_start(config, SPACE, data, terminal))
    return proposer, terminal.getvalue()


def written(tmp_path: Path, name: str = "one", **changes: Any) -> RunPaths:
    trials = [
        a_trial(0, [0.5, 0.6], learning_rate=0.01),
        a_trial(1, [0.4], TrialState.STOPPED, learning_rate=0.02),
        a_trial(2, [], TrialState.FAILED, reason="diverged: loss is nan in epoch 1", learning_rate=0.03),
        a_trial(3, [], TrialState.FAILED, reason="its worker failed: killed", learning_rate=0.04),
        a_trial(4, [], TrialState.INFEASIBLE, reason="more than --max-parameters 10", learning_rate=0.05),
        a_trial(5, [0.3], TrialState.RUNNING, learning_rate=0.06),
        a_trial(6, [0.9, 0.9], learning_rate=5.0),
        a_trial(7, [0.9, 0.9], depth=3),
    ]
    paths = write_run(tmp_path / name, trials)
    study = dataclasses.replace(read_study(paths), options={"max_epochs": 2})
    write(paths.study, dataclasses.replace(study, data=dataclasses.replace(study.data, **changes)))
    return paths


def test_usable_trials_are_known_and_the_others_counted(tmp_path: Path) -> None:
    written(tmp_path)
    proposer, said = start(tmp_path, warm_start=("one",))
    assert proposer.told == [
        (-1, 0.01), (-1, 1, 0.5), (-1, 2, 0.6), (-1, "done"),
        (-2, 0.02), (-2, 1, 0.4), (-2, "stopped"),
        (-3, 0.03), (-3, "failed"),
        (-4, 0.04), (-4, "stopped"),
    ]  # fmt: skip
    assert said == (
        "Warm start: 4 trials of one known; 2 of another space or outside this one's ranges; "
        "2 infeasible, skipped or not ended\n"
    )


def test_what_was_done_there_is_not_done_where_trials_last_longer(tmp_path: Path) -> None:
    written(tmp_path)
    assert (-1, "stopped") in start(tmp_path, max_epochs=3, warm_start=("one",))[0].told


def test_several_runs_by_name_or_folder(tmp_path: Path) -> None:
    written(tmp_path)
    written(tmp_path / "elsewhere", "two", fingerprint="another")
    proposer, said = start(tmp_path, warm_start=("one", str(tmp_path / "elsewhere" / "two")))
    assert {entry[0] for entry in proposer.told} == set(range(-8, 0))
    assert said.splitlines()[1] == (
        "Warm start: 4 trials of two known, trained on other images or another split of them; "
        "2 of another space or outside this one's ranges; 2 infeasible, skipped or not ended"
    )


def test_a_run_is_known_once_however_often_it_is_named(tmp_path: Path) -> None:
    written(tmp_path)
    assert len(earlier_runs(StudyConfig(storage=tmp_path, warm_start=("one", str(tmp_path / "one"), "one")))) == 1


def test_a_run_from_which_nothing_is_learned_is_named(tmp_path: Path) -> None:
    paths = written(tmp_path)
    for trial in (0, 1, 2, 3):
        write(paths.trial_record(trial), a_trial(trial, [0.5], depth=3))
    _, said = start(tmp_path, warm_start=("one",))
    assert said == (
        "Warm start: nothing is learned from one: it has no trial that can be used; "
        "6 of another space or outside this one's ranges; 2 infeasible, skipped or not ended\n"
    )


@pytest.mark.parametrize("epochs", [None, "20", 2.5])
def test_a_run_whose_record_lacks_its_epochs_is_refused(tmp_path: Path, epochs: object) -> None:
    paths = written(tmp_path)
    study = read_study(paths)
    write(paths.study, dataclasses.replace(study, options={**study.options, "max_epochs": epochs}))
    with pytest.raises(UserError, match=r"--warm-start one: .*max_epochs .* whole number; leave that run out"):
        start(tmp_path, warm_start=("one",))


@pytest.mark.parametrize("accuracy", ["Infinity", "NaN"])
def test_an_accuracy_that_is_no_number_is_refused(tmp_path: Path, accuracy: str) -> None:
    record = written(tmp_path).trial_record(0)
    text = record.read_text()
    found = re.sub(r'"val_accuracy": [0-9.]+', f'"val_accuracy": {accuracy}', text, count=1)
    assert found != text
    record.write_text(found)
    with pytest.raises(UserError, match="--warm-start one: .*leave that run out"):
        start(tmp_path, warm_start=("one",))


def test_a_number_too_large_for_any_range_is_of_another_space(tmp_path: Path) -> None:
    record = written(tmp_path).trial_record(0)
    text = record.read_text()
    found = re.sub(r'"learning_rate": [0-9.e-]+', '"learning_rate": 1' + "0" * 400, text, count=1)
    assert found != text
    record.write_text(found)
    _, said = start(tmp_path, warm_start=("one",))
    assert "of another space or outside this one's ranges" in said


def test_a_run_that_is_not_there_is_looked_for_by_name_and_as_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^--warm-start gone: there is no run of that name in .*, and no folder gone"):
        earlier_runs(StudyConfig(storage=tmp_path, warm_start=("gone",)))


def test_what_is_known_is_not_proposed_again(tmp_path: Path) -> None:
    space = (Hyperparameter("units", Choices((32, 64)), 64),)
    proposer = Proposer(space, (1,), seed=0)
    paths = write_run(tmp_path / "one", [dataclasses.replace(a_trial(0, [0.5]), configuration={"units": 64})])
    study = dataclasses.replace(read_study(paths), options={"max_epochs": 1})
    write(paths.study, study)
    config = StudyConfig(storage=tmp_path, max_epochs=1, warm_start=("one",))
    tell(proposer, warm_start(config, space, study.data, io.StringIO()))
    assert proposer.propose(0) == {"units": 32}


def test_images_of_other_classes_are_refused(tmp_path: Path) -> None:
    written(tmp_path)
    written(tmp_path, "two", class_names=("boat", "car"))
    with pytest.raises(UserError, match=r"^--warm-start two: it was trained on images of other classes"):
        start(tmp_path, warm_start=("two",))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda paths: paths.study.write_text('{"name": "o'),
            r"^--warm-start one: .*study\.json cannot be understood: ",
        ),
        (lambda paths: paths.study.unlink(), r"^--warm-start one: .*one is not a run directory"),
        (
            lambda paths: paths.trial_record(1).write_text("[]"),
            r"^--warm-start one: .*trial\.json cannot be understood",
        ),
    ],
)
def test_a_damaged_run_is_refused(tmp_path: Path, damage: Any, message: str) -> None:
    damage(written(tmp_path))
    with pytest.raises(UserError, match=message):
        earlier_runs(StudyConfig(storage=tmp_path, warm_start=("one",)))
