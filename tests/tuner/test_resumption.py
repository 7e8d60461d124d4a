"""What --resume goes on with, and what it refuses."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from results.paths import RunPaths
from results.records import read_study, write
from search_spaces.errors import UserError
from search_spaces.hyperparameter import Hyperparameter, Range
from search_spaces.registry import SpaceSpec
from search_spaces.task import Task
from tests.results.written_run import a_trial, write_run
from tuner.config import StudyConfig
from tuner.preparation import Preparation
from tuner.resumption import changed_code, digest, resumed, taken_up

SPACE = (Hyperparameter("units", Range(1, 9, 1, whole=True), 3),)


@pytest.fixture
def run(tmp_path: Path) -> RunPaths:
    paths = write_run(tmp_path / "one", [])
    config = StudyConfig(space="custom_cnn", data="digits", trials=5, seed=7, fix={"blocks": 2}, storage=tmp_path)
    versions = {"thaw-tuner": "0.1.0", "keras backend": "tensorflow"}
    study = dataclasses.replace(read_study(paths), options=config.options(), versions=versions, space=digest(SPACE),
                                precision="bfloat16")  # fmt: skip
    write(paths.study, study)
    return paths


def given(run: RunPaths, **options: Any) -> dict[str, Any]:
    return {"name": "one", "storage": run.root.parent} | options


def test_options_that_are_not_given_are_the_studys(run: RunPaths) -> None:
    config = resumed(given(run, trials=9, time_budget=60.0))
    assert (config.space, config.seed, config.fix) == ("custom_cnn", 7, {"blocks": 2})
    assert (config.trials, config.time_budget) == (9, 60.0)
    assert config.precision == "bfloat16"  # as it was measured
    assert config.paths == run


def test_what_is_given_as_it_was_is_no_change(run: RunPaths) -> None:
    assert resumed(given(run, seed=7, fix={"blocks": 2}, recipes=())).seed == 7


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("seed", 8, "--seed 8: the study was begun with 7, which cannot be another here"),
        ("space", "finetune", "--space finetune: the study was begun with custom_cnn"),
        ("max_epochs", 5, r"--max-epochs 5: .* These can: --trials, --time-budget"),
        ("fix", {"blocks": 3}, r"--fix blocks=3: the study was begun with blocks=2,"),
        ("recipes", ("vgg",), r"--recipes vgg: the study was begun with none,"),
        ("precision", "float32", "--precision float32: the study was begun with auto"),
    ],
)
def test_what_is_searched_cannot_change(run: RunPaths, option: str, value: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        resumed(given(run, **{option: value}))


def test_what_was_searched_already_is_told(run: RunPaths) -> None:
    run.trial(0).mkdir(parents=True)
    write(run.trial_record(0), a_trial(0, [0.5] * 4))
    run.trial(1).mkdir()
    write(run.trial_record(1), a_trial(1, [0.5] * 4))
    with pytest.raises(UserError, match=r"--time-budget 10s: it counts all sessions .*which has taken 15s already"):
        resumed(given(run, time_budget=10.0))
    with pytest.raises(UserError, match=r"--trials 1: it counts all of the run's trials, and there are 2 already"):
        resumed(given(run, trials=1))
    assert resumed(given(run, trials=2, time_budget=None)).time_budget is None


def test_a_space_that_is_code_has_to_be_named_again(run: RunPaths) -> None:
    study = read_study(run)
    write(run.study, dataclasses.replace(study, options={**study.options, "space": "theirs:build"}))
    with pytest.raises(UserError, match=r"its space is code, theirs:build, which would run now.*--space theirs:build"):
        resumed(given(run))
    assert resumed(given(run, space="theirs:build")).space == "theirs:build"
    with pytest.raises(UserError, match="--space mine:build: the study was begun with theirs:build"):
        resumed(given(run, space="mine:build"))


def test_options_that_are_no_options_are_damage(run: RunPaths) -> None:
    study = read_study(run)
    write(run.study, dataclasses.replace(study, options={**study.options, "trials": "many"}))
    with pytest.raises(UserError, match=r"study\.json cannot be understood: trials: .* It is damaged"):
        resumed(given(run))


def test_other_code_is_told_of(run: RunPaths) -> None:
    preparation = Preparation.__new__(Preparation)
    object.__setattr__(preparation, "code", "other")
    object.__setattr__(preparation, "spec", SpaceSpec("mine:build", Task(8, 10, 100, 9), {}, "."))
    note = changed_code(dataclasses.replace(read_study(run), code="this"), preparation)
    assert note is not None
    assert "the file of --space mine:build is another one than before" in note
    assert changed_code(dataclasses.replace(read_study(run), code="other"), preparation) is None


def test_a_run_of_another_version_is_refused(run: RunPaths) -> None:
    write(run.study, dataclasses.replace(read_study(run), versions={"thaw-tuner": "0.0.9"}))
    with pytest.raises(UserError, match=r"--resume one: it was begun with thaw-tuner 0\.0\.9, and this is 0\.1\.0:"):
        resumed(given(run))


def test_without_a_name_the_runs_are_listed(run: RunPaths) -> None:
    with pytest.raises(UserError, match=r"--resume: --name says which run; .* has one"):
        resumed({"storage": run.root.parent})


def test_a_run_that_is_not_there(run: RunPaths) -> None:
    with pytest.raises(UserError, match=r"--resume --name two: there is no such run; .* has one"):
        resumed(given(run, name="two"))


@pytest.mark.parametrize(
    ("backend", "space", "message"),
    [
        ("jax", SPACE, r"trained by Keras on tensorflow, which KERAS_BACKEND says; now it is jax"),
        ("tensorflow", (*SPACE, *SPACE), r"--space custom_cnn declares other hyperparameters or ranges now"),
    ],
)
def test_another_space_or_backend_is_refused(run: RunPaths, backend: str, space: Any, message: str) -> None:
    preparation = Preparation.__new__(Preparation)
    object.__setattr__(preparation, "backend", backend)
    with pytest.raises(UserError, match=message):
        taken_up(resumed(given(run)), preparation, space)


def test_the_record_tells_of_the_resumption(run: RunPaths) -> None:
    preparation = Preparation.__new__(Preparation)
    object.__setattr__(preparation, "backend", "tensorflow")
    study = taken_up(resumed(given(run, trials=9)), preparation, SPACE)
    assert len(study.resumed) == 1
    assert (study.options["trials"], study.options["precision"]) == (9, "auto")


def test_a_run_that_is_not_there_lists_those_that_are(run: RunPaths) -> None:
    with pytest.raises(UserError, match="--resume --name nosuch: there is no such run; .* has one"):
        resumed({"name": "nosuch", "storage": run.storage})
    with pytest.raises(UserError, match="--name says which run; .* has one"):
        resumed({"storage": run.storage})
